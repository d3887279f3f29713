// How much of the disk logs.db may take. Pure.
//
// SQLite needs the disk three times for what it stores: the write-ahead log (WAL) grows first, then
// the log is moved into the file, which grows by it, and only then can the log begin anew. A disk
// that is filled to the last block between the first and the second leaves both stuck for ever: the
// log cannot be moved, and nothing can be dropped, since that is written to the log as well. So the
// file stops growing while the log still has room:
//
//   | file, as it will be when the log is moved | max. growth | room for the WAL | reserve | others |
//
// and from then on old segments are dropped early enough that new records find free pages in it.
#ifndef WHENCE_CONTROLPLANE_ACCESS_LOG_DISK_PLAN_H_
#define WHENCE_CONTROLPLANE_ACCESS_LOG_DISK_PLAN_H_

#include <cstdint>

#include "controlplane/access_log/segments.h"

namespace whence::access_log {

// More than the WAL comes to: SQLite moves it when it has 1000 pages of 8 KiB, and a commit that
// makes it larger is bounded.
inline constexpr int64_t kWalRoomBytes = int64_t{16} << 20;

struct DiskState {
  int64_t free_bytes = 0;
  int64_t wal_bytes = 0;   // of the WAL's file
  int64_t file_bytes = 0;  // of the file on the disk
  int64_t page_bytes = 0;  // of all pages: what the file has when the WAL is moved
  int64_t reserve_bytes = 0, reserve_held_bytes = 0;
};

struct DiskPlan {
  SegmentLimits limits;         // so that what the disk cannot hold is dropped in time
  int64_t max_file_bytes = 0;   // the file is not to grow beyond
  int64_t spare_wal_bytes = 0;  // what one transaction of maintenance may write
  bool can_take_reserve = false;
  // The WAL is better moved now: the disk may soon have no room for what is in it.
  bool should_move_wal = false;
  // It has none: more of the WAL would have none either.
  bool is_backed_up = false;
};

DiskPlan PlanFor(const DiskState& disk, const SegmentLimits& limits);

}  // namespace whence::access_log

#endif  // WHENCE_CONTROLPLANE_ACCESS_LOG_DISK_PLAN_H_
