#include "controlplane/access_log/disk_plan.h"

#include <gtest/gtest.h>

namespace whence::access_log {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr SegmentLimits kLimits{.max_bytes = 10240 * kMiB, .segment_bytes = 64 * kMiB};

TEST(DiskPlanTest, LeavesRoomForTheLogAndTheReserve) {
  const struct {
    const char* name;
    DiskState disk;
    int64_t max_file_mib, segment_mib, max_mib, spare_mib;
    bool can_take_reserve, is_backed_up;
  } kRows[] = {
      {"a large disk changes nothing",
       {.free_bytes = 100000 * kMiB, .reserve_bytes = 16 * kMiB},
       100000 - 32,
       64,
       10240,
       100000 - 8,
       true,
       false},
      {"the reserve that is held is not free any more",
       {.free_bytes = 132 * kMiB, .reserve_bytes = 16 * kMiB, .reserve_held_bytes = 16 * kMiB},
       116,
       14,
       87,
       124,
       true,
       false},
      {"a log that can begin anew is its own room",
       {.free_bytes = 0,
        .wal_bytes = 40 * kMiB,
        .file_bytes = 80 * kMiB,
        .page_bytes = 80 * kMiB,
        .reserve_bytes = 16 * kMiB},
       80,
       10,
       60,
       8,
       false,
       false},
      {"full: no growth",
       {.file_bytes = 800 * kMiB, .page_bytes = 800 * kMiB, .reserve_bytes = 16 * kMiB},
       800,
       64,
       672,
       0,
       false,
       false},
      {"half of a small file stays",
       {.file_bytes = 2 * kMiB, .page_bytes = 2 * kMiB, .reserve_bytes = 16 * kMiB},
       2,
       1,
       1,
       0,
       false,
       false},
      {"what waits in the log is not free",
       {.free_bytes = 40 * kMiB,
        .wal_bytes = 30 * kMiB,
        .file_bytes = 10 * kMiB,
        .page_bytes = 30 * kMiB,
        .reserve_bytes = 16 * kMiB},
       34,
       4,
       25,
       28,
       true,
       false},
      {"no more into a log that cannot be moved",
       {.free_bytes = 12 * kMiB,
        .wal_bytes = 30 * kMiB,
        .file_bytes = 10 * kMiB,
        .page_bytes = 20 * kMiB,
        .reserve_bytes = 16 * kMiB},
       20,
       2,
       15,
       10,
       false,
       true},
  };
  for (const auto& row : kRows) {
    const DiskPlan plan = PlanFor(row.disk, kLimits);
    EXPECT_EQ(plan.max_file_bytes / kMiB, row.max_file_mib) << row.name;
    EXPECT_EQ(plan.limits.segment_bytes / kMiB, row.segment_mib) << row.name;
    EXPECT_EQ(plan.limits.max_bytes / kMiB, row.max_mib) << row.name;
    EXPECT_EQ(plan.spare_wal_bytes / kMiB, row.spare_mib) << row.name;
    EXPECT_EQ(plan.can_take_reserve, row.can_take_reserve) << row.name;
    EXPECT_EQ(plan.is_backed_up, row.is_backed_up) << row.name;
    EXPECT_TRUE(plan.should_move_wal || !plan.is_backed_up) << row.name;
  }
}

TEST(DiskPlanTest, MovesTheLogWhileThereIsRoomForIt) {
  DiskState disk{.wal_bytes = 8 * kMiB, .file_bytes = 100 * kMiB, .page_bytes = 108 * kMiB};
  disk.free_bytes = 24 * kMiB;
  EXPECT_FALSE(PlanFor(disk, kLimits).should_move_wal);
  disk.free_bytes = 23 * kMiB;
  EXPECT_TRUE(PlanFor(disk, kLimits).should_move_wal);
  EXPECT_FALSE(PlanFor(disk, kLimits).is_backed_up);
  disk.page_bytes = disk.file_bytes;  // It is moved.
  EXPECT_FALSE(PlanFor(disk, kLimits).should_move_wal);
}

}  // namespace
}  // namespace whence::access_log
