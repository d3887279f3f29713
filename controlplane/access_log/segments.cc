#include "controlplane/access_log/segments.h"

#include <algorithm>
#include <utility>

#include "controlplane/access_log/disk_plan.h"
#include "controlplane/access_log/schema.h"

namespace whence::access_log {
namespace {

constexpr int kIndexes = 2;
constexpr int64_t kMaxPages = 4294967294;  // SQLite's own bound

int64_t Micros(std::chrono::seconds duration) { return int64_t{duration.count()} * 1000000; }

// Runs `sql` that has nothing but numbers in it.
absl::Status RunWith(store::Database& database, store::Sql sql, store::Sql what,
                     std::initializer_list<int64_t> values) {
  absl::StatusOr<store::Statement> statement = database.Prepare(sql, what);
  if (!statement.ok()) return statement.status();
  int index = 0;
  for (int64_t value : values) statement->Bind(++index, value);
  return statement->Step().status();
}

}  // namespace

SegmentLimits SegmentLimits::For(std::chrono::seconds retention, int64_t max_bytes) {
  // The schema alone takes some pages; below this, every record would be given up at once.
  SegmentLimits limits{.retention = retention,
                       .max_bytes = std::max<int64_t>(max_bytes, int64_t{4} << 20)};
  // At most 150 by age and 200 by size. And at least eight, so that the oldest is a small part.
  limits.segment_age = std::clamp<std::chrono::seconds>(retention / 150, std::chrono::minutes(15),
                                                        std::chrono::hours(24 * 30));
  limits.segment_age =
      std::max(std::min(limits.segment_age, retention / 8), std::chrono::seconds(1));
  limits.segment_bytes = std::max(limits.segment_bytes, limits.max_bytes / 200);
  limits.segment_bytes = std::min(limits.segment_bytes, limits.max_bytes / 8);
  return limits;
}

namespace {

// When its last row came, as far as `now_us` can be right. A clock that was ahead for a moment leaves
// a time that is to come; the segment behind it was opened later, and knows better. Never a time
// before that: a clock that is behind makes all of them look as if they were to come.
int64_t NewestOf(const std::vector<Segment>& segments, size_t index, int64_t now_us) {
  if (segments[index].newest_us <= now_us) return segments[index].newest_us;
  for (size_t later = index + 1; later < segments.size(); ++later) {
    if (segments[later].opened_us <= now_us) return segments[later].opened_us;
  }
  return now_us;
}

}  // namespace

Task NextTask(const std::vector<Segment>& segments, const SegmentLimits& limits, int64_t used_bytes,
              int64_t now_us) {
  const Segment& open = segments.back();
  const Segment& oldest = segments.front();
  bool too_large = used_bytes > limits.max_bytes;
  bool too_many = segments.size() >= kMaxSegments;
  if (oldest.sealed && (too_large || too_many)) return {TaskKind::kDrop, oldest.number};
  for (size_t i = 0; i < segments.size() && segments[i].sealed; ++i) {
    const bool expired = NewestOf(segments, i, now_us) < now_us - Micros(limits.retention);
    if (expired) return {TaskKind::kDrop, segments[i].number};
  }
  const bool old = now_us - open.opened_us >= Micros(limits.segment_age) || open.opened_us > now_us;
  if (open.rows > 0 && (old || open.bytes >= limits.segment_bytes || too_large)) {
    return {TaskKind::kRoll, open.number};
  }
  for (const Segment& segment : segments) {
    if (segment.sealed && segment.indexes < kIndexes) return {TaskKind::kIndex, segment.number};
  }
  return {};
}

absl::StatusOr<std::vector<Segment>> ReadSegments(store::Database& database) {
  absl::StatusOr<store::Statement> select = database.Prepare(
      "select number, first_id, rows, bytes, min_time_us, max_time_us, opened_us, newest_us, "
      "indexes, sealed from segments order by number",
      "read the list of segments");
  if (!select.ok()) return select.status();
  std::vector<Segment> segments;
  while (true) {
    absl::StatusOr<bool> row = select->Step();
    if (!row.ok()) return row.status();
    if (!*row) return segments;
    segments.push_back({.number = static_cast<uint64_t>(select->Int(0)),
                        .first_id = select->Int(1),
                        .rows = select->Int(2),
                        .bytes = select->Int(3),
                        .min_time_us = select->Int(4),
                        .max_time_us = select->Int(5),
                        .opened_us = select->Int(6),
                        .newest_us = select->Int(7),
                        .indexes = static_cast<int>(select->Int(8)),
                        .sealed = select->Int(9) != 0});
  }
}

absl::Status Segments::Load(int64_t now_us) {
  absl::StatusOr<std::vector<Segment>> segments = ReadSegments(database_);
  if (!segments.ok()) return segments.status();
  segments_ = *std::move(segments);
  insert_.reset();
  if (!has_new_columns_) {
    if (absl::Status status = AddNewColumns(); !status.ok()) return status;
    has_new_columns_ = true;
  }
  if (segments_.empty() || open().sealed) {
    absl::StatusOr<store::Transaction> transaction = store::Transaction::Begin(database_);
    if (!transaction.ok()) return transaction.status();
    int64_t first_id = segments_.empty() ? 1 : next_id();
    uint64_t number = segments_.empty() ? 1 : open().number + 1;
    absl::Status status = Open(number, first_id, now_us);
    if (status.ok()) status = transaction->Commit();
    if (!status.ok()) return status;
  }
  absl::StatusOr<store::Statement> insert =
      database_.Prepare(InsertSql(open().number), "append an access record");
  if (!insert.ok()) return insert.status();
  insert_ = *std::move(insert);
  return absl::OkStatus();
}

absl::Status Segments::AddNewColumns() {
  std::vector<uint64_t> numbers;
  std::vector<uint64_t> old;
  for (const Segment& segment : segments_) {
    absl::StatusOr<store::Statement> has =
        database_.Prepare(HasTlvsSql(segment.number), "look at a segment's columns");
    if (!has.ok()) return has.status();
    absl::StatusOr<bool> row = has->Step();
    if (!row.ok()) return row.status();
    numbers.push_back(segment.number);
    if (*row && has->Int(0) == 0) old.push_back(segment.number);
  }
  if (old.empty()) return absl::OkStatus();
  absl::StatusOr<store::Transaction> transaction = store::Transaction::Begin(database_);
  if (!transaction.ok()) return transaction.status();
  // The view goes first: in between, its parts have different columns.
  absl::Status status = database_.Execute("drop view if exists access_log", "renew the view");
  for (const uint64_t number : old) {
    if (status.ok()) status = database_.Execute(AddTlvsSql(number), "add a column to a segment");
  }
  if (status.ok()) status = database_.Execute(CreateViewSql(numbers), "renew the view");
  return status.ok() ? transaction->Commit() : status;
}

absl::Status Segments::Append(Row& row, int64_t agent_id, int64_t now_us) {
  if (!insert_) return absl::UnavailableError("the access log is not open");
  Segment& segment = open();
  absl::Status status = row.Insert(*insert_, next_id(), agent_id);
  if (!status.ok()) return status;
  segment.min_time_us =
      segment.rows == 0 ? row.time_us() : std::min(segment.min_time_us, row.time_us());
  segment.max_time_us =
      segment.rows == 0 ? row.time_us() : std::max(segment.max_time_us, row.time_us());
  segment.newest_us = now_us;
  segment.bytes += static_cast<int64_t>(row.bytes());
  ++segment.rows;
  return absl::OkStatus();
}

absl::Status Segments::Flush() {
  if (segments_.empty()) return absl::UnavailableError("the access log is not open");
  const Segment& segment = open();
  return RunWith(database_,
                 "update segments set rows = ?2, bytes = ?3, min_time_us = ?4, max_time_us = ?5, "
                 "newest_us = ?6 where number = ?1",
                 "note the extent of a segment",
                 {static_cast<int64_t>(segment.number), segment.rows, segment.bytes,
                  segment.min_time_us, segment.max_time_us, segment.newest_us});
}

absl::StatusOr<bool> Segments::Maintain(int64_t now_us, const DiskPlan& disk) {
  if (segments_.empty()) return absl::UnavailableError("the access log is not open");
  absl::StatusOr<int64_t> used = UsedBytes();
  if (!used.ok()) return used.status();
  const Task task = NextTask(segments_, disk.limits, *used, now_us);
  if (task.kind == TaskKind::kNone) return false;
  int64_t bytes = 0;
  for (const Segment& segment : segments_) {
    if (segment.number == task.segment) bytes = segment.bytes;
  }
  if (task.kind == TaskKind::kIndex && bytes / 4 > disk.spare_wal_bytes) return false;
  // With its indexes, and some more where rows do not fill their pages.
  const bool wipe = bytes + bytes / 2 <= disk.spare_wal_bytes;
  const bool is_due = NextTask(segments_, limits_, *used, now_us) == task;
  absl::Status status = Do(task, now_us, wipe);
  if (!status.ok()) return status;
  if (task.kind == TaskKind::kDrop && !is_due) ++given_up_;
  return true;
}

absl::StatusOr<bool> Segments::DropOldest(int64_t now_us) {
  if (segments_.empty()) return false;
  if (!segments_.front().sealed) {
    if (open().rows == 0) return false;
    absl::Status status = Do({TaskKind::kRoll, open().number}, now_us, /*wipe=*/false);
    if (!status.ok()) return status;
  }
  absl::Status status = Do({TaskKind::kDrop, segments_.front().number}, now_us, /*wipe=*/false);
  if (!status.ok()) return status;
  ++given_up_;
  return true;
}

absl::Status Segments::BoundFile(int64_t max_bytes) {
  absl::StatusOr<int64_t> size = database_.QueryInt("pragma page_size", "measure the file");
  if (!size.ok()) return size.status();
  const int64_t pages = std::clamp<int64_t>(max_bytes / *size, 1, kMaxPages);
  return database_.Execute(
      store::ComposedSql("pragma max_page_count = ", static_cast<uint64_t>(pages)),
      "bound the file");
}

absl::Status Segments::Do(const Task& task, int64_t now_us, bool wipe) {
  absl::Status status;
  {
    absl::StatusOr<store::Transaction> transaction = store::Transaction::Begin(database_);
    if (!transaction.ok()) return transaction.status();
    insert_.reset();  // A statement that is prepared would keep its table from being dropped.
    switch (task.kind) {
      case TaskKind::kNone:
        break;
      case TaskKind::kRoll:
        status = Roll(now_us);
        break;
      case TaskKind::kIndex:
        for (const Segment& segment : segments_) {
          if (segment.number == task.segment) status = Index(segment);
        }
        break;
      case TaskKind::kDrop:
        status = Drop(task.segment, wipe);
        break;
    }
    if (status.ok()) status = transaction->Commit();
  }
  if (status.ok() && task.kind == TaskKind::kDrop) ++dropped_;
  absl::Status loaded = Load(now_us);
  return status.ok() ? loaded : status;
}

absl::Status Segments::Open(uint64_t number, int64_t first_id, int64_t now_us) {
  absl::Status status = database_.Execute(CreateSegmentSql(number), "open a segment");
  if (!status.ok()) return status;
  status = RunWith(database_,
                   "insert into segments(number, first_id, opened_us, newest_us) "
                   "values (?1, ?2, ?3, ?3)",
                   "list a segment", {static_cast<int64_t>(number), first_id, now_us});
  if (!status.ok()) return status;
  segments_.push_back(
      {.number = number, .first_id = first_id, .opened_us = now_us, .newest_us = now_us});
  return RefreshView();
}

absl::Status Segments::Roll(int64_t now_us) {
  absl::Status status = RunWith(database_, "update segments set sealed = 1 where number = ?1",
                                "seal a segment", {static_cast<int64_t>(open().number)});
  if (!status.ok()) return status;
  return Open(open().number + 1, next_id(), now_us);
}

absl::Status Segments::Index(const Segment& segment) {
  absl::Status status =
      segment.indexes == 0
          ? database_.Execute(IndexByClientSql(segment.number), "index a segment")
          : database_.Execute(IndexByWorkloadSql(segment.number), "index a segment");
  if (!status.ok()) return status;
  return RunWith(database_, "update segments set indexes = indexes + 1 where number = ?1",
                 "note an index", {static_cast<int64_t>(segment.number)});
}

absl::Status Segments::Drop(uint64_t number, bool wipe) {
  std::erase_if(segments_, [number](const Segment& segment) { return segment.number == number; });
  absl::Status status = RunWith(database_, "delete from segments where number = ?1",
                                "strike a segment off", {static_cast<int64_t>(number)});
  if (!status.ok()) return status;
  status = RefreshView();  // First: the view refers to the table.
  if (!status.ok()) return status;
  status = wipe ? database_.Execute("pragma secure_delete = on", "wipe what is dropped")
                : database_.Execute("pragma secure_delete = off", "drop without wiping");
  if (!status.ok()) return status;
  return database_.Execute(DropSegmentSql(number), "drop a segment");
}

absl::StatusOr<std::set<int64_t>> Segments::AgentsInUse() {
  std::set<int64_t> agents;
  for (const Segment& segment : segments_) {
    // With its index a segment is asked for the next agent, and the next; without, it is scanned.
    const bool indexed = segment.indexes == kIndexes;
    store::ComposedSql sql(indexed ? store::Sql("select min(agent_id) from segment_")
                                   : store::Sql("select distinct agent_id from segment_"),
                           segment.number);
    if (indexed) sql.Append(" where agent_id > ?1");
    absl::StatusOr<store::Statement> select = database_.Prepare(sql, "find agents in use");
    if (!select.ok()) return select.status();
    int64_t last = 0;
    while (true) {
      if (indexed) select->Bind(1, last);
      absl::StatusOr<bool> row = select->Step();
      if (!row.ok()) return row.status();
      if (!*row || select->IsNull(0)) break;
      last = select->Int(0);
      agents.insert(last);
      if (indexed) select->Reset();
    }
  }
  return agents;
}

absl::Status Segments::RefreshView() {
  std::vector<uint64_t> numbers;
  for (const Segment& segment : segments_) numbers.push_back(segment.number);
  return database_.Execute(CreateViewSql(numbers), "define the view access_log");
}

absl::StatusOr<int64_t> Segments::UsedBytes() {
  absl::StatusOr<int64_t> file = FileBytes();
  absl::StatusOr<int64_t> free = database_.QueryInt("pragma freelist_count", "measure the file");
  absl::StatusOr<int64_t> size = database_.QueryInt("pragma page_size", "measure the file");
  for (const auto* value : {&file, &free, &size}) {
    if (!value->ok()) return value->status();
  }
  return *file - *free * *size;
}

absl::StatusOr<int64_t> Segments::FileBytes() {
  absl::StatusOr<int64_t> pages = database_.QueryInt("pragma page_count", "measure the file");
  absl::StatusOr<int64_t> size = database_.QueryInt("pragma page_size", "measure the file");
  if (!pages.ok()) return pages.status();
  if (!size.ok()) return size.status();
  return *pages * *size;
}

}  // namespace whence::access_log
