#include "controlplane/ctl/log_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

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

}  // namespace
}  // namespace whence::ctl
