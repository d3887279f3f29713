#include "dataplane/storage/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

namespace whence::storage {
namespace {

class FileTest : public testing::Test {
 protected:
  FileTest() {
    std::string pattern = testing::TempDir() + "/file_test.XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  ~FileTest() override { std::filesystem::remove_all(directory_); }
  std::string directory_;
};

TEST_F(FileTest, ReplacesAFileWhole) {
  const std::string path = directory_ + "/a";
  ASSERT_TRUE(WriteFileAtomically(path, "first").ok());
  ASSERT_TRUE(WriteFileAtomically(path, "second").ok());
  EXPECT_EQ(*ReadFile(path, 100), "second");
  EXPECT_EQ(*ListFiles(directory_), std::vector<std::string>{"a"}) << "no temporary file is left";
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 077, 0u) << "configuration and addresses are nobody else's";
}

TEST_F(FileTest, SaysWhatIsMissing) {
  const auto missing = ReadFile(directory_ + "/none", 100);
  EXPECT_TRUE(absl::IsNotFound(missing.status()));
  EXPECT_NE(std::string(missing.status().message()).find("none"), std::string::npos);
  ASSERT_TRUE(WriteFileAtomically(directory_ + "/big", std::string(101, 'x')).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(ReadFile(directory_ + "/big", 100).status()));
  EXPECT_TRUE(RemoveFile(directory_ + "/none").ok());
}

TEST_F(FileTest, MakesFoldersOnTheWay) {
  ASSERT_TRUE(MakeDirectory(directory_ + "/x/y/z").ok());
  ASSERT_TRUE(MakeDirectory(directory_ + "/x/y/z").ok());
  ASSERT_TRUE(WriteFileAtomically(directory_ + "/x/file", "").ok());
  EXPECT_FALSE(MakeDirectory(directory_ + "/x/file").ok());
}

TEST(SealTest, FindsEveryDamage) {
  const std::string sealed = Seal("hello, world");
  EXPECT_EQ(*Unseal(sealed), "hello, world");
  for (size_t i = 0; i < sealed.size(); ++i) {
    std::string damaged = sealed;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_FALSE(Unseal(damaged).ok()) << "bit flipped in byte " << i;
    EXPECT_FALSE(Unseal(sealed.substr(0, i)).ok()) << "cut after " << i;
  }
  EXPECT_FALSE(Unseal(sealed + "x").ok());
}

}  // namespace
}  // namespace whence::storage
