// Who gets an answer, and how a query is read. Most rows are attacks.
#include "controlplane/console/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/base/strings.h"

namespace whence::console {
namespace {

using ::testing::Pair;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

TEST(RefuseTest, AnswersThisMachineUnderItsOwnNamesOnly) {
  struct Case {
    std::string name;
    std::string method, peer;
    std::vector<std::string> hosts;
    int want;  // 0: not refused
  };
  const Case cases[] = {
      {"browser", "GET", "127.0.0.1", {"localhost:15014"}, 0},
      {"by address", "HEAD", "127.0.0.1", {"127.0.0.1:15014"}, 0},
      {"IPv6", "GET", "::1", {"[::1]:15014"}, 0},
      {"dual-stack socket", "GET", "::ffff:127.0.0.1", {"LocalHost:15014"}, 0},
      {"forwarded port", "GET", "127.0.0.1", {"localhost:8080"}, 0},
      {"port 80", "GET", "127.0.0.1", {"localhost"}, 0},
      {"port 80, IPv6", "GET", "::1", {"[::1]"}, 0},
      {"stranger", "GET", "192.0.2.1", {"localhost:15014"}, 403},
      {"stranger, IPv6", "GET", "2001:db8::1", {"[::1]:15014"}, 403},
      {"redirected by a sidecar", "GET", "127.0.0.6", {"localhost:15014"}, 403},
      {"nobody knows", "GET", "", {"localhost:15014"}, 403},
      {"stranger with a wrong method", "POST", "192.0.2.1", {"localhost:15014"}, 403},
      {"rebound name", "GET", "127.0.0.1", {"evil.example:15014"}, 403},
      {"name that begins like ours", "GET", "127.0.0.1", {"localhost.evil.example"}, 403},
      {"address that begins like ours", "GET", "127.0.0.1", {"127.0.0.1.evil.example"}, 403},
      {"subdomain", "GET", "127.0.0.1", {"evil.localhost:15014"}, 403},
      {"user part", "GET", "127.0.0.1", {"localhost@evil.example"}, 403},
      {"other address", "GET", "127.0.0.1", {"192.0.2.1:15014"}, 403},
      {"any address", "GET", "127.0.0.1", {"0.0.0.0:15014"}, 403},
      {"short address", "GET", "127.0.0.1", {"127.1:15014"}, 403},
      {"no port after the colon", "GET", "127.0.0.1", {"localhost:"}, 403},
      {"port that is none", "GET", "127.0.0.1", {"localhost:evil"}, 403},
      {"bare IPv6", "GET", "127.0.0.1", {"::1"}, 403},
      {"empty host", "GET", "127.0.0.1", {""}, 403},
      {"no host", "GET", "127.0.0.1", {}, 403},
      {"two hosts", "GET", "127.0.0.1", {"localhost", "localhost"}, 403},
      {"post", "POST", "127.0.0.1", {"localhost:15014"}, 405},
      {"lower case is another method", "get", "127.0.0.1", {"localhost:15014"}, 405},
  };
  for (const Case& c : cases) {
    const std::optional<Answer> answer = Refuse({c.method, "/", c.peer, c.hosts});
    EXPECT_EQ(answer ? answer->status : 0, c.want) << c.name;
    if (!answer) continue;
    EXPECT_EQ(answer->body.find('\n'), answer->body.size() - 1) << c.name;
  }
}

TEST(ReadParamsTest, ReadsWhatAFormSends) {
  auto params = ReadParams("client=2.2.2.0%2F24&workload=&path=/a+b%26%C3%A9&since=1h", kLogParams);
  ASSERT_TRUE(params.ok()) << params.status();
  EXPECT_THAT(*params, UnorderedElementsAre(Pair("client", "2.2.2.0/24"),
                                            Pair("path", "/a b&\xc3\xa9"), Pair("since", "1h")));
  EXPECT_EQ(*ReadParams(WriteParams(*params), kLogParams), *params);
  EXPECT_TRUE(ReadParams("", kLogParams)->empty());
}

TEST(ReadParamsTest, RefusesWhatItDoesNotUnderstand) {
  const std::pair<std::string, std::string_view> cases[] = {
      {"clients=1", "\"clients\": there is no such filter"},
      {"client=1&client=2", "client: given twice"},
      {"client=&client=2", "client: given twice"},
      {"client=%2", "client: not printable text"},
      {"client=%zz", "client: not printable text"},
      {"client=%00", "client: not printable text"},
      {"client=%0d%0aX:1", "client: not printable text"},
      {"client=%ff", "client: not printable text"},
      {"client=1&", ""},
      {"&client=1", "\"\": there is no such filter"},
      {"client=" + std::string(2048, '1'), "the query: longer than 2048 bytes"},
  };
  for (const auto& [query, want] : cases) {
    const auto params = ReadParams(query, kLogParams);
    EXPECT_EQ(params.ok(), want.empty()) << query;
    EXPECT_THAT(std::string(params.status().message()), StartsWith(std::string(want))) << query;
  }
}

TEST(ReadLogParamsTest, HasTheFiltersOfWhencectlLogsAndALimit) {
  const auto selection = ReadLogParams({{"client", "2.2.2.0/24"},
                                        {"peer", "10.0.0.1"},
                                        {"workload", "shop/web"},
                                        {"decision", "deny"},
                                        {"policy", "shop/p"},
                                        {"status", "403"},
                                        {"method", "GET"},
                                        {"host", "shop.example"},
                                        {"path", "/cart"},
                                        {"since", "10m"},
                                        {"until", "2026-11-22T22:54:15Z"},
                                        {"request-id", "r"},
                                        {"id", "7"},
                                        {"before", "9"}});
  ASSERT_TRUE(selection.ok()) << selection.status();
  v1::LogQuery want;
  want.set_client_cidr("2.2.2.0/24");
  want.set_peer_cidr("10.0.0.1");
  want.set_workload("shop/web");
  want.set_decision("deny");
  want.set_policy("shop/p");
  want.set_status(403);
  want.set_method("GET");
  want.set_host("shop.example");
  want.set_path_prefix("/cart");
  want.set_until_us(1'795'388'055'000'000);
  want.set_request_id("r");
  want.set_id(7);
  want.set_before_id(9);
  want.set_limit(100);
  EXPECT_EQ(selection->query.SerializeAsString(), want.SerializeAsString());
  EXPECT_EQ(selection->since_span_us, 600'000'000);
}

TEST(ReadLogParamsTest, SaysWhatIsWrongInTheWordsOfWhencectl) {
  const std::pair<Params, std::string_view> cases[] = {
      {{{"client", "2.2.2"}}, "client \"2.2.2\": give an address or a CIDR such as 10.0.0.0/8"},
      {{{"workload", "web"}}, "workload \"web\": give NAMESPACE/NAME"},
      {{{"since", "10"}},
       "since \"10\": give a duration such as 10m, or a time such as 2026-11-22T22:54:15Z"},
      {{{"status", "99"}}, "status: \"99\": give a number from 100 to 999"},
      {{{"status", "200x"}}, "status: \"200x\": give a number from 100 to 999"},
      {{{"before", "-1"}}, "before: \"-1\": give a record's number"},
      {{{"id", "9223372036854775808"}}, "id: \"9223372036854775808\": give a record's number"},
  };
  for (const auto& [params, want] : cases) {
    EXPECT_EQ(ToStd(ReadLogParams(params).status().message()), want);
  }
}

}  // namespace
}  // namespace whence::console
