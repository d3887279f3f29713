#include "controlplane/ctl/log_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "controlplane/ctl/csv.h"
#include "controlplane/ctl/progress.h"

namespace whence::ctl {
namespace {

using ::testing::HasSubstr;

v1::LogRow Row() {
  v1::LogRow row;
  row.set_agent("shop/web");
  row.set_workload("web");
  row.set_namespace_("shop");
  v1::AccessRecord& record = *row.mutable_record();
  record.set_time_us(1'700'000'000'123'456);
  record.set_client_address(std::string("\0\0\0\0\0\0\0\0\0\0\xff\xff\x02\x02\x02\x02", 16));
  record.set_client_reason("xff-hop-2");
  record.set_direct_peer(std::string("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16));
  record.set_method("GET");
  record.set_host("shop.example");
  record.set_path("/a\xff\"\n");
  record.set_status(403);
  record.set_decision(v1::DENY_DECISION);
  record.set_policy("shop/edge");
  record.set_duration_us(1250);
  return row;
}

TEST(LogLineTest, WritesJsonThatGivesBackEveryByte) {
  std::string json = LogJson(Row());
  EXPECT_THAT(json, HasSubstr("\"time\":\"2023-11-14T22:13:20.123456Z\""));
  EXPECT_THAT(json, HasSubstr("\"client_address\":\"2.2.2.2\""));
  EXPECT_THAT(json, HasSubstr("\"direct_peer\":\"2001:db8::1\""));
  EXPECT_THAT(json,
              HasSubstr("\"path\":\"/a\xef\xbf\xbd\\\"\\u000a\",\"path_base64\":\"L2H/Igo=\""));
  EXPECT_THAT(json, HasSubstr("\"decision\":\"deny\",\"policy\":\"shop/edge\""));
  EXPECT_THAT(json, HasSubstr("\"external_address\":null"));
  EXPECT_EQ(json.find('\n'), json.size() - 1);
}

TEST(LogLineTest, ShowsWhoCameWithWhatAndWhatBecameOfIt) {
  EXPECT_THAT(LogCells(Row()),
              ::testing::ElementsAre("2023-11-14T22:13:20.123Z", "2.2.2.2", "xff-hop-2",
                                     "2001:db8::1", "GET", "shop.example", "/a\xff\"\n", "403",
                                     "deny", "shop/edge", "shop/web", "1.2ms"));
  EXPECT_EQ(LogHeadings().size(), LogCells(Row()).size());
  EXPECT_EQ(LogHeadings().size(), LogWidths().size());
}

TEST(LogLineTest, SaysHowManyRecordsWereLost) {
  v1::LogRow row = Row();
  row.mutable_record()->set_dropped(7);
  EXPECT_THAT(LogCells(row)[1], HasSubstr("7 records were lost"));
  EXPECT_THAT(LogJson(row), HasSubstr("\"dropped\":7"));
}

// Fault 54: a spreadsheet must not run what a stranger wrote.
TEST(CsvTest, CellsThatWouldBeFormulasAreText) {
  const struct {
    const char* value;
    const char* want;
  } kRows[] = {
      {"", ""},
      {"/plain", "/plain"},
      {"=cmd|'/c calc'!A1", "'=cmd|'/c calc'!A1"},
      {"+1+1", "'+1+1"},
      {"-2+3", "'-2+3"},
      {"@SUM(A1)", "'@SUM(A1)"},
      {"  =1", "'  =1"},
      {"\t=1", "\\t=1"},  // the tab is escaped, and so no longer in front of a formula
      {"\r=1", "\\r=1"},
      {"＝1", "'＝1"},
      {"=HYPERLINK(\"x\",1)", "\"'=HYPERLINK(\"\"x\"\",1)\""},
      {"a,b", "\"a,b\""},
      {"a\r\nb", "a\\r\\nb"},
      {"\xff\x1b[2J", "\\xff\\x1b[2J"},
  };
  for (const auto& row : kRows) EXPECT_EQ(CsvCell(row.value), row.want) << row.value;
  EXPECT_EQ(CsvLine({"a", "b,c", ""}), "a,\"b,c\",\r\n");
  EXPECT_EQ(LogColumns().size(), LogValues(Row()).size());
}

TEST(ProgressTest, SaysHowFarAndHowFast) {
  EXPECT_EQ(ProgressLine(0, 0, std::chrono::milliseconds(0)),
            "[>                             ]   0 %  0 records");
  EXPECT_EQ(ProgressLine(0.25, 5000, std::chrono::seconds(2)),
            "[=======>                      ]  25 %  5000 records  2500/s  6.0s left");
  EXPECT_EQ(ProgressLine(7, 1, std::chrono::milliseconds(1)),
            "[==============================] 100 %  1 records");
}

}  // namespace
}  // namespace whence::ctl
