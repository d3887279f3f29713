// The store in etcd, shared by several control planes.
//
// The newest revision's number stands under one key, live/head. A commit is one transaction on the
// condition that this key is as it was when the commit was made up: it moves the head, writes the
// revision's record and, mostly, what the revision added (packs.h). So of two editors the second
// finds the condition false, and etcd's limits (128 operations, 1.5 MiB) bind neither the number of
// documents nor their size. Revisions refer to what older ones have written: documents that did not
// change, pages of the manifest that lists them, and large sets as differences from what they were.
//
// etcd keeps every value of a key until it is compacted: here only live/ is ever written over, and
// with etcd's own --auto-compaction-retention its history does not grow.
#ifndef WHENCE_CONTROLPLANE_ETCD_ETCD_STORE_H_
#define WHENCE_CONTROLPLANE_ETCD_ETCD_STORE_H_

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "controlplane/etcd/client.h"
#include "controlplane/etcd/packs.h"
#include "controlplane/store/store.h"
#include "whence/v1/replica.pb.h"

namespace whence::etcd {

// Thread-safe. Whatever fails for want of an answer is kUnavailable.
class EtcdStore final : public store::Store {
 public:
  // `client` and `clock` must outlive *this. Fails if etcd does not answer, and refuses what a
  // newer program has written.
  static absl::StatusOr<std::unique_ptr<EtcdStore>> Open(Client& client, const Clock& clock);

  absl::StatusOr<uint64_t> LatestRevision() override;
  absl::StatusOr<store::Contents> Load() override;
  absl::StatusOr<store::CommitResult> Commit(const store::CommitRequest& request) override;
  absl::StatusOr<store::Contents> LoadAt(uint64_t revision) override;
  absl::StatusOr<std::vector<store::Revision>> History(int limit, uint64_t before) override;
  absl::StatusOr<std::optional<store::Revision>> LastChange(const store::DocumentKey& key) override;
  absl::StatusOr<std::vector<store::Difference>> Differences(uint64_t revision) override;

 private:
  struct Head {
    uint64_t revision = 0;
    int64_t mod_revision = 0;  // etcd's, of the key
  };
  struct Page {
    v1::PackRef ref;
    std::shared_ptr<const v1::ManifestPage> content;
  };
  struct Item {
    v1::ManifestEntry entry;
    std::shared_ptr<const v1::Document> document;  // null: deleted
    std::string content_version;                   // of a large set
  };
  using Items = std::map<store::DocumentKey, Item>;
  // A revision, in memory. Parts that two revisions have in common are shared.
  struct Tree {
    v1::RevisionRecord record;
    std::vector<Page> pages;
    Items items;
  };
  // What a commit is going to write.
  struct Draft;

  EtcdStore(Client& client, const Clock& clock) : client_(client), clock_(clock) {}
  absl::StatusOr<Head> ReadHead();
  std::string RevisionKey(uint64_t revision) const;
  // kNotFound if it never was.
  absl::StatusOr<v1::RevisionRecord> ReadRecord(uint64_t revision);
  // `known`: read before; what is in both is not read again.
  absl::Status ReadPages(const Tree& known, Tree* tree);
  absl::Status ReadItems(const Tree& known, Tree* tree);
  absl::StatusOr<Tree> ReadTree(const v1::RevisionRecord& record, const Tree& known);
  absl::StatusOr<std::vector<store::Revision>> Describe(
      const std::vector<v1::RevisionRecord>& records);
  std::shared_ptr<const Tree> Known() const;

  // All with mutex_ held.
  absl::StatusOr<Head> Sync();  // makes tree_ that of the head
  absl::StatusOr<Draft> MakeDraft(const Head& head, const store::CommitRequest& request) const;
  absl::Status AddDocument(const store::Mutation& mutation, const Item* current, Draft* draft,
                           bool* same) const;
  void AddPages(Draft* draft) const;
  // False: the head has moved.
  absl::StatusOr<bool> Write(const Head& head, const Draft& draft);
  absl::StatusOr<bool> IsOurs(const Draft& draft);

  Client& client_;
  const Clock& clock_;
  std::mutex mutex_;  // Held over commits and loads; not over looking back.
  mutable std::mutex tree_mutex_;
  std::shared_ptr<const Tree> tree_ = std::make_shared<Tree>();  // by tree_mutex_; set with mutex_
};

}  // namespace whence::etcd

#endif  // WHENCE_CONTROLPLANE_ETCD_ETCD_STORE_H_
