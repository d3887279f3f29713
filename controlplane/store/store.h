// What the control plane remembers: documents, and every revision that ever changed them.
//
// An interface: one control plane keeps a SQLite file (sqlite_store.h), several that serve the same
// configuration share etcd (controlplane/etcd/etcd_store.h). Whoever implements it promises: a
// commit is whole or not at all, and durable once it returns; revisions only rise, over restarts
// too; what Load gives is exactly what was committed.
#ifndef WHENCE_CONTROLPLANE_STORE_STORE_H_
#define WHENCE_CONTROLPLANE_STORE_STORE_H_

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "whence/v1/admin.pb.h"

namespace whence::store {

// `kind` is the stored kind (document::kinds.h): IpPolicy and AuthorizationPolicy are one, so that
// a name cannot exist twice.
struct DocumentKey {
  std::string kind;
  std::string namespace_name;  // empty: the kind has no namespace
  std::string name;
  friend auto operator<=>(const DocumentKey&, const DocumentKey&) = default;
};

struct Mutation {
  DocumentKey key;
  std::optional<v1::Document> document;  // nullopt: delete
};

struct CommitRequest {
  std::vector<Mutation> mutations;  // no key twice
  std::string author;
  bool author_verified = false;  // by a certificate; else it is what somebody said
  std::string message;
  WallTime time;
  // If set, and the store is at another revision, nothing happens (kAborted): what was validated is
  // not what would be changed.
  std::optional<uint64_t> expected_revision;
  // For copies: the number that the revision gets. It must be higher than the last.
  std::optional<uint64_t> as_revision;
};

struct CommitResult {
  uint64_t revision = 0;            // 0: every document already was as asked for
  std::vector<v1::Change> changes;  // one per mutation, in its order
};

// `documents` in the order of their keys.
struct Contents {
  uint64_t revision = 0;
  std::vector<v1::StoredDocument> documents;
};

struct Revision {
  uint64_t revision = 0;
  WallTime time;
  std::string author;
  bool author_verified = false;
  std::string message;
  std::vector<v1::Change> changes;  // in the order of keys
};

// What one revision did to one document: the value before, the value after.
struct Difference {
  DocumentKey key;
  std::optional<v1::Document> before;  // nullopt: created
  std::optional<v1::Document> after;   // nullopt: deleted
};

// Thread-safe.
class Store {
 public:
  virtual ~Store() = default;

  // The number of the newest revision; cheap.
  virtual absl::StatusOr<uint64_t> LatestRevision() = 0;
  virtual absl::StatusOr<Contents> Load() = 0;
  // kNotFound if a document to delete is not there. On any error nothing was changed; but a store
  // across a network may not know whether it was (kUnavailable, and its message says so).
  virtual absl::StatusOr<CommitResult> Commit(const CommitRequest& request) = 0;
  // The documents as they were at `revision`; at 0 there were none. kNotFound for a revision that
  // never was.
  virtual absl::StatusOr<Contents> LoadAt(uint64_t revision) = 0;
  // Newest first, at most `limit`, all below `before` (0: from the newest).
  virtual absl::StatusOr<std::vector<Revision>> History(int limit, uint64_t before) = 0;
  // The newest revision that changed (or deleted) the document; nullopt: there never was one.
  virtual absl::StatusOr<std::optional<Revision>> LastChange(const DocumentKey& key) = 0;
  // In the order of keys. kNotFound for a revision that never was.
  virtual absl::StatusOr<std::vector<Difference>> Differences(uint64_t revision) = 0;
};

}  // namespace whence::store

#endif  // WHENCE_CONTROLPLANE_STORE_STORE_H_
