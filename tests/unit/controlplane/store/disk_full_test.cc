// The configuration when others have filled the disk: on a small tmpfs of our own, in a mount
// namespace of our own. Needs root; skipped without.
#include <gtest/gtest.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "controlplane/store/sqlite_store.h"
#include "tests/unit/controlplane/store/store_test.h"

namespace whence::store {
namespace {

class StoreDiskFullTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/store_full_XXXXXX";
    directory_ = mkdtemp(pattern.data());
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("tmpfs", directory_.c_str(), "tmpfs", 0, "size=16m") != 0) {
      // Root must run it.
      ASSERT_NE(geteuid(), 0u) << "no mount namespace: " << strerror(errno);
      GTEST_SKIP() << "no mount namespace";
    }
  }
  void TearDown() override {
    store_.reset();
    umount2(directory_.c_str(), MNT_DETACH);
    std::filesystem::remove_all(directory_);
  }
  void Open(int64_t reserve_bytes) {
    auto store = SqliteStore::Open(directory_ + "/config.db", reserve_bytes);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  absl::StatusOr<CommitResult> Commit(int number) {
    return store_->Commit(Put({Policy("p" + std::to_string(number), "10.0.0.0/8")}));
  }
  // Takes all the space that is left.
  void FillDisk() {
    std::ofstream filler(directory_ + "/filler", std::ios::binary | std::ios::app);
    const std::string block(4096, 'x');
    while (filler.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) continue;
  }

  std::string directory_;
  std::unique_ptr<SqliteStore> store_;
};

TEST_F(StoreDiskFullTest, WritesGoOnInTheReserve) {
  Open(4 << 20);
  FillDisk();
  for (int i = 1; i <= 300; ++i) {
    absl::StatusOr<CommitResult> result = Commit(i);
    ASSERT_TRUE(result.ok()) << i << ": " << result.status();
    EXPECT_EQ(result->revision, static_cast<uint64_t>(i));
    if (i % 100 == 50) FillDisk();  // What it leaves free is little.
  }
}

TEST_F(StoreDiskFullTest, AReserveOfAnEarlierRunOpensAndServes) {
  Open(4 << 20);
  ASSERT_TRUE(Commit(1).ok());
  for (int i = 2; i < 10; ++i) {
    FillDisk();
    store_.reset();
    FillDisk();  // What was the log's, and its index's.
    ASSERT_NO_FATAL_FAILURE(Open(4 << 20));
    absl::StatusOr<CommitResult> result = Commit(i);
    ASSERT_TRUE(result.ok()) << i << ": " << result.status();
  }
}

TEST_F(StoreDiskFullTest, WithoutAReserveNothingChangesUntilThereIsSpace) {
  Open(0);
  ASSERT_TRUE(Commit(1).ok());
  FillDisk();
  absl::StatusOr<CommitResult> result = Commit(2);
  for (int i = 3; i < 1000 && result.ok(); ++i) result = Commit(i);  // what the log still holds
  EXPECT_EQ(result.status().code(), absl::StatusCode::kResourceExhausted) << result.status();
  const uint64_t last = *store_->LatestRevision();
  EXPECT_FALSE(Commit(5000).ok());
  EXPECT_EQ(*store_->LatestRevision(), last);
  std::filesystem::remove(directory_ + "/filler");
  EXPECT_TRUE(Commit(5000).ok());
}

}  // namespace
}  // namespace whence::store

// ctest shows 77 as skipped; GoogleTest alone calls a skipped test a good one.
int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const int code = RUN_ALL_TESTS();
  const testing::UnitTest& all = *testing::UnitTest::GetInstance();
  return code == 0 && all.skipped_test_count() == all.test_to_run_count() ? 77 : code;
}
