// The segment tables of logs.db: which there are, which is open, and what is to be done with them.
//
//   roll   the open segment is full or old: seal it, open the next
//   index  a sealed segment lacks an index: build one
//   drop   a sealed segment is past its time, or the file is too large: the oldest
//
// What to do is decided by NextTask (pure); Segments does it, one task per transaction, so that
// between any two the writer can commit batches: an index over a segment takes a fraction of a
// second, and nothing here takes longer.
#ifndef WHENCE_CONTROLPLANE_ACCESS_LOG_SEGMENTS_H_
#define WHENCE_CONTROLPLANE_ACCESS_LOG_SEGMENTS_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "controlplane/access_log/row.h"
#include "controlplane/store/database.h"

namespace whence::access_log {

struct Segment {
  uint64_t number = 0;
  int64_t first_id = 1;
  int64_t rows = 0;
  int64_t bytes = 0;  // near enough, of the rows
  int64_t min_time_us = 0, max_time_us = 0;
  int64_t opened_us = 0;
  int64_t newest_us = 0;  // arrival of the last row: an agent's clock may be wrong, ours decides
  int indexes = 0;
  bool sealed = false;

  int64_t last_id() const { return first_id + rows - 1; }  // first_id - 1: there is none
  bool HasId(int64_t id) const { return id >= first_id && id <= last_id(); }
};

struct DiskPlan;

struct SegmentLimits {
  std::chrono::seconds retention = std::chrono::hours(7 * 24);
  int64_t max_bytes = int64_t{10} << 30;
  // When to seal. 64 MiB are some 150,000 rows: an index over them takes about half a second.
  int64_t segment_bytes = int64_t{64} << 20;
  std::chrono::seconds segment_age = std::chrono::hours(1);

  // Segments large and old enough that the view can hold them all.
  static SegmentLimits For(std::chrono::seconds retention, int64_t max_bytes);
};

enum class TaskKind { kNone, kRoll, kIndex, kDrop };
struct Task {
  TaskKind kind = TaskKind::kNone;
  uint64_t segment = 0;
  friend bool operator==(const Task&, const Task&) = default;
};

// `segments` oldest first, the last one open. `used_bytes`: of the file, without free pages.
Task NextTask(const std::vector<Segment>& segments, const SegmentLimits& limits, int64_t used_bytes,
              int64_t now_us);

// All segments, oldest first. For readers as well.
absl::StatusOr<std::vector<Segment>> ReadSegments(store::Database& database);

// Thread-compatible; the writer's.
class Segments {
 public:
  Segments(store::Database& database, SegmentLimits limits)
      : database_(database), limits_(limits) {}

  // Reads what is there, and opens the first segment if there is none. Again after a transaction
  // that failed: what is in memory here is ahead of the file then.
  absl::Status Load(int64_t now_us);

  void SetLimits(const SegmentLimits& limits) { limits_ = limits; }

  // REQUIRES: in a transaction. `Flush` before its commit.
  absl::Status Append(Row& row, int64_t agent_id, int64_t now_us);
  absl::Status Flush();

  // Does one task in a transaction of its own. False: there was none, or none that the disk has
  // room for.
  absl::StatusOr<bool> Maintain(int64_t now_us, const DiskPlan& disk);
  // Makes room: gives up the oldest segment (sealing the open one if it is the only one). False:
  // there is nothing left to give up.
  absl::StatusOr<bool> DropOldest(int64_t now_us);
  // A transaction that would make the file larger fails as if the disk were full. What is larger
  // already stays.
  absl::Status BoundFile(int64_t max_bytes);

  // The agents (by id) that any row refers to.
  absl::StatusOr<std::set<int64_t>> AgentsInUse();

  const std::vector<Segment>& list() const { return segments_; }
  int64_t next_id() const { return open().first_id + open().rows; }
  // Of the file, without and with its free pages.
  absl::StatusOr<int64_t> UsedBytes();
  absl::StatusOr<int64_t> FileBytes();
  const SegmentLimits& limits() const { return limits_; }
  uint64_t dropped() const { return dropped_; }
  // Of them, those that only the lack of space made go.
  uint64_t given_up() const { return given_up_; }

 private:
  Segment& open() { return segments_.back(); }
  const Segment& open() const { return segments_.back(); }
  absl::Status Do(const Task& task, int64_t now_us, bool wipe);
  // What a database that an older version made lacks.
  absl::Status AddNewColumns();
  absl::Status Open(uint64_t number, int64_t first_id, int64_t now_us);
  absl::Status Roll(int64_t now_us);
  absl::Status Index(const Segment& segment);
  // Strikes it off in the file only. `wipe`: its pages are overwritten, which writes as much as it
  // holds; else they keep what was in them until they are used again.
  absl::Status Drop(uint64_t number, bool wipe);
  absl::Status RefreshView();

  store::Database& database_;
  SegmentLimits limits_;
  std::vector<Segment> segments_;
  std::optional<store::Statement> insert_;  // into the open segment
  bool has_new_columns_ = false;
  uint64_t dropped_ = 0;
  uint64_t given_up_ = 0;
};

}  // namespace whence::access_log

#endif  // WHENCE_CONTROLPLANE_ACCESS_LOG_SEGMENTS_H_
