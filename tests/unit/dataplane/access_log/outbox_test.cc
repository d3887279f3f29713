#include "dataplane/access_log/outbox.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "dataplane/access_log/record_text.h"
#include "tests/support/no_descriptors.h"

namespace whence::access_log {
namespace {

using std::chrono::milliseconds;

v1::IngestBatch Batch(const std::string& boot, uint64_t first_seq, int records) {
  v1::IngestBatch batch;
  batch.set_boot(boot);
  batch.set_first_seq(first_seq);
  for (int i = 0; i < records; ++i) batch.add_records()->set_path(std::string(100, 'p'));
  return batch;
}

class OutboxTest : public testing::Test {
 protected:
  OutboxTest() {
    std::string pattern = testing::TempDir() + "/outbox_test.XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  ~OutboxTest() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<Spool> OpenSpool() { return *Spool::Open(directory_, 1 << 20); }
  // First sequence numbers of all that can be sent now.
  static std::vector<uint64_t> SendAll(Outbox& outbox) {
    std::vector<uint64_t> sent;
    while (std::optional<EncodedBatch> batch = outbox.NextToSend())
      sent.push_back(batch->first_seq());
    return sent;
  }

  std::string directory_;
  Outbox::Time now_{};
};

using Numbers = std::vector<uint64_t>;

TEST_F(OutboxTest, SendsOnceAndForgetsWhatIsAcknowledged) {
  Outbox outbox(nullptr, {});
  outbox.BeginStream();
  outbox.Add(Batch("b", 1, 2), now_);
  outbox.Add(Batch("b", 3, 1), now_);
  EXPECT_EQ(SendAll(outbox), (Numbers{1, 3}));
  EXPECT_EQ(SendAll(outbox), Numbers{});
  outbox.Acknowledge("b", 2);
  EXPECT_FALSE(outbox.WaitUntilEmpty(milliseconds(0)));
  outbox.Acknowledge("b", 3);
  EXPECT_TRUE(outbox.WaitUntilEmpty(milliseconds(0)));
  EXPECT_EQ(outbox.Stats().acknowledged, 3u);
  EXPECT_EQ(outbox.Stats().memory_bytes, 0u);
}

TEST_F(OutboxTest, SendsAgainOnTheNextStreamWhatIsNotAcknowledged) {
  Outbox outbox(nullptr, {});
  outbox.BeginStream();
  for (uint64_t i = 1; i <= 3; ++i) outbox.Add(Batch("b", i, 1), now_);
  EXPECT_EQ(SendAll(outbox), (Numbers{1, 2, 3}));
  outbox.Acknowledge("b", 1);
  outbox.BeginStream();
  EXPECT_EQ(SendAll(outbox), (Numbers{2, 3}));
}

TEST_F(OutboxTest, HoldsBackBeyondTheWindow) {
  OutboxLimits limits;
  limits.window = 2;
  Outbox outbox(nullptr, limits);
  outbox.BeginStream();
  for (uint64_t i = 1; i <= 4; ++i) outbox.Add(Batch("b", i, 1), now_);
  EXPECT_EQ(SendAll(outbox), (Numbers{1, 2}));
  outbox.Acknowledge("b", 1);
  EXPECT_EQ(SendAll(outbox), (Numbers{3}));
}

TEST_F(OutboxTest, SkipsWhatTheServerAlreadyHas) {
  OutboxLimits limits;
  limits.window = 1;
  Outbox outbox(nullptr, limits);
  outbox.BeginStream();
  for (uint64_t i = 1; i <= 4; ++i) outbox.Add(Batch("b", i, 1), now_);
  EXPECT_EQ(SendAll(outbox), (Numbers{1}));
  outbox.Acknowledge("b", 3);  // "everything up to 3 is committed", from an earlier stream
  EXPECT_EQ(SendAll(outbox), (Numbers{4}));
}

TEST_F(OutboxTest, WhatIsTakenInIsInTheSpoolUntilItIsAcknowledged) {
  {
    Outbox outbox(OpenSpool(), {});
    outbox.BeginStream();
    outbox.Add(Batch("b", 1, 2), now_);
    EXPECT_EQ(SendAll(outbox), (Numbers{1}));
    EXPECT_EQ(outbox.Stats().memory_bytes, 0u) << "sent, and on disk";
    outbox.Add(Batch("b", 3, 1), now_);
    outbox.Acknowledge("b", 2);
  }  // killed: nobody told it to spool anything
  Outbox outbox(OpenSpool(), {});
  outbox.BeginStream();
  EXPECT_EQ(SendAll(outbox), (Numbers{1, 3})) << "the acknowledged one is a repetition";
  outbox.Acknowledge("b", 3);
  EXPECT_EQ(outbox.Stats().spool_bytes, 0u);
  EXPECT_TRUE(outbox.WaitUntilEmpty(milliseconds(0)));
}

TEST_F(OutboxTest, ANewStreamSendsAgainWhatWasOnlyOnDisk) {
  Outbox outbox(OpenSpool(), {});
  outbox.BeginStream();
  for (uint64_t i = 1; i <= 3; ++i) outbox.Add(Batch("b", i, 1), now_);
  EXPECT_EQ(SendAll(outbox), (Numbers{1, 2, 3}));
  outbox.Acknowledge("b", 1);
  outbox.BeginStream();
  outbox.Add(Batch("b", 4, 1), now_);
  EXPECT_EQ(SendAll(outbox), (Numbers{1, 2, 3, 4})) << "a segment goes when all of it has arrived";
  outbox.Add(Batch("b", 5, 1), now_);
  EXPECT_EQ(SendAll(outbox), (Numbers{5}));
}

TEST_F(OutboxTest, DoesNotSendTwiceWhatMovedToTheSpool) {
  Outbox outbox(OpenSpool(), {});
  outbox.BeginStream();
  outbox.Add(Batch("b", 1, 1), now_);
  EXPECT_EQ(SendAll(outbox), (Numbers{1}));
  outbox.Add(Batch("b", 2, 1), now_);
  ASSERT_TRUE(outbox.Age(now_ + milliseconds(1'500)).ok());
  outbox.Add(Batch("b", 3, 1), now_);
  EXPECT_EQ(SendAll(outbox), (Numbers{2, 3})) << "oldest first, from the disk and then from memory";
  outbox.Acknowledge("b", 3);
  EXPECT_TRUE(outbox.WaitUntilEmpty(milliseconds(0)));
}

// The acknowledgement of a newer batch would have the older ones forgotten unsent.
TEST_F(OutboxTest, SendsNothingNewerWhileTheSpoolCannotBeRead) {
  Outbox outbox(OpenSpool(), {});
  outbox.Add(Batch("b", 1, 1), now_);
  ASSERT_TRUE(outbox.SpoolAll().ok());
  outbox.Add(Batch("b", 2, 1), now_);
  outbox.BeginStream();
  bool try_again = false;
  {
    const NoDescriptors shortage;
    EXPECT_FALSE(outbox.NextToSend(&try_again).has_value());
  }
  EXPECT_TRUE(try_again);
  EXPECT_EQ(outbox.Stats().spool_errors, 1u);
  EXPECT_EQ(SendAll(outbox), (Numbers{1, 2}));
  EXPECT_FALSE(outbox.NextToSend(&try_again).has_value());
  EXPECT_FALSE(try_again) << "all is sent";
}

TEST_F(OutboxTest, SendsEarlierBootsFirst) {
  {
    Outbox outbox(OpenSpool(), {});
    outbox.Add(Batch("old", 1, 3), now_);
    outbox.Add(Batch("old", 4, 3), now_);
    ASSERT_TRUE(outbox.SpoolAll().ok());
  }
  Outbox outbox(OpenSpool(), {});
  outbox.Add(Batch("new", 1, 1), now_);
  outbox.BeginStream();
  std::vector<std::pair<std::string, uint64_t>> sent;
  while (std::optional<EncodedBatch> batch = outbox.NextToSend())
    sent.emplace_back(batch->boot(), batch->first_seq());
  EXPECT_EQ(sent,
            (std::vector<std::pair<std::string, uint64_t>>{{"old", 1}, {"old", 4}, {"new", 1}}));
}

TEST_F(OutboxTest, MovesToTheSpoolWhenMemoryIsFull) {
  OutboxLimits limits;
  limits.memory_bytes = 4'000;
  Outbox outbox(OpenSpool(), limits);
  for (uint64_t i = 0; i < 100; ++i) outbox.Add(Batch("b", i * 5 + 1, 5), now_);
  EXPECT_LE(outbox.Stats().memory_bytes, limits.memory_bytes);
  EXPECT_EQ(outbox.Stats().dropped, 0u);
  EXPECT_GT(outbox.Stats().spool_bytes, 0u);
}

// Fault 49: the control plane is away for longer than the spool is large. What is read back in the
// end, and its gaps, come to exactly what was written; what was written was never held up.
TEST_F(OutboxTest, BeyondTheSpoolTheSumStillHolds) {
  OutboxLimits limits;
  limits.window = 1'000'000;
  Outbox outbox(*Spool::Open(directory_, 256 << 10), limits);
  uint64_t written = 0;
  for (int i = 0; i < 2'000; ++i) {
    outbox.Add(Batch("b", written + 1, 5), now_);
    written += 5;
  }
  const OutboxStats stats = outbox.Stats();
  EXPECT_LE(stats.spool_bytes, uint64_t{256} << 10);
  EXPECT_GT(stats.dropped, 0u);
  outbox.BeginStream();
  uint64_t counted = 0, last = 0;
  while (std::optional<EncodedBatch> batch = outbox.NextToSend()) {
    EXPECT_GT(batch->first_seq(), last);
    last = batch->last_seq();
    counted += batch->accesses();
  }
  EXPECT_EQ(counted, written);
  EXPECT_EQ(last, written);
}

TEST_F(OutboxTest, WithoutASpoolTheLossIsARecord) {
  OutboxLimits limits;
  limits.memory_bytes = 4'000;
  limits.window = 1'000;
  Outbox outbox(nullptr, limits);
  uint64_t written = 0;
  for (int i = 0; i < 100; ++i) {
    outbox.Add(Batch("b", written + 1, 5), now_);
    written += 5;
  }
  EXPECT_LE(outbox.Stats().memory_bytes, limits.memory_bytes);
  EXPECT_GT(outbox.Stats().dropped, 0u);
  outbox.BeginStream();
  uint64_t counted = 0;
  uint64_t next = 0;
  while (std::optional<EncodedBatch> batch = outbox.NextToSend()) {
    EXPECT_TRUE(next == 0 || batch->first_seq() == next);
    next = batch->first_seq() + batch->records();
    counted += batch->accesses();
  }
  EXPECT_EQ(counted, written);
}

}  // namespace
}  // namespace whence::access_log
