// The Mesh document's word on the access log reaches the store, and the flags' where it is silent.
#include "controlplane/log_retention.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/bundle/config_view.h"

namespace whence::control {
namespace {

using namespace std::chrono_literals;

constexpr LogDefaults kFlags{.retention = 48h, .max_bytes = uint64_t{1} << 30};

v1::MeshSpec Mesh(const std::string& retention, const std::string& size) {
  v1::MeshSpec mesh;
  mesh.set_log_retention(retention);
  mesh.set_log_max_size(size);
  return mesh;
}

TEST(LogLimitsTest, TheMeshComesBeforeTheFlags) {
  const auto silent = LogLimits({}, kFlags);
  EXPECT_EQ(silent.retention, 48h);
  EXPECT_EQ(silent.max_bytes, int64_t{1} << 30);
  const auto retention = LogLimits(Mesh("90d", ""), kFlags);
  EXPECT_EQ(retention.retention, 24h * 90);
  EXPECT_EQ(retention.max_bytes, int64_t{1} << 30);
  const auto size = LogLimits(Mesh("", "20Gi"), kFlags);
  EXPECT_EQ(size.retention, 48h);
  EXPECT_EQ(size.max_bytes, int64_t{20} << 30);
  // Accepted at apply; in microseconds it must not run over.
  EXPECT_LT(LogLimits(Mesh("999999999d", ""), kFlags).retention, 24h * 366 * 10'001);
}

TEST(LogLimitsTest, NothingIsGivenUpBeforeTheMeshIsKnown) {
  const auto limits = LimitsBeforeLoad(kFlags);
  EXPECT_EQ(limits.segment_bytes, LogLimits({}, kFlags).segment_bytes);
  const access_log::Segment old{.number = 1, .rows = 1, .sealed = true};
  const access_log::Segment open{.number = 2};
  const int64_t year_2026_us = int64_t{1'780'000'000} * 1'000'000;
  EXPECT_EQ(NextTask({old, open}, LogLimits({}, kFlags), 0, year_2026_us).kind,
            access_log::TaskKind::kDrop);
  EXPECT_NE(NextTask({old, open}, limits, int64_t{1} << 50, year_2026_us).kind,
            access_log::TaskKind::kDrop);
}

class LogRetentionTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/log_retention_XXXXXX";
    directory_ = mkdtemp(pattern.data());
    auto store = access_log::AccessLogStore::Open(directory_ + "/logs.db", LimitsBeforeLoad(kFlags),
                                                  clock_, logger_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  void TearDown() override {
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  void Publish(uint64_t revision, const v1::MeshSpec& mesh) {
    v1::Document document;
    document.mutable_metadata()->set_name("mesh");
    *document.mutable_mesh() = mesh;
    auto state = std::make_shared<model::ConfigState>();
    state->revision = revision;
    state->view =
        std::make_shared<const bundle::ConfigView>(std::vector<v1::Document>{std::move(document)});
    current_.Publish(std::move(state));
  }

  void AddMebibytes(int count) {
    auto reporter = std::make_shared<access_log::ReportingAgent>();
    reporter->agent = "n/a";
    for (int i = 0; i < count; ++i) {
      v1::IngestBatch batch;
      batch.set_boot("b");
      batch.set_first_seq(next_seq_);
      for (int record = 0; record < 1024; ++record) {
        batch.add_records()->set_path(std::string(1024, 'p'));
      }
      next_seq_ += 1024;
      std::promise<absl::StatusOr<uint64_t>> done;
      store_->Append({reporter, std::move(batch), [&done](auto mark) { done.set_value(mark); }});
      ASSERT_TRUE(done.get_future().get().ok());
    }
  }

  SystemClock clock_;
  log::Logger logger_{log::Level::kOff};
  std::string directory_;
  std::unique_ptr<access_log::AccessLogStore> store_;
  uint64_t next_seq_ = 1;
  model::CurrentConfig current_;
};

TEST_F(LogRetentionTest, ANewRevisionTakesEffectWhileTheStoreRuns) {
  security::Refusals refusals(clock_, logger_);
  access_log::EnvoyLogService envoys(*store_, refusals);
  LogRetention retention(*store_, envoys, kFlags);
  current_.AddListener(&retention);
  Publish(1, {});
  AddMebibytes(8);
  EXPECT_EQ(store_->counters().segments_dropped.load(), 0u);
  Publish(2, Mesh("", "4MiB"));
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  while (store_->counters().segments_dropped.load() == 0 &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_GT(store_->counters().segments_dropped.load(), 0u);
  current_.RemoveListener(&retention);
}

}  // namespace
}  // namespace whence::control
