#include "dataplane/access_log/ring.h"

#include <gtest/gtest.h>

#include <optional>
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

// What the ring takes for one of them.
size_t BytesOf(const Record& record) { return (record.used_bytes() + 7) / 8 * 8; }

// Takes the oldest out.
std::optional<Record> Take(Ring& ring) {
  std::optional<Record> copy(std::in_place);
  if (!ring.TryPop(&*copy)) return std::nullopt;
  return copy;
}

TEST(RingTest, GivesBackWhatWasPushedInOrder) {
  Ring ring;
  for (uint64_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(ring.TryPush(Numbered(i)));
    ASSERT_TRUE(ring.TryPush(Numbered(i + 1'000)));
    for (const uint64_t number : {i, i + 1'000}) {
      const std::optional<Record> out = Take(ring);
      ASSERT_TRUE(out);
      EXPECT_EQ(out->bytes_in, number);
      EXPECT_EQ(out->Get(Text::kPath), "/" + std::to_string(number));
    }
    EXPECT_EQ(ring.Front(), nullptr);
  }
}

// Of every length, so that one lies across the end at every offset.
TEST(RingTest, ARecordMayLieAcrossTheEnd) {
  Ring ring(0);
  for (uint64_t i = 0; i < 5'000; ++i) {
    Record record = Numbered(i);
    record.Set(Text::kPath, std::string(i % 256, static_cast<char>('a' + i % 26)));
    record.Set(Text::kForwardedFor, std::string(i * 7 % 224, 'f'));
    ASSERT_TRUE(ring.TryPush(record));
    if (i == 0) continue;  // one stays in it
    const std::optional<Record> out = Take(ring);
    ASSERT_TRUE(out);
    ASSERT_EQ(out->bytes_in, i - 1);
    ASSERT_EQ(out->Get(Text::kPath),
              std::string((i - 1) % 256, static_cast<char>('a' + (i - 1) % 26)));
    ASSERT_EQ(out->Get(Text::kForwardedFor), std::string((i - 1) * 7 % 224, 'f'));
  }
}

TEST(RingTest, DropsAndCountsWhenFull) {
  Ring ring(4096);
  const uint64_t room = 4096 / BytesOf(Numbered(0));
  for (uint64_t i = 0; i < room; ++i) EXPECT_TRUE(ring.TryPush(Numbered(0)));
  EXPECT_FALSE(ring.TryPush(Numbered(4)));
  EXPECT_FALSE(ring.TryPush(Numbered(5)));
  EXPECT_EQ(ring.TakeDropped(), 2u);
  EXPECT_EQ(ring.TakeDropped(), 0u);
  EXPECT_EQ(ring.dropped(), 2u);
  EXPECT_EQ(Take(ring)->bytes_in, 0u);
  EXPECT_TRUE(ring.TryPush(Numbered(6)));
}

TEST(RingTest, HoldsTwoOfTheLargest) {
  Ring ring(0);
  Record record;
  for (size_t i = 0; i < kTextCount; ++i) record.Set(static_cast<Text>(i), std::string(999, 'x'));
  EXPECT_TRUE(ring.TryPush(record));
  EXPECT_TRUE(ring.TryPush(record));
  EXPECT_FALSE(ring.TryPush(record));
}

TEST(RingTest, WakesOncePerFilledSixteenth) {
  int woken = 0;
  Ring ring(32 << 10, [&] { ++woken; });
  const size_t sixteenth = 2048 / BytesOf(Numbered(0));
  for (size_t i = 0; i < sixteenth; ++i) ring.TryPush(Numbered(0));
  EXPECT_EQ(woken, 0);
  ring.TryPush(Numbered(1));
  EXPECT_EQ(woken, 1);
  ring.TryPush(Numbered(2));
  EXPECT_EQ(woken, 1) << "the consumer has been told";
  ring.ArmWake();
  ring.TryPush(Numbered(3));
  EXPECT_EQ(woken, 2) << "still more than a sixteenth, and the consumer asked again";
}

// Under TSan this also proves that a record is never read while it is written.
TEST(RingTest, LosesNothingBetweenThreads) {
  constexpr uint64_t kRecords = 200'000;
  Ring ring(16 << 10);
  uint64_t refused = 0;
  std::thread producer([&] {
    for (uint64_t i = 0; i < kRecords; ++i) {
      if (!ring.TryPush(Numbered(i))) ++refused;
    }
  });
  uint64_t received = 0;
  uint64_t last = 0;
  const auto drain = [&] {
    while (const Record* const record = ring.Front()) {
      ASSERT_TRUE(received == 0 || record->bytes_in > last) << "order";
      ASSERT_EQ(record->Get(Text::kPath), "/" + std::to_string(record->bytes_in));
      last = record->bytes_in;
      ++received;
      ring.Pop();
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
