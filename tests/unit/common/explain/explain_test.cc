#include "common/explain/explain.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "common/wire/snapshot_decoder.h"

namespace whence::explain {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

template <typename Message>
Message FromText(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

absl::StatusOr<v1::ExplainResponse> Ask(const std::string& bundle_text,
                                        const std::string& request_text) {
  const auto bundle = FromText<v1::WorkloadBundle>(bundle_text);
  const auto snapshot = wire::Decode(bundle, "v", {});
  EXPECT_TRUE(snapshot.ok()) << snapshot.status().ToString();
  return Explain(**snapshot, bundle, FromText<v1::ExplainRequest>(request_text), WallTime());
}

// The seed article's gateway: two counted proxies, and its two policies.
constexpr const char* kGateway = R"(
  workload: 'gw' namespace: 'istio-system' role: GATEWAY revision: 7
  trust { source: 'istio-system/edge' spec { num_trusted_proxies: 2 } }
  policies { namespace: 'istio-system' name: 'client' spec { action: DENY
    rules { from { source { remote_ip_blocks: '2.2.2.2/24' } } } } }
  policies { namespace: 'istio-system' name: 'peer' spec { action: DENY
    rules { from { source { ip_blocks: '123.120.247.0/24' } } } } }
  clusters { name: 'echo.foo.svc.cluster.local:80'
    endpoints { address: '10.32.1.205' port: 8080 workload: 'foo/echo' has_sidecar: true } }
  clusters { name: 'gone:80' }
  listeners { port: 80 protocol: HTTP virtual_hosts { domains: '*'
    routes { prefix: '/gone' cluster: 'gone:80' }
    routes { prefix: '/headers' cluster: 'echo.foo.svc.cluster.local:80' } } }
  listeners { port: 5432 protocol: TCP cluster: 'echo.foo.svc.cluster.local:80' }
)";

TEST(ExplainTest, RefusesAccessesThatCannotBe) {
  struct {
    const char* request;
    const char* message;
  } rows[] = {
      {"", "peer: \"\" is no IP address"},
      {"peer: 'host'", "peer: \"host\" is no IP address"},
      {"peer: '10.0.0.0/8'", "is no IP address"},
      {"peer: '10.0.0.1' proxy_source: 'x'", "proxy_source: \"x\" is no IP address"},
      {"peer: '10.0.0.1' port: 65536", "port: \"65536\" is no port"},
      {"peer: '10.0.0.1' headers { key: 'a b' value: 'c' }", "headers: \"a b\" is no header name"},
      {"peer: '10.0.0.1' headers { key: 'a' value: 'b\\r\\nc: d' }", "is no header of one line"},
      {"peer: '10.0.0.1' forwarded_for: '1.1.1.1\\n2.2.2.2'", "is no header of one line"},
  };
  for (const auto& row : rows) {
    const auto response = Ask(kGateway, row.request);
    ASSERT_FALSE(response.ok()) << row.request;
    EXPECT_EQ(response.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(response.status().message()), HasSubstr(row.message)) << row.request;
  }
  std::string many = "peer: '10.0.0.1'";
  for (int i = 0; i < 200; ++i) many += " forwarded_for: '1.1.1.1'";
  EXPECT_FALSE(Ask(kGateway, many).ok());
}

TEST(ExplainTest, FollowsRoutes) {
  const char* gateway = R"(
    workload: 'gw' role: GATEWAY
    clusters { name: 'a:80' endpoints { address: '10.0.0.1' port: 80 } }
    clusters { name: 'b:80' endpoints { address: '10.0.0.2' port: 80 } }
    listeners { port: 80 protocol: HTTP virtual_hosts { domains: '*'
      routes { name: 'inside' prefix: '/' cluster: 'a:80'
               conditions { source_cidrs: '10.0.0.0/8' method { exact: 'PUT' } } }
      routes { prefix: '/moved' redirect { scheme: 'https' } }
      routes { prefix: '/api' clusters { cluster: 'a:80' weight: 9 } clusters { cluster: 'b:80' weight: 1 }
               rewrite { uri: '/v2' authority: 'in.ner' }
               headers { request { set { key: 'x-a' value: '1' } remove: 'x-gone' } } }
      routes { prefix: '/' direct_response { status: 418 } } } }
    listeners { port: 90 protocol: TCP tcp_routes { source_cidrs: '10.0.0.0/8'
      clusters { cluster: 'b:80' } } }
  )";
  const auto reason = [&](const char* request) {
    const auto response = Ask(gateway, request);
    EXPECT_TRUE(response.ok()) << response.status();
    return response->decision_reason();
  };
  EXPECT_THAT(reason("peer: '10.1.1.1' method: 'PUT'"),
              HasSubstr("route \"inside\" takes it; it goes to a:80"));
  EXPECT_THAT(reason("peer: '11.1.1.1' method: 'PUT'"), HasSubstr("the route answers it with 418"));
  EXPECT_THAT(reason("peer: '11.1.1.1' path: '/moved?x' host: 'h'"),
              HasSubstr("the route answers it with 301 to https://h/moved?x"));
  EXPECT_THAT(reason("peer: '11.1.1.1' port: 90"), HasSubstr("no route takes connections"));
  EXPECT_THAT(reason("peer: '10.1.1.1' port: 90"), HasSubstr("it goes to b:80"));
  const auto response = Ask(gateway,
                            "peer: '11.1.1.1' path: '/api/x' host: 'h' headers { key: 'x-gone' "
                            "value: 'y' } headers { key: 'X-A' value: 'theirs' }");
  ASSERT_TRUE(response.ok());
  EXPECT_THAT(response->decision_reason(),
              HasSubstr("its target becomes /v2/x; its Host becomes in.ner; of 10 such, 9 to a:80, "
                        "1 to b:80; taken here is the first; it goes to a:80"));
  EXPECT_THAT(response->upstream_headers(), Contains("host: in.ner"));
  EXPECT_THAT(response->upstream_headers(), Contains("x-a: 1"));
  EXPECT_THAT(response->upstream_headers(), Not(Contains(HasSubstr("theirs"))));
  EXPECT_THAT(response->upstream_headers(), Not(Contains(HasSubstr("x-gone"))));
}

TEST(ExplainTest, WalksTheArticlesRequestHopByHop) {
  const auto response =
      Ask(kGateway,
          "peer: '123.120.200.15' forwarded_for: '1.1.1.1, 2.2.2.2, 3.3.3.3' path: '/headers'");
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->workload(), "istio-system/gw");
  EXPECT_EQ(response->topology_source(), "istio-system/edge");
  EXPECT_EQ(response->topology().num_trusted_proxies(), 2u);
  EXPECT_EQ(response->revision(), 7u);
  EXPECT_EQ(response->trusted_client(), "2.2.2.2");
  EXPECT_EQ(response->reason(), "xff-hop-2");
  std::vector<std::string> hops;
  for (const auto& hop : response->hops()) hops.push_back(hop.source() + " " + hop.address());
  EXPECT_THAT(hops, ElementsAre("peer 123.120.200.15", "x-forwarded-for[1] 3.3.3.3",
                                "x-forwarded-for[2] 2.2.2.2"));
  EXPECT_EQ(response->decision(), v1::DENY_DECISION);
  EXPECT_EQ(response->deciding_policy(), "istio-system/client");
  EXPECT_THAT(response->decision_reason(), HasSubstr("its rule 0 denies this"));
  EXPECT_THAT(response->decision_reason(), HasSubstr("2.2.2.2"));
  EXPECT_THAT(response->upstream_headers(), IsEmpty());
  EXPECT_THAT(response->upstream_source(), IsEmpty());
}

TEST(ExplainTest, DeniesTheArticlesPeer) {
  const auto response = Ask(kGateway, "peer: '123.120.247.15' path: '/headers'");
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->deciding_policy(), "istio-system/peer");
  EXPECT_EQ(response->trusted_client(), "123.120.247.15");
}

TEST(ExplainTest, ShowsWhatGoesUpstream) {
  const auto response = Ask(kGateway, R"(
    peer: '198.51.100.1' host: 'echo' path: '/headers?x' forwarded_for: '7.7.7.7, 8.8.8.8'
    headers { key: 'x-whence-client' value: '6.6.6.6' } headers { key: 'accept' value: '*/*' })");
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->decision(), v1::ALLOW_DECISION);
  EXPECT_THAT(response->decision_reason(),
              HasSubstr("it goes to echo.foo.svc.cluster.local:80, which has 1 endpoint"));
  EXPECT_THAT(response->decision_reason(), HasSubstr("1 header fields claimed"));
  EXPECT_EQ(response->upstream_source(), "the agent's own address");
  EXPECT_THAT(response->upstream_headers(), Contains("host: echo"));
  EXPECT_THAT(response->upstream_headers(), Contains("accept: */*"));
  EXPECT_THAT(response->upstream_headers(),
              Contains("x-forwarded-for: 7.7.7.7, 8.8.8.8,198.51.100.1"));
  EXPECT_THAT(response->upstream_headers(), Contains("x-envoy-external-address: 7.7.7.7"));
  // The verdict for the sidecar behind, not the forged one.
  EXPECT_THAT(response->upstream_headers(), Contains("x-whence-client: 7.7.7.7"));
  EXPECT_THAT(response->upstream_headers(), Not(Contains(HasSubstr("6.6.6.6"))));
}

TEST(ExplainTest, SaysWhereAGatewayCannotSendIt) {
  struct {
    const char* request;
    const char* reason;
  } rows[] = {
      {"peer: '10.0.0.1' port: 81", "but no Gateway declares port 81"},
      {"peer: '10.0.0.1' path: '/other'", "but no route takes host \"\" and path \"/other\""},
      {"peer: '10.0.0.1' path: '/gone/x'", "but gone:80 has no endpoint"},
  };
  for (const auto& row : rows) {
    const auto response = Ask(kGateway, row.request);
    ASSERT_TRUE(response.ok()) << row.request;
    EXPECT_THAT(response->decision_reason(), HasSubstr(row.reason)) << row.request;
    EXPECT_THAT(response->upstream_headers(), IsEmpty());
  }
}

TEST(ExplainTest, JudgesPortsThatSpeakTcpAsTcp) {
  for (const char* request : {"peer: '10.0.0.1' port: 5432 forwarded_for: '1.1.1.1, 2.2.2.2'",
                              "peer: '10.0.0.1' port: 5432 tcp: true"}) {
    const auto response = Ask(kGateway, request);
    ASSERT_TRUE(response.ok());
    EXPECT_EQ(response->decision(), v1::ALLOW_DECISION) << request;
    EXPECT_EQ(response->trusted_client(), "10.0.0.1");
    EXPECT_THAT(response->upstream_headers(), ElementsAre("(PROXY protocol v2 header: 10.0.0.1)"));
  }
}

constexpr const char* kSidecar = R"(
  workload: 'echo' namespace: 'foo' role: SIDECAR
  trust { mesh_gateways: '10.32.1.221' spec { upstream_source { source: TRUSTED_CLIENT } } }
  policies { namespace: 'foo' name: 'allow' spec {
    rules { from { source { remote_ip_blocks: '9.9.9.9' } } } } }
  policies { namespace: 'foo' name: 'try' dry_run: true spec { action: DENY rules { } } }
)";

TEST(ExplainTest, SidecarTakesItsGatewaysVerdict) {
  const auto response =
      Ask(kSidecar, "peer: '10.32.1.221' headers { key: 'x-whence-client' value: '9.9.9.9' }");
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->trusted_client(), "9.9.9.9");
  EXPECT_EQ(response->reason(), "gateway-verdict");
  EXPECT_EQ(response->decision(), v1::DRY_RUN_DENY_DECISION);
  EXPECT_EQ(response->deciding_policy(), "foo/try");
  EXPECT_THAT(response->decision_reason(), HasSubstr("foo/try would deny it if it were enforced"));
  EXPECT_THAT(response->upstream_source(), StartsWith("9.9.9.9"));
  EXPECT_THAT(response->upstream_headers(), Not(Contains(StartsWith("x-whence-client"))));
}

TEST(ExplainTest, SidecarBelievesNobodyElse) {
  const auto response =
      Ask(kSidecar,
          "peer: '10.32.3.202' headers { key: 'x-whence-client' value: '9.9.9.9' } forwarded_for: "
          "'9.9.9.9'");
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->trusted_client(), "10.32.3.202");
  EXPECT_EQ(response->reason(), "untrusted-peer");
  EXPECT_EQ(response->decision(), v1::DENY_DECISION);
  EXPECT_THAT(response->decision_reason(),
              HasSubstr("there are ALLOW policies for this workload, and none of them allows"));
}

TEST(ExplainTest, ProxyProtocolIsJudgedBeforeAnyPolicy) {
  const std::string required = R"(
    workload: 'w' namespace: 'n' role: SIDECAR
    trust { spec { proxy_protocol { accept: REQUIRED from { cidrs: '10.1.0.0/16' } } } })";
  struct {
    const char* request;
    v1::Decision decision;
    const char* reason;
  } rows[] = {
      {"peer: '10.2.0.1'", v1::DENY_DECISION, "10.2.0.1 may not send one"},
      {"peer: '10.2.0.1' proxy_source: '9.9.9.9'", v1::DENY_DECISION, "10.2.0.1 may not send one"},
      {"peer: '10.1.0.1'", v1::DENY_DECISION, "must send a PROXY protocol header and does not"},
      {"peer: '10.1.0.1' proxy_source: '9.9.9.9:1234'", v1::ALLOW_DECISION, "no DENY rule"},
  };
  for (const auto& row : rows) {
    const auto response = Ask(required, row.request);
    ASSERT_TRUE(response.ok()) << row.request;
    EXPECT_EQ(response->decision(), row.decision) << row.request;
    EXPECT_THAT(response->decision_reason(), HasSubstr(row.reason)) << row.request;
    if (row.decision == v1::ALLOW_DECISION) {
      EXPECT_EQ(response->trusted_client(), "9.9.9.9");
    }
  }
  EXPECT_THAT(Ask("workload: 'w' role: SIDECAR", "peer: '10.1.0.1' proxy_source: '9.9.9.9'")
                  ->decision_reason(),
              HasSubstr("10.1.0.1 may not send a PROXY protocol header"));
  EXPECT_THAT(Ask("workload: 'w' role: GATEWAY", "peer: '10.1.0.1' proxy_source: '9.9.9.9'")
                  ->decision_reason(),
              HasSubstr("PROXY protocol is not accepted here"));
}

}  // namespace
}  // namespace whence::explain
