#include "controlplane/access_log/disk_plan.h"

#include <algorithm>

namespace whence::access_log {
namespace {

constexpr int64_t kMinSegmentBytes = int64_t{1} << 20;
// Beside what the WAL holds already: a commit, with what SQLite keeps in mind of it.
constexpr int64_t kCommitBytes = int64_t{4} << 20;

}  // namespace

DiskPlan PlanFor(const DiskState& disk, const SegmentLimits& limits) {
  const int64_t pending = std::max<int64_t>(disk.page_bytes - disk.file_bytes, 0);
  // The WAL's file is written again from its start when it has been moved.
  const int64_t available = disk.free_bytes + std::min(disk.wal_bytes, kWalRoomBytes) - pending;
  const int64_t owed = disk.reserve_bytes - disk.reserve_held_bytes;
  DiskPlan plan{.limits = limits};
  plan.max_file_bytes = disk.page_bytes + std::max<int64_t>(available - kWalRoomBytes - owed, 0);
  plan.spare_wal_bytes = std::max<int64_t>(available - kWalRoomBytes / 2, 0);
  plan.can_take_reserve = available >= kWalRoomBytes + owed;
  plan.should_move_wal = pending > 0 && disk.free_bytes < pending + kWalRoomBytes;
  plan.is_backed_up = pending > 0 && disk.free_bytes < pending + kCommitBytes;
  plan.limits.segment_bytes =
      std::min(limits.segment_bytes, std::max(plan.max_file_bytes / 8, kMinSegmentBytes));
  // Not below half of what there is: a disk that others fill must not cost us everything.
  plan.limits.max_bytes = std::min(
      limits.max_bytes,
      std::max(plan.max_file_bytes - 2 * plan.limits.segment_bytes, plan.max_file_bytes / 2));
  return plan;
}

}  // namespace whence::access_log
