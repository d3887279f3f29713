#include "dataplane/discovery/last_good.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace whence::discovery {
namespace {

class LastGoodTest : public testing::Test {
 protected:
  LastGoodTest() {
    std::string pattern = testing::TempDir() + "/last_good_test.XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  ~LastGoodTest() override { std::filesystem::remove_all(directory_); }

  size_t FileCount() const {
    size_t count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_))
      count += entry.is_regular_file();
    return count;
  }

  std::string directory_;
};

TEST_F(LastGoodTest, GivesBackWhatWasSaved) {
  LastGoodStore store(directory_ + "/config");
  EXPECT_TRUE(absl::IsNotFound(store.Load().status()));
  ASSERT_TRUE(store.SaveIpSet({"shop/cdn", "aa", "cdn bytes"}).ok());
  ASSERT_TRUE(store.SaveBundle({"shop/echo", "v1", "bundle bytes"}, {{"shop/cdn", "aa"}}).ok());
  const absl::StatusOr<LastGood> loaded = LastGoodStore(directory_ + "/config").Load();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->bundle.name, "shop/echo");
  EXPECT_EQ(loaded->bundle.version, "v1");
  EXPECT_EQ(loaded->bundle.value, "bundle bytes");
  ASSERT_EQ(loaded->ip_sets.size(), 1u);
  EXPECT_EQ(loaded->ip_sets[0].value, "cdn bytes");
}

TEST_F(LastGoodTest, RemovesSetsThatTheNewBundleDoesNotName) {
  LastGoodStore store(directory_);
  ASSERT_TRUE(store.SaveIpSet({"a/one", "1", "x"}).ok());
  ASSERT_TRUE(store.SaveIpSet({"a/one", "2", "y"}).ok());
  ASSERT_TRUE(store.SaveIpSet({"b/two", "1", "z"}).ok());
  ASSERT_TRUE(store.SaveBundle({"shop/echo", "v1", ""}, {{"a/one", "2"}}).ok());
  EXPECT_EQ(FileCount(), 2u);
  EXPECT_EQ(store.Load()->ip_sets[0].value, "y");
}

TEST_F(LastGoodTest, IsNotUsedWithoutAllItsSets) {
  LastGoodStore store(directory_);
  ASSERT_TRUE(store.SaveIpSet({"a/one", "1", "x"}).ok());
  ASSERT_TRUE(store.SaveBundle({"shop/echo", "v1", ""}, {{"a/one", "1"}}).ok());
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    if (entry.path().filename() != "bundle") std::filesystem::remove(entry.path());
  }
  EXPECT_TRUE(absl::IsDataLoss(store.Load().status()));
}

TEST_F(LastGoodTest, IsNotUsedWhenDamaged) {
  LastGoodStore store(directory_);
  ASSERT_TRUE(store.SaveBundle({"shop/echo", "v1", "some bytes"}, {}).ok());
  std::filesystem::resize_file(directory_ + "/bundle",
                               std::filesystem::file_size(directory_ + "/bundle") - 1);
  EXPECT_TRUE(absl::IsDataLoss(store.Load().status()));
}

TEST_F(LastGoodTest, NamesFromTheNetworkStayInTheFolder) {
  LastGoodStore store(directory_ + "/config");
  ASSERT_TRUE(store.SaveIpSet({"../../escape", "../v", "x"}).ok());
  ASSERT_TRUE(store.SaveBundle({"shop/echo", "v1", ""}, {{"../../escape", "../v"}}).ok());
  EXPECT_EQ(FileCount(), 2u);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_)) {
    if (!entry.is_regular_file()) continue;
    EXPECT_EQ(entry.path().parent_path(), directory_ + "/config");
  }
  EXPECT_TRUE(store.Load().ok());
}

}  // namespace
}  // namespace whence::discovery
