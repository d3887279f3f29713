#include "dataplane/access_log/tally.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "dataplane/access_log/outbox.h"
#include "dataplane/access_log/ring.h"

namespace whence::access_log {
namespace {

class TallyTest : public testing::Test {
 protected:
  TallyTest() {
    std::string pattern = testing::TempDir() + "/tally_test.XXXXXX";
    directory_ = mkdtemp(pattern.data());
    path_ = directory_ + "/tally";
  }
  ~TallyTest() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<Tally> Load() { return *Tally::Load(path_); }

  std::string directory_, path_;
};

TEST_F(TallyTest, WhatWasBegunAndNotCarriedIsLost) {
  {
    auto tally = *Tally::Create(path_, "boot-1", 2);
    *tally->begun(0) = 10;
    *tally->begun(1) = 5;
    tally->Prepare(8, 7);
    tally->Commit();
  }
  const auto tally = Load();
  EXPECT_EQ(tally->boot(), "boot-1");
  const Tally::Loss loss = tally->Resolve(7);
  EXPECT_EQ(loss.accesses, 8u);
  EXPECT_EQ(loss.seq, 8u);
}

// Killed between preparing, appending and committing: the spool tells which count is true.
TEST_F(TallyTest, TheSpoolDecidesBetweenTheTwoCounts) {
  const struct {
    const char* name;
    std::optional<uint64_t> spooled;
    uint64_t lost, seq;
  } kRows[] = {
      {"not appended", 7, 93, 8},
      {"appended", 9, 88, 10},
      {"all of it was acknowledged and is gone", std::nullopt, 93, 8},
  };
  for (const auto& row : kRows) {
    {
      auto tally = *Tally::Create(path_, "b", 1);
      *tally->begun(0) = 100;
      tally->Prepare(8, 7);
      tally->Commit();
      tally->Prepare(10, 5);
    }
    const auto tally = Load();
    const Tally::Loss loss = tally->Resolve(row.spooled);
    EXPECT_EQ(loss.accesses, row.lost) << row.name;
    EXPECT_EQ(loss.seq, row.seq) << row.name;
    // And the start that reports it may be killed as well, before and after it did.
    tally->Prepare(loss.seq + 1, loss.accesses);
    EXPECT_EQ(Load()->Resolve(loss.seq).accesses, 0u) << row.name;
  }
}

TEST_F(TallyTest, ForeignFilesAreNoTally) {
  EXPECT_EQ(Load(), nullptr);
  std::ofstream(path_) << "something else";
  EXPECT_EQ(Load(), nullptr);
  { auto tally = *Tally::Create(path_, "b", 1); }
  std::fstream(path_, std::ios::in | std::ios::out | std::ios::binary).write("X", 1);
  EXPECT_EQ(Load(), nullptr);
  EXPECT_FALSE(Tally::Create(path_, "b", 1000).ok());
  EXPECT_FALSE(Tally::Create(directory_ + "/no/tally", "b", 1).ok());
}

// Fault 50. A process that begins accesses, carries some out and is killed, at any moment.
TEST_F(TallyTest, AfterAKillEveryAccessIsInTheSpoolOrCounted) {
  for (int round = 0; round < 20; ++round) {
    const std::string spool_directory = directory_ + "/spool-" + std::to_string(round);
    int progress[2];
    ASSERT_EQ(pipe(progress), 0);
    const pid_t child = fork();
    if (child == 0) {
      auto tally = *Tally::Create(path_, "b", 1);
      std::atomic<uint64_t>& begun = *tally->begun(0);
      Outbox outbox(*Spool::Open(spool_directory, 64 << 20), {}, std::move(tally));
      for (uint64_t seq = 1;; seq += 7) {
        EncodedBatch batch("b", seq);
        for (int i = 0; i < 7; ++i) {
          begun.store(begun.load() + 1);
          batch.Add(Record());
        }
        outbox.Add(std::move(batch), Outbox::Time());
        if (write(progress[1], "x", 1) != 1) _exit(1);
      }
    }
    char byte;
    for (int i = 0; i < 50 + 13 * round; ++i) ASSERT_EQ(read(progress[0], &byte, 1), 1);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    close(progress[0]);
    close(progress[1]);
    auto spool = *Spool::Open(spool_directory, 64 << 20);
    const auto tally = Load();
    const Tally::Loss loss = tally->Resolve(spool->LastSeq("b"));
    uint64_t carried = 0;
    Spool::Position position;
    bool failed = false;
    while (auto batch = spool->Next(&position, &failed)) carried += batch->accesses();
    EXPECT_EQ(carried + loss.accesses, tally->begun(0)->load());
    EXPECT_EQ(loss.seq, carried + 1);
    EXPECT_LE(loss.accesses, 7u);
  }
}

TEST_F(TallyTest, ARingCountsWhatIsBegun) {
  auto tally = *Tally::Create(path_, "b", 1);
  Ring ring(4);
  ring.CountAt(tally->begun(0));
  ring.Begin();
  ring.Begin();
  EXPECT_TRUE(ring.TryPush(Record()));
  EXPECT_EQ(tally->begun(0)->load(), 2u);
}

}  // namespace
}  // namespace whence::access_log
