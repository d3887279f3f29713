#include "controlplane/security/refusals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace whence::security {
namespace {

using ::testing::HasSubstr;

TEST(RefusalsTest, CountsRepetitionsAsOneAndKeepsTheLatestFirst) {
  SystemClock clock;
  log::Logger logger(log::Level::kOff);
  Refusals refusals(clock, logger);
  for (int i = 0; i < 1000; ++i) refusals.Record({"a", "ip:" + std::to_string(i), "/m", "no"});
  refusals.Record({"b", "", "/m", "no"});
  refusals.Record({"a", "last", "/m", "no"});
  std::vector<RefusalEntry> entries = refusals.Entries();
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].refusal.peer, "a");
  EXPECT_EQ(entries[0].refusal.address, "last");
  EXPECT_EQ(entries[0].count, 1001u);
  EXPECT_EQ(entries[1].count, 1u);
  EXPECT_EQ(refusals.total(), 1002u);
  metrics::TextWriter out;
  refusals.Collect(out);
  EXPECT_THAT(out.text(), HasSubstr("whence_control_refused_calls_total 1002"));
}

TEST(RefusalsTest, IsBoundedInNumberAndText) {
  SystemClock clock;
  log::Logger logger(log::Level::kOff);
  Refusals refusals(clock, logger);
  for (size_t i = 0; i < 2 * Refusals::kMaxEntries; ++i) {
    refusals.Record({std::to_string(i), "", "/m", std::string(100'000, 'x') + "\xff"});
  }
  std::vector<RefusalEntry> entries = refusals.Entries();
  EXPECT_EQ(entries.size(), Refusals::kMaxEntries);
  EXPECT_EQ(entries[0].refusal.peer, "511");
  EXPECT_LE(entries[0].refusal.reason.size(), 512u);
  EXPECT_EQ(refusals.total(), 2 * Refusals::kMaxEntries);
}

}  // namespace
}  // namespace whence::security
