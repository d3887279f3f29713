#include "controlplane/model/current_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <thread>
#include <vector>

namespace whence::model {
namespace {

std::shared_ptr<const ConfigState> Revision(uint64_t revision) {
  auto state = std::make_shared<ConfigState>();
  state->revision = revision;
  return state;
}

struct Recorder final : ConfigListener {
  explicit Recorder(CurrentConfig* config) : config(config) {}
  void OnRevision(std::shared_ptr<const ConfigState> state) override {
    EXPECT_EQ(config->Get(), state);
    seen.push_back(state->revision);
  }
  CurrentConfig* config;
  std::vector<uint64_t> seen;
};

TEST(CurrentConfigTest, IsNullUntilLoaded) {
  CurrentConfig config;
  EXPECT_EQ(config.Get(), nullptr);
  config.Publish(Revision(0));
  ASSERT_NE(config.Get(), nullptr);
  EXPECT_EQ(config.Get()->revision, 0u);
}

TEST(CurrentConfigTest, NeverGoesBack) {
  CurrentConfig config;
  Recorder recorder(&config);
  config.AddListener(&recorder);
  for (uint64_t revision : {3u, 2u, 3u, 5u, 4u}) config.Publish(Revision(revision));
  EXPECT_EQ(config.Get()->revision, 5u);
  EXPECT_THAT(recorder.seen, ::testing::ElementsAre(3, 5));
}

TEST(CurrentConfigTest, TellsARemovedListenerNothing) {
  CurrentConfig config;
  Recorder recorder(&config);
  config.AddListener(&recorder);
  config.Publish(Revision(1));
  config.RemoveListener(&recorder);
  config.Publish(Revision(2));
  EXPECT_THAT(recorder.seen, ::testing::ElementsAre(1));
}

TEST(CurrentConfigTest, TellsRisingRevisionsWhenPublishersRace) {
  CurrentConfig config;
  Recorder recorder(&config);
  config.AddListener(&recorder);
  std::vector<std::thread> threads;
  for (uint64_t first = 1; first <= 4; ++first) {
    threads.emplace_back([&config, first] {
      for (uint64_t i = 0; i < 200; ++i) config.Publish(Revision(first + i * 4));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(config.Get()->revision, 800u);
  EXPECT_TRUE(std::is_sorted(recorder.seen.begin(), recorder.seen.end()));
}

}  // namespace
}  // namespace whence::model
