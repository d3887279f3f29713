// The part of the SQLite store that looks back.
#include <chrono>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controlplane/store/sqlite_rows.h"
#include "controlplane/store/sqlite_store.h"

namespace whence::store {
namespace {

v1::Change::Action ActionOf(std::string_view name) {
  if (name == "created") return v1::Change::CREATED;
  if (name == "updated") return v1::Change::UPDATED;
  return v1::Change::DELETED;
}

}  // namespace

absl::Status SqliteStore::Expect(uint64_t revision) {
  absl::StatusOr<bool> known = statements_.has_revision.Bind(1, revision).Step();
  if (!known.ok()) return known.status();
  statements_.has_revision.Reset();
  if (*known) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("there is no revision ", revision));
}

absl::StatusOr<Contents> SqliteStore::LoadAt(uint64_t revision) {
  std::lock_guard lock(mutex_);
  if (revision == 0) return Contents{};
  if (absl::Status status = Expect(revision); !status.ok()) return status;
  statements_.list_at.Bind(1, revision);
  absl::StatusOr<std::vector<v1::StoredDocument>> documents = List(statements_.list_at);
  if (!documents.ok()) return documents.status();
  return Contents{revision, *std::move(documents)};
}

absl::StatusOr<std::vector<Revision>> SqliteStore::History(int limit, uint64_t before) {
  std::lock_guard lock(mutex_);
  return HistoryBefore(limit, before);
}

absl::StatusOr<std::vector<Revision>> SqliteStore::HistoryBefore(int limit, uint64_t before) {
  std::vector<Revision> revisions;
  Statement& history = statements_.history;
  history.BindAll(limit,
                  before == 0 ? std::numeric_limits<int64_t>::max() : static_cast<int64_t>(before));
  absl::StatusOr<bool> row = history.Step();
  for (; row.ok() && *row; row = history.Step()) {
    revisions.push_back({.revision = static_cast<uint64_t>(history.Int(0)),
                         .time = WallTime(std::chrono::microseconds(history.Int(1))),
                         .author = std::string(history.Text(2)),
                         .author_verified = history.Int(3) != 0,
                         .message = std::string(history.Text(4)),
                         .changes = {}});
  }
  if (!row.ok()) return row.status();
  for (Revision& revision : revisions) {
    absl::StatusOr<std::vector<v1::Change>> changes = Changes(revision.revision);
    if (!changes.ok()) return changes.status();
    revision.changes = *std::move(changes);
  }
  return revisions;
}

absl::StatusOr<std::vector<v1::Change>> SqliteStore::Changes(uint64_t revision) {
  std::vector<v1::Change> changes;
  Statement& rows = statements_.changes;
  rows.Bind(1, revision);
  absl::StatusOr<bool> row = rows.Step();
  for (; row.ok() && *row; row = rows.Step()) {
    v1::Change& change = changes.emplace_back();
    // Revisions of before the second schema do not say how the kind was written.
    change.set_kind(std::string(rows.Text(1).empty() ? rows.Text(0) : rows.Text(1)));
    change.set_namespace_(std::string(rows.Text(2)));
    change.set_name(std::string(rows.Text(3)));
    change.set_action(ActionOf(rows.Text(4)));
  }
  if (!row.ok()) return row.status();
  return changes;
}

absl::StatusOr<std::optional<Revision>> SqliteStore::LastChange(const DocumentKey& key) {
  std::lock_guard lock(mutex_);
  Statement& find = statements_.last_change;
  find.BindAll(std::string_view(key.kind), std::string_view(key.namespace_name),
               std::string_view(key.name));
  absl::StatusOr<bool> row = find.Step();
  if (!row.ok()) return row.status();
  const auto revision = static_cast<uint64_t>(*row ? find.Int(0) : 0);  // 0 for SQL's null, too
  find.Reset();
  if (revision == 0) return std::nullopt;
  absl::StatusOr<std::vector<Revision>> found = HistoryBefore(1, revision + 1);
  if (!found.ok()) return found.status();
  return std::move(found->front());
}

absl::StatusOr<std::vector<Difference>> SqliteStore::Differences(uint64_t revision) {
  std::lock_guard lock(mutex_);
  if (absl::Status status = Expect(revision); !status.ok()) return status;
  std::vector<Difference> found;
  Statement& rows = statements_.differences;
  rows.Bind(1, revision);
  absl::StatusOr<bool> row = rows.Step();
  absl::Status status;
  for (; row.ok() && *row && status.ok(); row = rows.Step()) {
    Difference& difference = found.emplace_back(Difference{KeyAt(rows, 0), {}, {}});
    if (!rows.IsNull(3)) {
      status = ParseValue(rows.Text(3), difference.key, &difference.before.emplace());
    }
    if (status.ok() && !rows.IsNull(4)) {
      status = ParseValue(rows.Text(4), difference.key, &difference.after.emplace());
    }
    for (std::optional<v1::Document>* document : {&difference.before, &difference.after}) {
      if (status.ok() && *document) status = contents_.PutBack(&**document);
    }
  }
  rows.Reset();
  if (!row.ok()) return row.status();
  if (!status.ok()) return status;
  return found;
}

}  // namespace whence::store
