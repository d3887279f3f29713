// The store in one SQLite file, `config.db`.
//
// Three tables. `change` holds each value a document ever had, under the revision that wrote it,
// and the revision of the value it replaced; `document` says which of them is the one of now;
// `revision` says who wrote it, when and why. So a value is stored once, a difference is two rows,
// and an old revision is a query. The contents of large sets stand apart (ip_set_contents.h).
#ifndef WHENCE_CONTROLPLANE_STORE_SQLITE_STORE_H_
#define WHENCE_CONTROLPLANE_STORE_SQLITE_STORE_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/store/database.h"
#include "controlplane/store/disk_reserve.h"
#include "controlplane/store/ip_set_contents.h"
#include "controlplane/store/store.h"

namespace whence::store {

// Thread-safe: one mutex, since there is one writer and reads are rare (the configuration of now is
// served from memory).
class SqliteStore final : public Store {
 public:
  // Creates the file if it is missing. Refuses a damaged one, one of a newer schema and one of
  // another program, and leaves each as it is.
  // `reserve_bytes` are kept beside it (`path`.reserve): a policy can be written, the one that
  // mends things for example, when others have filled the disk. 0: none.
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(const std::string& path,
                                                           int64_t reserve_bytes = 0);

  absl::StatusOr<uint64_t> LatestRevision() override;
  absl::StatusOr<Contents> Load() override;
  absl::StatusOr<CommitResult> Commit(const CommitRequest& request) override;
  absl::StatusOr<Contents> LoadAt(uint64_t revision) override;
  absl::StatusOr<std::vector<Revision>> History(int limit, uint64_t before) override;
  absl::StatusOr<std::optional<Revision>> LastChange(const DocumentKey& key) override;
  absl::StatusOr<std::vector<Difference>> Differences(uint64_t revision) override;

 private:
  // Prepared once; all used under mutex_.
  struct Statements {
    Statement last_revision, list, find, insert_revision, insert_change, set_document,
        delete_document, list_at, history, changes, last_change, has_revision, differences;
  };
  // The value of now under `key`; revision 0: none.
  struct Current {
    uint64_t revision = 0;
    std::string bytes;
    std::string kind;             // as written
    std::string content_version;  // of a large set
  };

  SqliteStore(std::unique_ptr<Database> database, Statements statements, IpSetContents contents,
              int64_t reserve_bytes)
      : database_(std::move(database)),
        statements_(std::move(statements)),
        contents_(std::move(contents)),
        reserve_(ReserveOf(database_->path()), reserve_bytes) {}
  static absl::StatusOr<Statements> PrepareAll(Database& database);
  // All with mutex_ held.
  absl::StatusOr<CommitResult> TryCommit(const CommitRequest& request);
  absl::StatusOr<uint64_t> LastRevision();
  absl::Status Expect(uint64_t revision);  // kNotFound if it never was
  absl::StatusOr<std::vector<v1::StoredDocument>> List(Statement& list);
  absl::StatusOr<std::vector<Revision>> HistoryBefore(int limit, uint64_t before);
  absl::StatusOr<std::vector<v1::Change>> Changes(uint64_t revision);
  absl::StatusOr<Current> Find(const DocumentKey& key);
  absl::Status Write(const Mutation& mutation, const std::string& bytes, const v1::Change& change,
                     uint64_t revision, uint64_t old_revision);

  std::mutex mutex_;
  std::unique_ptr<Database> database_;  // by mutex_; before statements_, which must go first
  Statements statements_;               // by mutex_
  IpSetContents contents_;              // by mutex_
  DiskReserve reserve_;                 // by mutex_
};

}  // namespace whence::store

#endif  // WHENCE_CONTROLPLANE_STORE_SQLITE_STORE_H_
