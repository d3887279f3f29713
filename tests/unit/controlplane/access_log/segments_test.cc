#include "controlplane/access_log/segments.h"

#include <gtest/gtest.h>

#include "controlplane/access_log/schema.h"

namespace whence::access_log {
namespace {

constexpr int64_t kSecond = 1000000;
constexpr SegmentLimits kLimits{.retention = std::chrono::seconds(1000),
                                .max_bytes = 1000,
                                .segment_bytes = 100,
                                .segment_age = std::chrono::seconds(60)};

Segment Sealed(uint64_t number, int64_t newest_us, int indexes = 2) {
  return {.number = number, .rows = 5, .newest_us = newest_us, .indexes = indexes, .sealed = true};
}
Segment SealedAt(uint64_t number, int64_t opened_us, int64_t newest_us) {
  Segment segment = Sealed(number, newest_us);
  segment.opened_us = opened_us;
  return segment;
}
Segment Open(uint64_t number, int64_t rows, int64_t bytes, int64_t opened_us) {
  return {.number = number, .rows = rows, .bytes = bytes, .opened_us = opened_us};
}

TEST(NextTaskTest, DecidesWhatIsDue) {
  const int64_t now = 5000 * kSecond;
  const int64_t fresh = now - kSecond;
  const int64_t expired = now - 1001 * kSecond;
  const int64_t to_come = now + 100000 * kSecond;
  const struct {
    const char* name;
    std::vector<Segment> segments;
    int64_t used_bytes;
    Task want;
  } kRows[] = {
      {"nothing", {Open(1, 3, 30, fresh)}, 500, {}},
      {"an empty segment is never sealed", {Open(1, 0, 0, 0)}, 5000, {}},
      {"full", {Open(1, 3, 100, fresh)}, 500, {TaskKind::kRoll, 1}},
      {"old", {Open(1, 1, 10, now - 60 * kSecond)}, 500, {TaskKind::kRoll, 1}},
      {"index the sealed", {Sealed(1, fresh, 1), Open(2, 0, 0, fresh)}, 500, {TaskKind::kIndex, 1}},
      {"the oldest index first",
       {Sealed(1, fresh), Sealed(2, fresh, 0), Sealed(3, fresh, 0), Open(4, 0, 0, fresh)},
       500,
       {TaskKind::kIndex, 2}},
      {"just not expired", {Sealed(1, now - 1000 * kSecond), Open(2, 0, 0, fresh)}, 500, {}},
      {"expired",
       {Sealed(1, now - 1000 * kSecond - 1), Open(2, 0, 0, fresh)},
       500,
       {TaskKind::kDrop, 1}},
      {"a time to come does not keep what is behind it",
       {SealedAt(1, expired, to_come), SealedAt(2, to_come, expired), Open(3, 0, 0, fresh)},
       500,
       {TaskKind::kDrop, 2}},
      {"nor itself: the next one was opened long ago",
       {SealedAt(1, expired, to_come), SealedAt(2, expired, fresh), Open(3, 0, 0, fresh)},
       500,
       {TaskKind::kDrop, 1}},
      {"a clock that is behind drops nothing",
       {SealedAt(1, to_come, to_come), SealedAt(2, fresh, fresh), Open(3, 0, 0, to_come)},
       500,
       {}},
      {"opened at a time to come", {Open(1, 1, 10, to_come)}, 500, {TaskKind::kRoll, 1}},
      {"too large", {Sealed(1, fresh), Open(2, 3, 30, fresh)}, 1001, {TaskKind::kDrop, 1}},
      {"too large and only the open one", {Open(2, 3, 30, fresh)}, 1001, {TaskKind::kRoll, 2}},
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(NextTask(row.segments, kLimits, row.used_bytes, now), row.want) << row.name;
  }
}

TEST(NextTaskTest, NeverMoreSegmentsThanTheViewCanHold) {
  std::vector<Segment> segments;
  for (uint64_t i = 1; i < kMaxSegments; ++i) segments.push_back(Sealed(i, 0));
  segments.push_back(Open(kMaxSegments, 1, 1, 0));
  EXPECT_EQ(NextTask(segments, kLimits, 0, 0), (Task{TaskKind::kDrop, 1}));
}

TEST(SegmentLimitsTest, KeepWithinTheViewForAnyRetention) {
  for (auto retention :
       {std::chrono::hours(1), std::chrono::hours(7 * 24), std::chrono::hours(24 * 365 * 10)}) {
    for (int64_t max_bytes : {int64_t{1}, int64_t{10} << 30, int64_t{1} << 42}) {
      SegmentLimits limits = SegmentLimits::For(retention, max_bytes);
      EXPECT_LE(limits.retention / limits.segment_age + limits.max_bytes / limits.segment_bytes,
                360);
      EXPECT_GE(limits.max_bytes / limits.segment_bytes, 8);
    }
  }
}

TEST(ViewTest, HoldsAsManySegmentsAsAreAllowed) {
  auto database = store::Database::Open(testing::TempDir() + "/view_test.db");
  ASSERT_TRUE(database.ok()) << database.status();
  std::vector<uint64_t> numbers;
  auto transaction = store::Transaction::Begin(**database);  // For speed; it is rolled back.
  ASSERT_TRUE((*database)->Execute("drop view if exists access_log", "start anew").ok());
  ASSERT_TRUE((*database)
                  ->Execute("drop table if exists agents; create table agents(id, agent, "
                            "workload, namespace, node, role)",
                            "start anew")
                  .ok());
  for (uint64_t i = 1; i <= kMaxSegments; ++i) {
    (void)(*database)->Execute(DropSegmentSql(i), "start anew");
    ASSERT_TRUE((*database)->Execute(CreateSegmentSql(i), "create").ok());
    numbers.push_back(i);
  }
  ASSERT_TRUE((*database)->Execute(CreateViewSql(numbers), "create").ok());
  absl::StatusOr<int64_t> rows = (*database)->QueryInt("select count(*) from access_log", "count");
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ(*rows, 0);
}

}  // namespace
}  // namespace whence::access_log
