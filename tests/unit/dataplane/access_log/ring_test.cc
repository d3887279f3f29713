#include "dataplane/access_log/ring.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>

namespace whence::access_log {
namespace {

Record Numbered(uint64_t number) {
  Record record;
  record.bytes_in = number;
  record.Set(Text::kPath, "/" + std::to_string(number));
  return record;
}

TEST(RingTest, GivesBackWhatWasPushedInOrder) {
  Ring ring(4);
  for (uint64_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(ring.TryPush(Numbered(i)));
    ASSERT_TRUE(ring.TryPush(Numbered(i + 1'000)));
    Record out;
    ASSERT_TRUE(ring.TryPop(&out));
    EXPECT_EQ(out.bytes_in, i);
    EXPECT_EQ(out.Get(Text::kPath), "/" + std::to_string(i));
    ASSERT_TRUE(ring.TryPop(&out));
    EXPECT_EQ(out.bytes_in, i + 1'000);
    EXPECT_FALSE(ring.TryPop(&out));
  }
}

TEST(RingTest, DropsAndCountsWhenFull) {
  Ring ring(4);
  for (uint64_t i = 0; i < 4; ++i) EXPECT_TRUE(ring.TryPush(Numbered(i)));
  EXPECT_FALSE(ring.TryPush(Numbered(4)));
  EXPECT_FALSE(ring.TryPush(Numbered(5)));
  EXPECT_EQ(ring.size(), 4u);
  EXPECT_EQ(ring.TakeDropped(), 2u);
  EXPECT_EQ(ring.TakeDropped(), 0u);
  EXPECT_EQ(ring.dropped(), 2u);
  Record out;
  ASSERT_TRUE(ring.TryPop(&out));
  EXPECT_EQ(out.bytes_in, 0u);
  EXPECT_TRUE(ring.TryPush(Numbered(6)));
}

TEST(RingTest, RoundsItsCapacityUp) {
  EXPECT_EQ(Ring(0).capacity(), 2u);
  EXPECT_EQ(Ring(5).capacity(), 8u);
}

TEST(RingTest, WakesOncePerFilledQuarter) {
  int woken = 0;
  Ring ring(8, [&] { ++woken; });
  ring.TryPush(Numbered(0));
  EXPECT_EQ(woken, 0);
  ring.TryPush(Numbered(1));
  EXPECT_EQ(woken, 1);
  ring.TryPush(Numbered(2));
  EXPECT_EQ(woken, 1) << "the consumer has been told";
  ring.ArmWake();
  ring.TryPush(Numbered(3));
  EXPECT_EQ(woken, 2) << "still more than a quarter, and the consumer asked again";
}

// Under TSan this also proves that a slot is never read while it is written.
TEST(RingTest, LosesNothingBetweenThreads) {
  constexpr uint64_t kRecords = 200'000;
  Ring ring(64);
  uint64_t refused = 0;
  std::thread producer([&] {
    for (uint64_t i = 0; i < kRecords; ++i) {
      if (!ring.TryPush(Numbered(i))) ++refused;
    }
  });
  uint64_t received = 0;
  uint64_t last = 0;
  const auto drain = [&] {
    Record out;
    while (ring.TryPop(&out)) {
      ASSERT_TRUE(received == 0 || out.bytes_in > last) << "order";
      ASSERT_EQ(out.Get(Text::kPath), "/" + std::to_string(out.bytes_in));
      last = out.bytes_in;
      ++received;
    }
  };
  uint64_t dropped = 0;
  while (received + dropped < kRecords) {
    drain();
    dropped += ring.TakeDropped();
    std::this_thread::yield();
  }
  producer.join();
  EXPECT_EQ(dropped, refused);
  EXPECT_EQ(received + dropped, kRecords);
  EXPECT_GT(received, 0u);
}

}  // namespace
}  // namespace whence::access_log
