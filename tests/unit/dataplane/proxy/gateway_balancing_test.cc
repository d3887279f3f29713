// DestinationRules on the wire: who gets which request.
#include <map>
#include <set>

#include "gmock/gmock.h"
#include "tests/unit/dataplane/proxy/document_gateway.h"

namespace whence::proxy {
namespace {

using testing::HasSubstr;
using testing::Not;

// Three workloads of one Service, on addresses of their own and one port.
class GatewayBalancingTest : public DocumentGatewayTest {
 protected:
  GatewayBalancingTest()
      : a_(Says("a"), "127.0.0.11:0"),
        b_(Says("b"), "127.0.0.12:" + Port()),
        c_(Says("c"), "127.0.0.13:" + Port()) {
    AddWorkload("a", {{"app", "web"}, {"version", "v1"}}, "127.0.0.11");
    AddWorkload("b", {{"app", "web"}, {"version", "v2"}}, "127.0.0.12");
    AddWorkload("c", {{"app", "web"}, {"version", "v2"}}, "127.0.0.13");
  }

  Origin::Serve Says(const std::string& name) {
    return HttpOrigin([this, name](const std::string& head, const std::string&) -> std::string {
      if (fails_ == name) return "HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n";
      return Ok(name, head.find("/bye") != std::string::npos ? "Connection: close\r\n" : "");
    });
  }
  std::string Port() const { return std::to_string(a_.address().port); }

  std::string Balanced(const std::string& policy, const std::string& subset = "") const {
    return Routes("  http:\n  - {retries: {attempts: 0}, route: [{destination: {host: web" +
                  (subset.empty() ? "" : ", subset: " + subset) + "}}]}\n") +
           "---\napiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: n}\n"
           "spec: {selector: {app: web}, ports: [{port: " +
           Port() +
           "}]}\n"
           "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
           "metadata: {name: web, namespace: n}\nspec:\n  host: web\n  trafficPolicy: {" +
           policy +
           "}\n  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]\n";
  }
  // The workload that answered; empty: none did.
  std::string Who(const std::string& fields = "", const std::string& target = "/") const {
    const std::string answer = Ask(target, fields);
    return answer.substr(0, 12) == "HTTP/1.1 200" ? answer.substr(answer.size() - 1) : "";
  }
  std::map<std::string, int> Count40() const {
    std::map<std::string, int> counts;
    for (int i = 0; i < 40; ++i) ++counts[Who()];
    return counts;
  }

  std::string fails_;  // set before the gateway starts
  Origin a_, b_, c_;
};

TEST_F(GatewayBalancingTest, SubsetsAndPolicies) {
  StartYaml(Balanced("", "v1"));
  EXPECT_THAT(Count40(), testing::ElementsAre(testing::Pair("a", 40)));
  PublishYaml(Balanced("", "v2"));
  EXPECT_THAT(Count40(), testing::ElementsAre(testing::Pair("b", 20), testing::Pair("c", 20)));
  for (const char* policy : {"RANDOM", "LEAST_REQUEST"}) {
    PublishYaml(Balanced(std::string("loadBalancer: {simple: ") + policy + "}"));
    EXPECT_EQ(Count40().size(), 3u) << policy;
  }
}

TEST_F(GatewayBalancingTest, HashesOnTheTrustedClient) {
  const std::string trust =
      "---\napiVersion: whence.dev/v1\nkind: TrustTopology\nmetadata: {name: t, namespace: n}\n"
      "spec: {selector: {matchLabels: {app: gateway}}, numTrustedProxies: 1}\n";
  StartYaml(Balanced("loadBalancer: {consistentHash: {useSourceIp: true}}") + trust);
  std::set<std::string> all;
  for (int client = 1; client < 30; ++client) {
    const std::string line = "X-Forwarded-For: 9.9.9.9, 1.2.3." + std::to_string(client) + "\r\n";
    const std::string first = Who(line);
    EXPECT_EQ(Who(line), first);
    // What a client writes left of the trusted proxy's entry moves nobody.
    EXPECT_EQ(Who("X-Forwarded-For: 1.2.3." + std::to_string(client) + "\r\n"), first);
    all.insert(first);
  }
  EXPECT_EQ(all.size(), 3u);
}

TEST_F(GatewayBalancingTest, HashesOnHeadersAndCookies) {
  StartYaml(Balanced("loadBalancer: {consistentHash: {httpHeaderName: x-user}}"));
  std::set<std::string> all;
  for (int user = 0; user < 20; ++user) {
    const std::string line = "X-User: " + std::to_string(user) + "\r\n";
    const std::string first = Who(line);
    EXPECT_EQ(Who(line), first);
    all.insert(first);
  }
  EXPECT_EQ(all.size(), 3u);

  PublishYaml(
      Balanced("loadBalancer: {consistentHash: {httpCookie: {name: sid, path: /shop, ttl: "
               "60s}}}"));
  for (int i = 0; i < 5; ++i) {
    const std::string answer = Ask("/");
    const size_t at = answer.find("set-cookie: sid=");
    ASSERT_NE(at, std::string::npos) << answer;
    const std::string cookie = answer.substr(at + 12, 20);
    EXPECT_THAT(answer, HasSubstr("; Max-Age=60; Path=/shop; HttpOnly\r\n"));
    const std::string again = Ask("/", "Cookie: x=1; " + cookie + "\r\n");
    EXPECT_EQ(again.back(), answer.back());
    EXPECT_THAT(again, Not(HasSubstr("set-cookie")));
  }
  // Without a ttl the application makes the cookie.
  PublishYaml(Balanced("loadBalancer: {consistentHash: {httpCookie: {name: sid}}}"));
  EXPECT_THAT(Ask("/"), Not(HasSubstr("set-cookie")));
}

TEST_F(GatewayBalancingTest, LeavesOutWhatFails) {
  fails_ = "b";
  StartYaml(Balanced("outlierDetection: {consecutive5xxErrors: 2, baseEjectionTime: 1h}"));
  std::map<std::string, int> counts = Count40();
  EXPECT_EQ(counts[""], 2) << "two failures, and it is out";
  EXPECT_EQ(Count(Counter::kEndpointsEjected), 1u);
  EXPECT_EQ(Count40()[""], 0);
  // A new configuration does not forgive.
  PublishYaml(Balanced("outlierDetection: {consecutive5xxErrors: 3, baseEjectionTime: 1h}"));
  EXPECT_EQ(Count40()[""], 0);
}

TEST_F(GatewayBalancingTest, LimitsConnections) {
  StartYaml(Balanced("connectionPool: {http: {maxRequestsPerConnection: 2}}", "v1"));
  for (int i = 0; i < 6; ++i) EXPECT_EQ(Who(), "a");
  EXPECT_EQ(a_.connections(), 3);
  PublishYaml(Balanced("connectionPool: {http: {idleTimeout: 20ms}}", "v1"));
  EXPECT_EQ(Who(), "a");
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // five times what it may idle
  EXPECT_EQ(Who(), "a");
  EXPECT_EQ(a_.connections(), 5);
}

}  // namespace
}  // namespace whence::proxy
