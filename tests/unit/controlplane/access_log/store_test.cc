#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <limits>
#include <set>
#include <sstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/net/ip_address.h"
#include "controlplane/access_log/access_log_store.h"
#include "controlplane/access_log/log_reader.h"
#include "controlplane/access_log/log_top.h"
#include "controlplane/access_log/schema.h"

namespace whence::access_log {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Bytes(const char* address) {
  auto bytes = net::IpAddress::Parse(address)->bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

v1::AccessRecord Record(int64_t time_us, const char* client = "123.120.247.15",
                        const std::string& path = "/") {
  v1::AccessRecord record;
  record.set_time_us(time_us);
  record.set_protocol("http/1.1");
  record.set_client_address(Bytes(client));
  record.set_client_reason("xff-hop-2");
  record.set_direct_peer(Bytes("10.32.1.221"));
  record.set_direct_peer_port(40000);
  record.set_destination(Bytes("10.32.1.205"));
  record.set_destination_port(8080);
  record.set_method("GET");
  record.set_host("echo.example");
  record.set_path(path);
  record.set_status(200);
  record.set_decision(v1::ALLOW_DECISION);
  return record;
}

// Wall time that a test sets; timers go on.
class FakeClock final : public Clock {
 public:
  void Set(std::chrono::microseconds since_start) { now_us_ = kStart + since_start.count(); }
  WallTime Now() const override { return WallTime(std::chrono::microseconds(now_us_.load())); }
  SteadyTime SteadyNow() const override { return std::chrono::steady_clock::now(); }

 private:
  static constexpr int64_t kStart = 1700000000000000;
  std::atomic<int64_t> now_us_{kStart};
};

class AccessLogStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/access_log_XXXXXX";
    directory_ = mkdtemp(pattern.data());
    path_ = directory_ + "/logs.db";
    Open({});
  }
  void TearDown() override {
    store_.reset();
    std::filesystem::remove_all(directory_);
  }
  void Open(SegmentLimits limits) {
    store_.reset();
    auto store = AccessLogStore::Open(path_, limits, clock_, logger_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  // Appends and waits for the answer.
  absl::StatusOr<uint64_t> Append(const std::string& agent, const std::string& boot,
                                  uint64_t first_seq, std::vector<v1::AccessRecord> records) {
    auto reporter = std::make_shared<ReportingAgent>();
    size_t slash = agent.find('/');
    *reporter = {agent, agent.substr(slash + 1), agent.substr(0, slash), "node-a", "sidecar"};
    v1::IngestBatch batch;
    batch.set_boot(boot);
    batch.set_first_seq(first_seq);
    for (auto& record : records) *batch.add_records() = std::move(record);
    std::promise<absl::StatusOr<uint64_t>> answer;
    store_->Append({reporter, std::move(batch), [&answer](auto mark) { answer.set_value(mark); }});
    return answer.get_future().get();
  }

  // What the sqlite3 shell would print: rows of text, columns joined by |.
  std::vector<std::string> Shell(store::Sql sql, int columns) {
    auto database = store::Database::Open(path_, {.read_only = true});
    EXPECT_TRUE(database.ok()) << database.status();
    auto select = (*database)->Prepare(sql, "ask as a person would");
    EXPECT_TRUE(select.ok()) << select.status();
    std::vector<std::string> rows;
    while (*select->Step()) {
      std::string row;
      for (int i = 0; i < columns; ++i) {
        if (i > 0) row += "|";
        row += select->Text(i);
      }
      rows.push_back(row);
    }
    return rows;
  }

  std::vector<v1::LogRow> Query(const v1::LogQuery& query, size_t page_rows = 100) {
    auto reader = LogReader::Open(path_, *ReadLogQuery(query));
    EXPECT_TRUE(reader.ok()) << reader.status();
    std::vector<v1::LogRow> rows;
    while (true) {
      auto page = (*reader)->NextPage(page_rows);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) return rows;
      rows.insert(rows.end(), page->rows.begin(), page->rows.end());
      if (page->at_end) return rows;
    }
  }
  std::vector<std::string> Paths(const v1::LogQuery& query, size_t page_rows = 100) {
    std::vector<std::string> paths;
    for (const v1::LogRow& row : Query(query, page_rows)) paths.push_back(row.record().path());
    return paths;
  }

  SystemClock clock_;
  log::Logger logger_{log::Level::kOff};
  std::string directory_;
  std::string path_;
  std::unique_ptr<AccessLogStore> store_;
};

// The database refuses one batch while the next is on its way, and then refuses no more. Stored
// behind the gap, the next one would have the agent believe that both are.
TEST_F(AccessLogStoreTest, WhatFollowsARefusedBatchIsRefused) {
  auto database = store::Database::Open(path_, {});
  ASSERT_TRUE(database.ok()) << database.status();
  ASSERT_EQ((*database)->Execute("create trigger refuse before insert on agents begin "
                                 "select raise(abort, 'no'); end",
                                 "break it"),
            absl::OkStatus());
  const auto stream = std::make_shared<ReportingAgent>(
      ReportingAgent{"shop/web", "web", "shop", "node-a", "sidecar"});
  const auto other = std::make_shared<ReportingAgent>(
      ReportingAgent{"shop/cart", "cart", "shop", "node-a", "sidecar"});
  const auto batch = [](uint64_t seq) {
    v1::IngestBatch message;
    message.set_boot("boot-1");
    message.set_first_seq(seq);
    *message.add_records() = Record(1700000000000000 + static_cast<int64_t>(seq));
    return message;
  };
  std::promise<absl::StatusOr<uint64_t>> first, second, of_other;
  store_->Append({stream, batch(1), [&](auto mark) {
                    store_->Append({stream, batch(2), [&](auto m) { second.set_value(m); }});
                    store_->Append({other, batch(1), [&](auto m) { of_other.set_value(m); }});
                    EXPECT_EQ((*database)->Execute("drop trigger refuse", "mend it"),
                              absl::OkStatus());
                    first.set_value(mark);
                  }});
  EXPECT_FALSE(first.get_future().get().ok());
  EXPECT_FALSE(second.get_future().get().ok());
  EXPECT_EQ(of_other.get_future().get().value_or(0), 1u);
  // Sent again, as agents do.
  EXPECT_EQ(Append("shop/web", "boot-1", 1, {Record(1)}).value_or(0), 1u);
  EXPECT_EQ(Append("shop/web", "boot-1", 2, {Record(2)}).value_or(0), 2u);
  EXPECT_EQ(store_->counters().missing.load(), 0u);
  EXPECT_EQ(store_->counters().duplicates.load(), 0u);
}

TEST_F(AccessLogStoreTest, ThePlainShellPrintsReadableAddresses) {
  v1::AccessRecord v4 = Record(1700000000000001);
  v4.set_policy("istio-system/edge");
  v4.set_decision(v1::DENY_DECISION);
  v4.set_status(403);
  v1::AccessRecord v6 = Record(1700000000999999, "2001:db8:0:0:1::5");
  v6.set_protocol("tcp");
  v6.set_status(0);
  ASSERT_EQ(*Append("shop/echo", "b1", 1, {v4, v6}), 2u);
  EXPECT_THAT(Shell("select client_address, direct_peer, status, policy from access_log", 4),
              ElementsAre("123.120.247.15|10.32.1.221|403|istio-system/edge",
                          "2001:db8::1:0:0:5|10.32.1.221||"));
  EXPECT_THAT(
      Shell("select time, agent, workload, namespace, node, role, decision from access_log order "
            "by time desc limit 20",
            7),
      ElementsAre("2023-11-14T22:13:20.999999Z|shop/echo|echo|shop|node-a|sidecar|allow",
                  "2023-11-14T22:13:20.000001Z|shop/echo|echo|shop|node-a|sidecar|deny"));
}

TEST_F(AccessLogStoreTest, TheViewHasTheColumnsOfTheContract) {
  EXPECT_THAT(Shell("select group_concat(name, ' ') from pragma_table_info('access_log')", 1),
              ElementsAre("time agent workload namespace node role protocol client_address "
                          "client_reason direct_peer direct_peer_port forwarded_for "
                          "external_address destination destination_port upstream_source method "
                          "host path status decision policy bytes_in bytes_out duration_us flags "
                          "request_id proxy_tlvs"));
}

// Fault 51.
TEST_F(AccessLogStoreTest, RepetitionsAreSkippedAlsoAfterARestart) {
  EXPECT_EQ(*Append("a/x", "b1", 1, {Record(1), Record(2), Record(3)}), 3u);
  EXPECT_EQ(*Append("a/x", "b1", 2, {Record(2), Record(3), Record(4)}), 4u);
  EXPECT_EQ(*Append("a/x", "b1", 1, {Record(1)}), 4u);
  Open({});
  EXPECT_EQ(*Append("a/x", "b1", 4, {Record(4), Record(5)}), 5u);
  EXPECT_EQ(*Append("a/x", "b2", 1, {Record(6)}), 1u);  // another boot counts anew
  EXPECT_EQ(*Append("a/y", "b1", 1, {Record(7)}), 1u);  // and so does another agent
  EXPECT_EQ(*Append("a/y", "b9", 1, {}), 0u);
  EXPECT_EQ(Query({}).size(), 7u);
  EXPECT_EQ(store_->counters().duplicates.load(), 1u);
}

TEST_F(AccessLogStoreTest, GapsAreKeptAndCounted) {
  v1::AccessRecord gap = Record(5);
  gap.set_dropped(1000);
  gap.set_flags("spool");
  ASSERT_EQ(*Append("a/x", "b1", 1, {Record(1)}), 1u);
  ASSERT_EQ(*Append("a/x", "b1", 1001, {gap}), 1001u);
  EXPECT_THAT(Shell("select flags from access_log order by time", 1),
              ElementsAre("", "spool,dropped=1000"));
  EXPECT_EQ(Query({})[0].record().dropped(), 1000u);
  EXPECT_EQ(store_->counters().lost.load(), 1000u);
  EXPECT_EQ(store_->counters().missing.load(), 999u);
}

// Fault 60.
TEST_F(AccessLogStoreTest, NoRecordMakesASeriesOfItsOwn) {
  const auto names = [this] {
    metrics::TextWriter out;
    store_->Collect(out);
    std::istringstream lines(out.text());
    std::set<std::string> series;
    for (std::string line; std::getline(lines, line);)
      series.insert(line.substr(0, line.rfind(' ')));
    return series;
  };
  const std::set<std::string> before = names();
  for (uint64_t i = 1; i <= 50; ++i) {
    v1::AccessRecord record = Record(static_cast<int64_t>(i));
    record.set_path("/" + std::to_string(i));
    record.set_policy("shop/p-" + std::to_string(i));
    ASSERT_TRUE(Append("shop/a-" + std::to_string(i), "b", 1, {record}).ok());
  }
  EXPECT_EQ(names(), before);
}

// Fault 52.
TEST_F(AccessLogStoreTest, TextFromTheNetworkIsEscapedAndComesBack) {
  v1::AccessRecord record = Record(1);
  std::string path = "/'; DROP TABLE agents;--\x1b[2J\xff\\" + std::string(1, '\0');
  record.set_path(path);
  record.set_host(std::string(20000, 'h'));
  record.set_client_address("short");
  record.set_time_us(-5);
  ASSERT_TRUE(Append("a/x", "b1", 1, {record}).ok());
  EXPECT_THAT(
      Shell("select path, client_address, time from access_log", 3),
      ElementsAre(R"(/'; DROP TABLE agents;--\x1B[2J\xFF\\\x00||1970-01-01T00:00:00.000000Z)"));
  std::vector<v1::LogRow> rows = Query({});
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].record().path(), path);
  EXPECT_EQ(rows[0].record().host(), std::string(8192, 'h'));
  EXPECT_EQ(rows[0].record().client_address(), "");
}

TEST_F(AccessLogStoreTest, FourBytesAreAnIpv4Address) {
  v1::AccessRecord record = Record(1);
  for (std::string* address : {record.mutable_client_address(), record.mutable_direct_peer(),
                               record.mutable_external_address(), record.mutable_destination(),
                               record.mutable_upstream_source()}) {
    *address = Bytes("203.0.113.7").substr(12);
  }
  ASSERT_TRUE(Append("a/x", "b1", 1, {record, Record(2, "203.0.113.8")}).ok());
  EXPECT_THAT(Shell("select client_address, direct_peer, external_address, destination, "
                    "upstream_source from access_log order by time limit 1",
                    5),
              ElementsAre("203.0.113.7|203.0.113.7|203.0.113.7|203.0.113.7|203.0.113.7"));
  v1::LogQuery query;
  query.set_client_cidr("203.0.113.7");
  std::vector<v1::LogRow> rows = Query(query);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].record().client_address(), Bytes("203.0.113.7"));
}

TEST_F(AccessLogStoreTest, FiltersByRangeWorkloadDecisionAndTime) {
  v1::AccessRecord denied = Record(40, "2.2.2.2", "/denied");
  denied.set_decision(v1::DENY_DECISION);
  denied.set_direct_peer(Bytes("fd00::1"));
  ASSERT_TRUE(Append("a/x", "b1", 1,
                     {Record(10, "2.2.2.0", "/first"), Record(20, "2.2.2.255", "/last"),
                      Record(30, "2.2.3.0", "/outside"), denied})
                  .ok());
  ASSERT_TRUE(Append("a/y", "b1", 1, {Record(50, "::2.2.2.2", "/v6")}).ok());

  v1::LogQuery query;
  query.set_client_cidr("2.2.2.0/24");
  EXPECT_THAT(Paths(query), ElementsAre("/denied", "/last", "/first"));
  query.set_decision("deny");
  EXPECT_THAT(Paths(query), ElementsAre("/denied"));
  query = {};
  query.set_client_cidr("0.0.0.0/0");
  EXPECT_THAT(Paths(query), ElementsAre("/denied", "/outside", "/last", "/first"));
  query = {};
  query.set_peer_cidr("fd00::/8");
  EXPECT_THAT(Paths(query), ElementsAre("/denied"));
  query = {};
  query.set_workload("a/y");
  EXPECT_THAT(Paths(query), ElementsAre("/v6"));
  query.set_workload("a/y' or '1'='1");
  EXPECT_THAT(Paths(query), ElementsAre());
  query = {};
  query.set_since_us(20);
  query.set_until_us(40);
  EXPECT_THAT(Paths(query), ElementsAre("/outside", "/last"));
}

TEST_F(AccessLogStoreTest, RefusesBadQueriesNamingEveryField) {
  v1::LogQuery query;
  query.set_client_cidr("10.0.0.0/33");
  query.set_peer_cidr("x");
  query.set_workload("echo");
  query.set_decision("maybe");
  absl::Status status = ReadLogQuery(query).status();
  for (const char* field : {"client_cidr", "peer_cidr", "workload", "decision"}) {
    EXPECT_THAT(status.ToString(), HasSubstr(field));
  }
}

TEST_F(AccessLogStoreTest, PagesAcrossSegmentsGiveEveryRowOnceNewestFirst) {
  Open({.segment_bytes = 2000, .segment_age = std::chrono::hours(1)});
  // Two agents, the second an hour behind (its spool): segments overlap in time.
  uint64_t seq = 1;
  for (int round = 0; round < 30; ++round) {
    ASSERT_TRUE(Append("a/x", "b", seq, {Record(1000 + round * 10, "1.1.1.1", "x")}).ok());
    ASSERT_TRUE(Append("a/y", "b", seq, {Record(900 + round * 10, "1.1.1.2", "y")}).ok());
    ++seq;
    // Also twice the same time: order and cursor must tell them apart.
    ASSERT_TRUE(Append("a/z", "b", seq, {Record(1000, "1.1.1.3", "z")}).ok());
  }
  // Rolling happens on the writer's own time.
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  auto segments = [this] {
    return Shell("select count(*) > 3 and min(indexes + 2 * (1 - sealed)) = 2 from segments", 1);
  };
  uint64_t filler = 1;
  // Asked once: a moment later the writer may have begun the next segment.
  std::string reached;
  while ((reached = segments()[0]) != "1" && std::chrono::steady_clock::now() < deadline) {
    ASSERT_TRUE(Append("a/filler", "b", filler++, {Record(1)}).ok());
  }
  ASSERT_EQ(reached, "1");

  for (size_t page_rows : {7, 1000}) {
    v1::LogQuery query;
    query.set_client_cidr("1.1.1.0/24");
    std::vector<v1::LogRow> rows = Query(query, page_rows);
    ASSERT_EQ(rows.size(), 90u);
    std::set<int64_t> ids;
    for (size_t i = 0; i < rows.size(); ++i) {
      ids.insert(rows[i].id());
      if (i == 0) continue;
      EXPECT_LE(rows[i].record().time_us(), rows[i - 1].record().time_us());
    }
    EXPECT_EQ(ids.size(), 90u);
  }
  EXPECT_EQ(Shell("select count(*) from access_log where client_address like '1.1.1.%'", 1)[0],
            "90");
}

TEST_F(AccessLogStoreTest, RetentionDropsWholeSegments) {
  Open({.max_bytes = 1 << 20, .segment_bytes = 100 << 10});
  std::vector<v1::AccessRecord> records(500, Record(1, "1.1.1.1", std::string(500, 'p')));
  uint64_t seq = 1;
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (store_->counters().segments_dropped.load() < 2 &&
         std::chrono::steady_clock::now() < deadline) {
    ASSERT_TRUE(Append("a/x", "b", seq, records).ok());
    seq += records.size();
  }
  EXPECT_GE(store_->counters().segments_dropped.load(), 2u);
  std::vector<std::string> range = Shell("select min(number) > 1, count(*) from segments", 2);
  EXPECT_EQ(range[0].substr(0, 1), "1");
  // Nothing of the newest is missing, and numbering goes on.
  EXPECT_EQ(*Append("a/x", "b", seq, {Record(2)}), seq);
  v1::LogQuery query;
  query.set_since_us(2);
  EXPECT_EQ(Query(query).size(), 1u);
}

// Fault 18: a clock that was ahead for a moment, when records came.
TEST_F(AccessLogStoreTest, AWrongTimeDoesNotKeepRecordsForever) {
  FakeClock clock;
  store_ = nullptr;
  store_ = *AccessLogStore::Open(path_, {.retention = std::chrono::hours(24), .segment_bytes = 1},
                                 clock, logger_);
  const auto wait_until = [](auto condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    return condition();
  };
  const AccessLogCounters& counters = store_->counters();
  // A segment for each record: the first of a time to come, the second opened then.
  const int kHours[] = {24 * 365, 0, 0};
  for (uint64_t i = 0; i < 3; ++i) {
    clock.Set(std::chrono::hours(kHours[i]));
    ASSERT_TRUE(Append("a/x", "b", i + 1, {Record(1)}).ok());
    ASSERT_TRUE(wait_until([&] { return counters.segments.load() == i + 2; }));
  }
  clock.Set(std::chrono::hours(30));
  ASSERT_TRUE(Append("a/x", "b", 4, {Record(4)}).ok());
  EXPECT_TRUE(wait_until([&] { return counters.segments_dropped.load() == 3; }));
  EXPECT_EQ(Query({}).size(), 1u);
  store_ = nullptr;  // before the clock
}

TEST_F(AccessLogStoreTest, MaintenanceThatFailsIsToldOnceAndCountsNothing) {
  testing::internal::CaptureStderr();
  {
    const log::Logger logger(log::Level::kWarning);
    store_.reset();
    auto store = AccessLogStore::Open(path_, {.segment_bytes = 1}, clock_, logger);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    ASSERT_TRUE(Append("a/x", "b", 1, {Record(1)}).ok());
    store_.reset();  // The segment is sealed by now.
    ASSERT_TRUE((*store::Database::Open(path_))
                    ->Execute("update segments set newest_us = 0; drop view access_log; "
                              "alter table segment_1 rename to away; "
                              "create view segment_1 as select * from away",
                              "make dropping it fail")
                    .ok());
    store_ = *AccessLogStore::Open(
        path_, {.retention = std::chrono::hours(1), .segment_bytes = 1 << 20}, clock_, logger);
    for (uint64_t seq = 2; seq < 20; ++seq) {
      ASSERT_TRUE(Append("a/x", "b", seq, {Record(1)}).ok());
    }
    EXPECT_THAT(store_->Health().message(), HasSubstr("access log maintenance failed"));
    EXPECT_EQ(store_->counters().segments_dropped.load(), 0u);
    store_.reset();
  }
  const std::string told = testing::internal::GetCapturedStderr();
  const std::string kLine = "access log maintenance failed";
  ASSERT_NE(told.find(kLine), std::string::npos);
  EXPECT_EQ(told.find(kLine), told.rfind(kLine)) << told;
}

// Fault 58: whoever reads sees what was there when they began, whatever is dropped meanwhile; and
// what is dropped between two pages is simply not there.
TEST_F(AccessLogStoreTest, RetentionTakesNothingFromUnderAReader) {
  Open({.max_bytes = 1 << 20, .segment_bytes = 100 << 10});
  std::vector<v1::AccessRecord> records(400, Record(1, "1.1.1.1", std::string(500, 'p')));
  uint64_t seq = 1;
  auto append = [&] {
    ASSERT_TRUE(Append("a/x", "b", seq, records).ok());
    seq += records.size();
  };
  append();
  append();
  auto shell = store::Database::Open(path_, {.read_only = true});
  ASSERT_TRUE(shell.ok());
  auto select = (*shell)->Prepare("select path from access_log", "read for long");
  ASSERT_TRUE(select.ok()) << select.status();
  ASSERT_TRUE(*select->Step());
  auto pages = LogReader::Open(path_, *ReadLogQuery({}));
  ASSERT_EQ((*pages)->NextPage(100)->rows.size(), 100u);
  const uint64_t dropped = store_->counters().segments_dropped.load();
  for (int i = 0; store_->counters().segments_dropped.load() < dropped + 3; ++i) {
    ASSERT_LT(i, 1000);
    append();
  }
  size_t rows = 1;
  while (true) {
    absl::StatusOr<bool> row = select->Step();
    ASSERT_TRUE(row.ok()) << row.status();
    if (!*row) break;
    ++rows;
  }
  EXPECT_EQ(rows, 800u) << "one snapshot, from the first row to the last";
  while (true) {
    auto page = (*pages)->NextPage(100);
    ASSERT_TRUE(page.ok()) << page.status();
    if (page->at_end) break;
  }
}

TEST_F(AccessLogStoreTest, AFollowerGoesOnFromWhereItStood) {
  v1::LogQuery query;
  query.set_client_cidr("2.2.2.2");
  auto reader = LogReader::Open(path_, *ReadLogQuery(query));
  ASSERT_TRUE(reader.ok());
  ASSERT_TRUE(Append("a/x", "b", 1, {Record(1, "2.2.2.2"), Record(2, "1.1.1.1")}).ok());
  constexpr int64_t kNoEnd = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(*(*reader)->Extent(), std::pair(int64_t{1}, int64_t{2}));
  int64_t after = 2;
  EXPECT_TRUE((*reader)->After(10, kNoEnd, &after)->rows.empty());
  ASSERT_TRUE(Append("a/x", "b", 3,
                     {Record(3, "1.1.1.1"), Record(4, "2.2.2.2", "/4"), Record(5, "2.2.2.2", "/5"),
                      Record(6, "1.1.1.1")})
                  .ok());
  auto page = (*reader)->After(1, kNoEnd, &after);
  ASSERT_EQ(page->rows.size(), 1u);
  EXPECT_EQ(page->rows[0].record().path(), "/4");
  EXPECT_FALSE(page->at_end);
  EXPECT_EQ(after, 4);
  page = (*reader)->After(10, kNoEnd, &after);
  ASSERT_EQ(page->rows.size(), 1u);
  EXPECT_EQ(page->rows[0].record().path(), "/5");
  EXPECT_TRUE(page->at_end);
  EXPECT_EQ(after, 6);  // past the rows that the filter leaves out
}

TEST_F(AccessLogStoreTest, FindsOneRecordByItsRequestOrItsNumber) {
  v1::AccessRecord record = Record(20, "2.2.2.2", "/found");
  record.set_request_id("0b1e5c6e-7f43-4a3c-9f0e-1d2c3b4a5f60");
  record.set_host("Shop.Example");
  record.set_method("POST");
  record.set_status(503);
  record.set_policy("shop/edge");
  v1::AccessRecord strange = Record(30, "2.2.2.3", "/x%_\x1b\x1b");
  strange.set_request_id("' or 1=1 --");
  ASSERT_TRUE(Append("a/x", "b", 1, {Record(10), record, strange, Record(40)}).ok());
  auto with = [this](auto set) {
    v1::LogQuery query;
    set(query);
    return Paths(query);
  };
  EXPECT_THAT(with([&](auto& q) { q.set_request_id(record.request_id()); }), ElementsAre("/found"));
  EXPECT_THAT(with([&](auto& q) { q.set_request_id("' or 1=1 --"); }), ElementsAre("/x%_\x1b\x1b"));
  EXPECT_THAT(with([&](auto& q) { q.set_id(2); }), ElementsAre("/found"));
  EXPECT_THAT(with([&](auto& q) { q.set_id(77); }), ElementsAre());
  EXPECT_THAT(with([&](auto& q) { q.set_host("shop.example"); }), ElementsAre("/found"));
  EXPECT_THAT(with([&](auto& q) { q.set_status(503); }), ElementsAre("/found"));
  EXPECT_THAT(with([&](auto& q) { q.set_policy("shop/edge"); }), ElementsAre("/found"));
  EXPECT_THAT(with([&](auto& q) { q.set_method("POST"); }), ElementsAre("/found"));
  // Fault 52: no wildcards, and what is escaped in the file is found by its bytes.
  EXPECT_THAT(with([&](auto& q) { q.set_path_prefix("/x%_\x1b"); }), ElementsAre("/x%_\x1b\x1b"));
  EXPECT_THAT(with([&](auto& q) { q.set_path_prefix("/%"); }), ElementsAre());
  EXPECT_THAT(with([&](auto& q) { q.set_before_id(3); }), ElementsAre("/found", "/"));
  v1::LogQuery gone;
  gone.set_before_id(77);
  auto reader = LogReader::Open(path_, *ReadLogQuery(gone));
  EXPECT_EQ((*reader)->NextPage(10).status().code(), absl::StatusCode::kNotFound);
}

// One row of the layout before addresses and words were shortened.
TEST_F(AccessLogStoreTest, RecordsOfAnEarlierVersionAreStillThere) {
  store_.reset();
  std::filesystem::remove(path_);
  {
    auto old = store::Database::Open(path_);
    ASSERT_TRUE(store::Migrate(**old, kApplicationId, MigrationSteps().subspan(0, 1)).ok());
    ASSERT_TRUE((*old)
                    ->Execute(R"sql(
      insert into agents values (1, 'a/x', 'x', 'a', 'n', 'sidecar');
      insert into segments(number, first_id, rows, min_time_us, max_time_us, opened_us, newest_us)
        values (1, 1, 1, 5, 5, 5, 5);
      create table segment_1(id integer primary key, time_us integer not null,
        agent_id integer not null, protocol text not null, client blob, client_text text,
        client_reason text not null, peer blob, peer_text text, peer_port integer not null,
        forwarded_for text, external blob, external_text text, destination blob,
        destination_text text, destination_port integer not null, upstream blob, upstream_text text,
        method text, host text, path text, status integer not null, decision integer not null,
        policy text, bytes_in integer not null, bytes_out integer not null,
        duration_us integer not null, flags text, request_id text, dropped integer not null);
      insert into segment_1 values (1, 5, 1, 'http/1.1', x'00000000000000000000ffff02020202',
        '2.2.2.2', 'direct-peer', x'00000000000000000000ffff02020202', '2.2.2.2', 1, null, null,
        null, null, null, 0, null, null, 'GET', 'h', '/old', 200, 1, null, 1, 2, 3, null,
        '0b1e5c6e-7f43-4a3c-9f0e-1d2c3b4a5f60', 0))sql",
                              "write an old file")
                    .ok());
  }
  // Its row is of 1970: retention must not take it before it is asked for.
  constexpr std::chrono::hours kCentury(24 * 365 * 100);
  Open({.retention = kCentury, .segment_age = kCentury});
  v1::AccessRecord record = Record(6, "1.22.133.255", "/new");
  record.set_request_id("0b1e5c6e-7f43-4a3c-9f0e-1d2c3b4a5f60");
  record.set_proxy_tlvs("authority=a.example");
  ASSERT_TRUE(Append("a/x", "b", 1, {record}).ok());
  EXPECT_THAT(
      Shell("select protocol, client_address, request_id, path, coalesce(proxy_tlvs, 'none') "
            "from access_log order by time",
            5),
      ElementsAre(
          "http/1.1|2.2.2.2|0b1e5c6e-7f43-4a3c-9f0e-1d2c3b4a5f60|/old|none",
          "http/1.1|1.22.133.255|0b1e5c6e-7f43-4a3c-9f0e-1d2c3b4a5f60|/new|authority=a.example"));
  v1::LogQuery query;
  query.set_request_id(record.request_id());
  ASSERT_THAT(Paths(query), ElementsAre("/new", "/old"));
  EXPECT_EQ(Query(query)[0].record().request_id(), Query(query)[1].record().request_id());
  EXPECT_EQ(Query(query)[1].record().protocol(), "http/1.1");
  EXPECT_EQ(Query(query)[0].record().proxy_tlvs(), "authority=a.example");
  EXPECT_EQ(Query(query)[1].record().proxy_tlvs(), "");
}

TEST_F(AccessLogStoreTest, AddressesReadInTheViewAsEverywhere) {
  std::vector<v1::AccessRecord> records;
  std::vector<std::string> want;
  for (const char* address : {"0.0.0.1", "1.22.133.255", "255.255.255.255", "10.0.0.0", "::1",
                              "2001:db8::1:0:0:5", "fe80::", "100::1"}) {
    records.push_back(Record(static_cast<int64_t>(records.size()), address));
    want.push_back(std::string(address) + "|http/1.1");
  }
  records[7].set_protocol("http/3");
  want[7] = "100::1|http/3";
  ASSERT_TRUE(Append("a/x", "b", 1, records).ok());
  EXPECT_EQ(Shell("select client_address, protocol from access_log order by time", 2), want);
}

TEST_F(AccessLogStoreTest, AgentsThatNoRecordNamesAreForgotten) {
  Open({.max_bytes = 1 << 20, .segment_bytes = 50 << 10});
  ASSERT_TRUE(Append("a/gone", "b", 1, {Record(1)}).ok());
  std::vector<v1::AccessRecord> records(500, Record(1, "1.1.1.1", std::string(500, 'p')));
  for (uint64_t seq = 1; store_->counters().segments_dropped.load() < 1; seq += records.size()) {
    ASSERT_TRUE(Append("a/stays", "b", seq, records).ok());
    ASSERT_LT(seq, 1'000'000u);
  }
  Open({});  // sweeps at once, then every hour
  ASSERT_TRUE(Append("a/new", "b", 1, {Record(1)}).ok());
  ASSERT_TRUE(Append("a/new", "b", 2, {Record(1)}).ok());
  EXPECT_THAT(Shell("select agent from agents order by agent", 1), ElementsAre("a/new", "a/stays"));
  ASSERT_TRUE(Append("a/gone", "b", 2, {Record(1)}).ok());
  EXPECT_THAT(Shell("select count(*) from access_log where agent = 'a/gone'", 1), ElementsAre("1"));
}

TEST_F(AccessLogStoreTest, CountsWhoCameAndWhoWasDenied) {
  Open({.segment_bytes = 1});  // every commit a segment
  auto denied = [](int64_t time, const char* client) {
    v1::AccessRecord record = Record(time, client);
    record.set_decision(v1::DENY_DECISION);
    record.set_policy("shop/edge");
    record.set_bytes_in(10);
    return record;
  };
  v1::AccessRecord gap = Record(6);
  gap.set_dropped(1000);
  ASSERT_TRUE(Append("a/x", "b", 1, {Record(1, "2.2.2.2"), denied(2, "2.2.2.2")}).ok());
  ASSERT_TRUE(Append("a/y", "b", 1, {denied(3, "2.2.2.2"), Record(4, "3.3.3.3"), gap}).ok());
  ASSERT_TRUE(Append("a/y", "b", 9, {denied(1, "4.4.4.4")}).ok());
  auto top = [this](v1::TopQuery::By by, int64_t since) {
    v1::TopQuery query;
    query.set_by(by);
    query.set_since_us(since);
    std::atomic<bool> cancelled{false};
    auto response = CountTop(path_, query, std::chrono::steady_clock::time_point::max(), cancelled);
    EXPECT_TRUE(response.ok()) << response.status();
    std::vector<std::string> rows;
    for (const v1::TopRow& row : response->rows()) {
      rows.push_back(absl::StrCat(row.address() == Bytes("2.2.2.2") ? "2.2.2.2" : "", "|",
                                  row.workload(), "|", row.policy(), "|", row.accesses(), "|",
                                  row.denied(), "|", row.bytes_in(), "|", row.last_us()));
    }
    return rows;
  };
  EXPECT_THAT(top(v1::TopQuery::CLIENTS, 0),
              ElementsAre("2.2.2.2|||3|2|20|3", "|||1|0|0|4", "|||1|1|10|1"));
  EXPECT_THAT(top(v1::TopQuery::CLIENTS, 3), ElementsAre("|||1|0|0|4", "2.2.2.2|||1|1|10|3"));
  EXPECT_THAT(top(v1::TopQuery::WORKLOADS, 0), ElementsAre("|a/y||3|2|20|4", "|a/x||2|1|10|2"));
  EXPECT_THAT(top(v1::TopQuery::DENIED, 2),
              ElementsAre("2.2.2.2|a/y|shop/edge|1|1|10|3", "2.2.2.2|a/x|shop/edge|1|1|10|2"));
  std::atomic<bool> cancelled{false};
  EXPECT_EQ(CountTop(path_, {}, std::chrono::steady_clock::now(), cancelled).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  cancelled = true;
  EXPECT_EQ(
      CountTop(path_, {}, std::chrono::steady_clock::time_point::max(), cancelled).status().code(),
      absl::StatusCode::kCancelled);
}

TEST_F(AccessLogStoreTest, NoCounterIsTooLargeToBeSummed) {
  v1::AccessRecord huge = Record(1);
  for (auto set : {&v1::AccessRecord::set_bytes_in, &v1::AccessRecord::set_bytes_out,
                   &v1::AccessRecord::set_duration_us}) {
    (huge.*set)(std::numeric_limits<uint64_t>::max());
  }
  ASSERT_TRUE(Append("a/x", "b", 1, {huge, huge}).ok());
  EXPECT_THAT(Shell("select bytes_in, bytes_out, duration_us from access_log limit 1", 3),
              ElementsAre("281474976710656|281474976710656|281474976710656"));
  auto bytes_in = [this] {
    std::atomic<bool> cancelled{false};
    auto top = CountTop(path_, {}, std::chrono::steady_clock::time_point::max(), cancelled);
    EXPECT_TRUE(top.ok()) << top.status();
    return top.ok() && top->rows_size() == 1 ? top->rows(0).bytes_in() : 0;
  };
  EXPECT_EQ(bytes_in(), uint64_t{2} << 48);
  // What an older version stored.
  store_.reset();
  ASSERT_TRUE((*store::Database::Open(path_))
                  ->Execute("update segment_1 set bytes_in = 9223372036854775807, "
                            "bytes_out = 9223372036854775807",
                            "store what was stored before")
                  .ok());
  EXPECT_EQ(bytes_in(), static_cast<uint64_t>(std::numeric_limits<int64_t>::max()));
  Open({.segment_bytes = 1});
  EXPECT_TRUE(Append("a/x", "b", 3, {huge}).ok());
}

TEST_F(AccessLogStoreTest, AForeignFileIsRefused) {
  store_.reset();
  std::filesystem::remove(path_);
  {
    auto other = store::Database::Open(path_);
    ASSERT_TRUE((*other)->Execute("create table t(a)", "be another program").ok());
  }
  EXPECT_FALSE(AccessLogStore::Open(path_, {}, clock_, logger_).ok());
}

}  // namespace
}  // namespace whence::access_log
