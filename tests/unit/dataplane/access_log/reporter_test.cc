#include "dataplane/access_log/reporter.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <semaphore>

#include "tests/unit/dataplane/access_log/messages.h"

namespace whence::access_log {
namespace {

using namespace std::string_literals;

class QuietLog final : public Log {
 public:
  void Write(Level, std::string_view) override {}
};

Record Numbered(uint64_t number) {
  Record record;
  record.bytes_in = number;
  record.Set(Text::kPath, "/" + std::to_string(number));
  return record;
}

class ReporterTest : public testing::Test {
 protected:
  ReporterTest() : outbox_(nullptr, {size_t{64} << 20, 1'000, {}}) {
    std::string pattern = testing::TempDir() + "/reporter.XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  ~ReporterTest() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<Reporter> Make(int workers) {
    return std::make_unique<Reporter>(
        workers, "boot", Reporting{"shop/echo", "echo", "shop", "", "sidecar"}, clock_, log_);
  }
  std::vector<nlohmann::json> Lines(const std::string& path) {
    std::vector<nlohmann::json> lines;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
  }

  std::string directory_;
  SystemClock clock_;
  QuietLog log_;
  Outbox outbox_;
};

TEST_F(ReporterTest, CarriesOutEverythingAndNumbersIt) {
  constexpr uint64_t kRecords = 1'400;  // from two rings more than a batch
  const std::string path = directory_ + "/log";
  auto file = LogFile::Open(path);
  ASSERT_TRUE(file.ok());
  auto reporter = Make(2);
  for (uint64_t i = 0; i < kRecords; ++i) {
    ASSERT_TRUE(reporter->rings()[0]->TryPush(Numbered(i)));
    ASSERT_TRUE(reporter->rings()[1]->TryPush(Numbered(i + kRecords)));
  }
  reporter->Start({&outbox_, nullptr, file->get()});
  reporter->Stop();
  EXPECT_EQ(reporter->records(), 2 * kRecords);
  EXPECT_EQ(Lines(path).size(), 2 * kRecords);
  outbox_.BeginStream();
  uint64_t next = 1;
  while (std::optional<EncodedBatch> batch = outbox_.NextToSend()) {
    EXPECT_EQ(batch->boot(), "boot");
    EXPECT_EQ(batch->first_seq(), next) << "consecutive";
    next += batch->records();
  }
  EXPECT_EQ(next, 2 * kRecords + 1);
}

TEST_F(ReporterTest, ReportsWhatARingHadToDrop) {
  auto reporter = Make(1);
  Ring& ring = *reporter->rings()[0];
  uint64_t taken = 0;
  while (ring.TryPush(Numbered(taken))) ++taken;
  for (int i = 1; i < 17; ++i) EXPECT_FALSE(ring.TryPush(Numbered(taken)));
  reporter->Start({&outbox_, nullptr, nullptr});
  reporter->Stop();
  EXPECT_EQ(reporter->ring_dropped(), 17u);
  outbox_.BeginStream();
  uint64_t accesses = 0;
  uint64_t dropped = 0;
  while (std::optional<EncodedBatch> batch = outbox_.NextToSend()) {
    const v1::IngestBatch message = batch->Decode();
    for (const v1::AccessRecord& record : message.records()) {
      accesses += AccessesIn(record);
      dropped += record.dropped();
    }
  }
  EXPECT_EQ(dropped, 17u);
  EXPECT_EQ(accesses, taken + 17);
}

class SetClock final : public Clock {
 public:
  WallTime Now() const override { return WallTime(); }
  SteadyTime SteadyNow() const override {
    return SteadyTime(std::chrono::milliseconds(milliseconds.load()));
  }
  std::atomic<int> milliseconds = 1'000'000;
};

class KeptLog final : public Log {
 public:
  void Write(Level, std::string_view line) override { lines.emplace_back(line); }
  std::vector<std::string> lines;  // the reporter's thread while it is held, else nobody's
};

// A worker that is too fast for hours must not fill the log with it.
TEST_F(ReporterTest, SaysNowAndThenHowManyWereDropped) {
  SetClock clock;
  KeptLog log;
  std::counting_semaphore<> held(0), go(0);
  Reporter reporter(1, "boot", Reporting{"shop/echo", "echo", "shop", "", "sidecar"}, clock, log);
  Ring& ring = *reporter.rings()[0];
  // While the reporter is held in its on_add: more than the ring holds.
  uint64_t taken = 1;
  const auto overfill = [&ring, &taken](int dropped) {
    while (dropped > 0) {
      const bool pushed = ring.TryPush(Numbered(0));
      taken += pushed ? 1 : 0;
      dropped -= pushed ? 0 : 1;
    }
    ++taken;  // the gap
  };
  const auto pass = [&clock, &held, &go] {
    clock.milliseconds += 250;  // a batch goes on whether it is full or not
    go.release();
    held.acquire();
  };
  // First: by this clock no time passes in which a later one would go on.
  ring.TryPush(Numbered(1));
  reporter.Start({&outbox_,
                  [&] {
                    held.release();
                    go.acquire();
                  },
                  nullptr});
  held.acquire();
  for (const int dropped : {5, 3, 4}) {
    if (dropped == 4) clock.milliseconds += 31'000;
    overfill(dropped);
    while (reporter.records() < taken) pass();
  }
  EXPECT_EQ(log.lines.size(), 2u);
  overfill(2);
  go.release(1000);
  reporter.Stop();  // The last word is not kept back.
  std::vector<std::string> numbers;
  for (const std::string& line : log.lines) numbers.push_back(line.substr(0, line.find(' ')));
  EXPECT_EQ(numbers, (std::vector<std::string>{"5", "7", "2"}));
}

TEST_F(ReporterTest, HidesClientsBeforeAnythingLeaves) {
  const auto address = [](const char* text) { return *net::IpAddress::Parse(text); };
  Record record = Numbered(1);
  record.client_address = address("203.0.113.77");
  record.direct_peer = address("203.0.113.77");
  record.external_address = address("203.0.113.77");
  record.upstream_source = address("203.0.113.77");
  record.destination_address = address("10.32.1.205");
  record.Set(Text::kForwardedFor, "203.0.113.77, 203.0.113.77:80");
  const std::string path = directory_ + "/log";
  auto file = LogFile::Open(path);
  ASSERT_TRUE(file.ok());
  auto reporter = Make(1);
  reporter->SetPrivacy({trust::ClientPrivacy::Mode::kTruncate});
  ASSERT_TRUE(reporter->rings()[0]->TryPush(record));
  reporter->Start({&outbox_, nullptr, file->get()});
  reporter->Stop();
  outbox_.BeginStream();
  const v1::AccessRecord sent = outbox_.NextToSend()->Decode().records(0);
  EXPECT_EQ(sent.SerializeAsString().find("\xcb\x00\x71\x4d"s), std::string::npos);
  EXPECT_EQ(sent.client_address(), "\xcb\x00\x71\x00"s);
  EXPECT_EQ(sent.forwarded_for(), "203.0.113.0, 203.0.113.0");
  EXPECT_EQ(sent.destination(), "\x0a\x20\x01\xcd"s);
  ASSERT_EQ(Lines(path).size(), 1u);
  EXPECT_EQ(Lines(path)[0].dump().find("203.0.113.77"), std::string::npos);
  EXPECT_EQ(Lines(path)[0]["client_address"], "203.0.113.0");
}

TEST_F(ReporterTest, ReportsWithoutBeingAsked) {
  auto reporter = Make(1);
  std::atomic<int> added = 0;
  reporter->Start({&outbox_,
                   [&] {
                     added.fetch_add(1);
                     added.notify_all();
                   },
                   nullptr});
  reporter->rings()[0]->TryPush(Numbered(1));
  added.wait(0);  // hangs, and fails by the test's time limit, if a record waits for ever
  outbox_.BeginStream();
  EXPECT_EQ(outbox_.NextToSend()->records(), 1u);
}

TEST_F(ReporterTest, FollowsARotatedFile) {
  const std::string path = directory_ + "/log";
  auto file = LogFile::Open(path);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->Write("{\"a\":1}\n").ok());
  std::filesystem::rename(path, path + ".1");
  ASSERT_TRUE((*file)->Reopen().ok());
  ASSERT_TRUE((*file)->Write("{\"a\":2}\n").ok());
  EXPECT_EQ(Lines(path + ".1").size(), 1u);
  ASSERT_EQ(Lines(path).size(), 1u);
  EXPECT_EQ(Lines(path)[0]["a"], 2);
}

}  // namespace
}  // namespace whence::access_log
