#include "common/explain/recorded.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/net/ip_address.h"

namespace whence::explain {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string Bytes(const std::string& text) {
  const auto bytes = net::IpAddress::Parse(text)->bytes();
  return std::string(bytes.begin(), bytes.end());
}

v1::LogRow Row(const std::string& reason, const std::string& flags = "") {
  v1::LogRow row;
  row.set_agent("shop/web");
  v1::AccessRecord& record = *row.mutable_record();
  record.set_protocol("http/1.1");
  record.set_method("GET");
  record.set_host("shop.example");
  record.set_path("/x");
  record.set_direct_peer(Bytes("2001:db8::9"));
  record.set_direct_peer_port(4711);
  record.set_destination(Bytes("10.0.0.7"));
  record.set_destination_port(8080);
  record.set_client_address(Bytes("2.2.2.2"));
  record.set_client_reason(reason);
  record.set_forwarded_for("1.1.1.1, 2.2.2.2");
  record.set_flags(flags);
  record.set_decision(v1::ALLOW_DECISION);
  return row;
}

TEST(RecordedTest, AsksWhatTheAgentWasAsked) {
  const Recorded recorded = FromRecord(Row("xff-hop-1"));
  const v1::ExplainRequest& request = recorded.request;
  EXPECT_EQ(request.workload(), "shop/web");
  EXPECT_EQ(request.peer(), "[2001:db8::9]:4711");
  EXPECT_EQ(request.destination(), "10.0.0.7");
  EXPECT_EQ(request.port(), 8080u);
  EXPECT_THAT(request.forwarded_for(), ElementsAre("1.1.1.1, 2.2.2.2"));
  EXPECT_EQ(request.method() + request.host() + request.path(), "GETshop.example/x");
  EXPECT_FALSE(request.tcp());
  EXPECT_TRUE(request.headers().empty());
  EXPECT_THAT(recorded.caveats, IsEmpty());
  EXPECT_EQ(recorded.not_judged, "");
}

// What a gateway's word was is in the record only as its result.
TEST(RecordedTest, RestoresTheEvidenceBehindTheClient) {
  EXPECT_EQ(FromRecord(Row("gateway-verdict")).request.headers().at("x-whence-client"), "2.2.2.2");
  EXPECT_EQ(FromRecord(Row("proxy-protocol", "proxy-protocol")).request.proxy_source(), "2.2.2.2");
}

TEST(RecordedTest, SaysWhatIsNotRecorded) {
  struct {
    const char* reason;
    const char* flags;
    const char* caveat;
  } rows[] = {
      {"xff-hop-1", "proxy-protocol", "PROXY protocol header is not recorded"},
      {"forwarded-hop-1", "", "the header that names the client"},
      {"header", "", "the header that names the client"},
      {"xff-hop-1", "forwarded-for-truncated", "its forwarded-for is too long"},
  };
  for (const auto& row : rows) {
    EXPECT_THAT(FromRecord(Row(row.reason, row.flags)).caveats, ElementsAre(HasSubstr(row.caveat)));
  }
}

TEST(RecordedTest, ComparesNothingWithWhatWasNeverJudged) {
  EXPECT_THAT(FromRecord(Row("direct-peer", "downstream-protocol-error")).not_judged,
              HasSubstr("downstream-protocol-error"));
  v1::LogRow silent = Row("direct-peer");
  silent.mutable_record()->clear_method();
  EXPECT_THAT(FromRecord(silent).not_judged, HasSubstr("before its request"));
  silent.mutable_record()->set_protocol("tcp");
  EXPECT_EQ(FromRecord(silent).not_judged, "");
  v1::LogRow gap;
  gap.mutable_record()->set_dropped(7);
  EXPECT_THAT(FromRecord(gap).not_judged, HasSubstr("lost"));
}

TEST(RecordedTest, NamesEachDifference) {
  v1::ExplainResponse now;
  now.set_trusted_client("2.2.2.2");
  now.set_reason("xff-hop-1");
  now.set_decision(v1::ALLOW_DECISION);
  EXPECT_THAT(Differences(Row("xff-hop-1").record(), now), IsEmpty());
  now.set_trusted_client("1.1.1.1");
  now.set_decision(v1::DENY_DECISION);
  now.set_deciding_policy("shop/p");
  EXPECT_THAT(Differences(Row("xff-hop-1").record(), now),
              ElementsAre("client was 2.2.2.2, is 1.1.1.1", "decision was allow, is deny",
                          "policy was none, is shop/p"));
}

}  // namespace
}  // namespace whence::explain
