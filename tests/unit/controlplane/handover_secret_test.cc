#include "controlplane/handover_secret.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace whence::control {
namespace {

class HandoverSecretTest : public testing::Test {
 protected:
  HandoverSecretTest() {
    std::string form = testing::TempDir() + "secretXXXXXX";
    directory_ = mkdtemp(form.data());
  }
  ~HandoverSecretTest() override { std::filesystem::remove_all(directory_); }
  std::string path() const { return directory_ + "/handover.key"; }

  std::string directory_;
};

TEST_F(HandoverSecretTest, IsMadeOnceAndForNobodyElse) {
  const auto made = LoadHandoverSecret(path());
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->size(), 32u);
  const auto again = LoadHandoverSecret(path());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again, *made);
  struct stat info {};
  ASSERT_EQ(stat(path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const auto other = LoadHandoverSecret(directory_ + "/other.key");
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_NE(*other, *made);
}

// A key of a few bytes, or of none, would be guessed.
TEST_F(HandoverSecretTest, NoOtherSizeWillDo) {
  EXPECT_TRUE(CheckHandoverSecret(*LoadHandoverSecret(path()), "etcd's").ok());
  for (const size_t bytes : {0, 1, 16, 31, 33}) {
    const absl::Status status = CheckHandoverSecret(std::string(bytes, 'x'), "etcd's");
    EXPECT_TRUE(absl::IsDataLoss(status)) << bytes;
    EXPECT_NE(status.message().find("etcd's"), std::string::npos);
  }
}

TEST_F(HandoverSecretTest, ACutOneIsRefusedAndKept) {
  for (const size_t size : {0u, 1u, 31u}) {
    std::ofstream(path(), std::ios::trunc) << std::string(size, 'x');
    const auto loaded = LoadHandoverSecret(path());
    EXPECT_FALSE(loaded.ok()) << size;
    EXPECT_NE(loaded.status().message().find("handover.key"), std::string::npos);
    EXPECT_EQ(std::filesystem::file_size(path()), size);
  }
}

}  // namespace
}  // namespace whence::control
