#include "common/wire/snapshot_decoder.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/snapshot/router.h"

namespace whence::wire {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

v1::WorkloadBundle Bundle(const std::string& text) {
  v1::WorkloadBundle bundle;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &bundle)) << text;
  return bundle;
}

constexpr const char* kHead = "workload: 'w' namespace: 'n' role: SIDECAR ";

IpSetMap OneSet() {
  return {{"n/cdn", std::make_shared<const net::CidrSet>(
                        std::vector<net::Cidr>{*net::Cidr::Parse("198.51.100.0/24")})}};
}

TEST(SnapshotDecoderTest, NamesEachBadField) {
  struct {
    const char* bundle;
    const char* message;
  } rows[] = {
      {"role: SIDECAR", "workload: is missing"},
      {"mesh { access_log { client_addresses: HASH } }", "mesh.access_log.hash_key: is missing"},
      {"mesh { access_log { client_addresses: TRUNCATE ipv4_prefix: 33 } }", "mesh.access_log"},
      {"workload: 'w'", "role: unknown value 0"},
      {"ip_sets: 'n/gone'", "ip_sets[0]: there is no ip set \"n/gone\""},
      {"trust { spec { num_trusted_proxies: 0 trusted_proxies { cidrs: '10.0.0.0/8' } } }",
       "trust.spec.trusted_proxies: given together"},
      {"trust { spec { trusted_proxies { cidrs: ['10.0.0.0/8', '10.0.0.0/33'] } } }",
       "trust.spec.trusted_proxies.cidrs[1]: \"10.0.0.0/33\""},
      {"trust { spec { trusted_proxies { ip_sets: 'n/gone' } } }",
       "trust.spec.trusted_proxies.ip_sets[0]: there is no ip set \"n/gone\""},
      {"trust { spec { trusted_proxies {} } trusted_workloads: 'x' }",
       "trust.trusted_workloads[0]: \"x\" is no IP address"},
      {"trust { mesh_gateways: '10.0.0.0/8' }", "trust.mesh_gateways[0]"},
      {"trust { spec { internal_cidrs: 'x' } }", "trust.spec.internal_cidrs[0]"},
      {"trust { spec { client_address_from: 'a: b' } }", "is no header name"},
      {"trust { spec { forwarded_for: 9 } }", "trust.spec.forwarded_for: unknown value 9"},
      {"trust { spec { upstream_source { source: 9 } } }", "upstream_source.source: unknown"},
      {"trust { spec { upstream_source { fallback: 9 } } }", "upstream_source.fallback: unknown"},
      {"trust { spec { proxy_protocol { accept: 9 } } }", "proxy_protocol.accept: unknown value 9"},
      {"trust { spec { proxy_protocol { send: 9 } } }", "proxy_protocol.send: unknown value 9"},
      {"trust { spec { proxy_protocol { from { cidrs: 'x' } } } }", "proxy_protocol.from.cidrs[0]"},
      {"policies { namespace: 'n' name: 'p' spec { action: 9 } }",
       "policy \"n/p\": spec.action: unknown value 9"},
      {"policies { namespace: 'n' name: 'p' spec { rules { from { source { ip_blocks: 'x' } } } } "
       "}",
       "policy \"n/p\": spec.rules[0].from[0].source.ipBlocks[0]"},
      {"mesh { path_normalization: 9 }", "mesh.path_normalization: unknown value 9"},
      {"clusters {}", "clusters[0].name: is missing"},
      {"clusters { name: 'a' } clusters { name: 'a' }", "clusters[1].name: \"a\" is given twice"},
      {"clusters { name: 'a' endpoints { address: 'host' port: 1 } }",
       "clusters[0].endpoints[0].address: \"host\" is no IP address"},
      {"clusters { name: 'a' endpoints { address: '1.2.3.4' port: 65536 } }",
       "clusters[0].endpoints[0].port: 65536 is not 1..65535"},
      {"listeners { port: 0 protocol: HTTP }", "listeners[0].port: 0 is not 1..65535"},
      {"listeners { port: 80 }", "listeners[0].protocol: unknown value 0"},
      {"listeners { port: 80 protocol: TCP } listeners { port: 80 protocol: TCP }",
       "listeners[1].port: 80 is given twice"},
      {"listeners { port: 80 protocol: TCP cluster: 'a' }",
       "listeners[0].cluster: there is no cluster \"a\""},
      {"listeners { port: 80 protocol: HTTP virtual_hosts { domains: 'a*' } }",
       "listeners[0].virtual_hosts[0].domains[0]: \"a*\" is no host"},
      {"listeners { port: 80 protocol: HTTP virtual_hosts { domains: '' } }", "is no host"},
      {"listeners { port: 80 protocol: HTTP virtual_hosts { domains: 'A' } virtual_hosts { "
       "domains: 'a' } }",
       "virtual_hosts[1].domains[0]: \"a\" is given twice"},
      {"clusters { name: 'c' } listeners { port: 80 protocol: HTTP virtual_hosts { domains: 'a' "
       "routes { cluster: 'c' } } }",
       "listeners[0].virtual_hosts[0].routes[0]: has neither prefix nor exact"},
      {"listeners { port: 80 protocol: HTTP virtual_hosts { domains: 'a' routes { prefix: '/' "
       "cluster: 'c' } } }",
       "routes[0].cluster: there is no cluster \"c\""},
      {"ports { port: 0 protocol: HTTP }", "ports[0].port: 0 is not"},
      {"ports { port: 1 }", "ports[0].protocol: unknown value 0"},
      {"ports { port: 1 protocol: TCP } ports { port: 1 protocol: HTTP }", "ports[1].port: 1 is"},
  };
  for (const auto& row : rows) {
    const bool bare = std::string(row.bundle).rfind("role", 0) == 0 ||
                      std::string(row.bundle).rfind("workload", 0) == 0;
    const auto snapshot = Decode(Bundle((bare ? "" : kHead) + std::string(row.bundle)), "v", {});
    ASSERT_FALSE(snapshot.ok()) << row.bundle;
    EXPECT_THAT(std::string(snapshot.status().message()), HasSubstr(row.message)) << row.bundle;
  }
}

TEST(SnapshotDecoderTest, NamesAllBadFieldsAtOnce) {
  const auto snapshot = Decode(Bundle("trust { mesh_gateways: ['x', 'y'] } clusters {}"), "v", {});
  EXPECT_EQ(std::string(snapshot.status().message()),
            "workload: is missing\n"
            "role: unknown value 0\n"
            "trust.mesh_gateways[0]: \"x\" is no IP address\n"
            "trust.mesh_gateways[1]: \"y\" is no IP address\n"
            "clusters[0].name: is missing");
}

TEST(SnapshotDecoderTest, TakesWhatTheLogMayKeep) {
  const auto cut =
      Decode(Bundle(absl::StrCat(kHead,
                                 " mesh { access_log { keep_query: true client_addresses: TRUNCATE "
                                 "ipv6_prefix: 32 } }")),
             "v", {});
  ASSERT_TRUE(cut.ok()) << cut.status().ToString();
  EXPECT_TRUE((*cut)->keep_query);
  EXPECT_EQ((*cut)->privacy,
            (trust::ClientPrivacy{trust::ClientPrivacy::Mode::kTruncate, 24, 32, ""}));
  const auto whole = Decode(Bundle(kHead), "v", {});
  EXPECT_FALSE((*whole)->keep_query);
  EXPECT_FALSE((*whole)->privacy.hides());
}

TEST(SnapshotDecoderTest, TakesTheRolesDefaults) {
  const auto sidecar = Decode(Bundle(kHead), "v7", {});
  ASSERT_TRUE(sidecar.ok()) << sidecar.status().ToString();
  EXPECT_EQ((*sidecar)->version, "v7");
  EXPECT_EQ((*sidecar)->workload, "w");
  EXPECT_EQ((*sidecar)->workload_namespace, "n");
  EXPECT_TRUE((*sidecar)->topology.trust_mesh_gateways);
  EXPECT_EQ((*sidecar)->topology.forwarded_for, trust::ForwardedForMode::kKeep);
  EXPECT_FALSE((*sidecar)->topology.trusted_proxies.has_value());
  ASSERT_NE((*sidecar)->policies, nullptr);
  EXPECT_EQ((*sidecar)->policies->size(), 0u);

  const auto gateway = Decode(Bundle("workload: 'w' role: GATEWAY"), "v", {});
  ASSERT_TRUE(gateway.ok());
  EXPECT_FALSE((*gateway)->topology.trust_mesh_gateways);
  EXPECT_EQ((*gateway)->topology.forwarded_for, trust::ForwardedForMode::kAppend);
  EXPECT_TRUE((*gateway)->topology.internal.Contains(*net::IpAddress::Parse("10.1.2.3")));
}

TEST(SnapshotDecoderTest, DecodesTrust) {
  const auto snapshot = Decode(Bundle(std::string(kHead) + R"(
    ip_sets: 'n/cdn'
    trust {
      source: 'n/edge'
      spec {
        trusted_proxies { cidrs: '192.0.2.0/24' ip_sets: 'n/cdn' }
        trust_mesh_gateways: false
        client_address_from: 'CF-Connecting-IP'
        forwarded_for: REPLACE
        internal_cidrs: '192.168.0.0/16'
        proxy_protocol { accept: OPTIONAL from { cidrs: '10.0.0.0/8' } send: V1 }
        upstream_source { source: TRUSTED_CLIENT fallback: AGENT }
      }
      trusted_workloads: '203.0.113.7'
      mesh_gateways: '203.0.113.8'
    })"),
                               "v", OneSet());
  ASSERT_TRUE(snapshot.ok()) << snapshot.status().ToString();
  const trust::Topology& topology = (*snapshot)->topology;
  EXPECT_EQ(topology.source, "n/edge");
  for (const char* trusted : {"192.0.2.1", "198.51.100.1", "203.0.113.7"}) {
    EXPECT_TRUE(topology.trusted_proxies->Contains(*net::IpAddress::Parse(trusted))) << trusted;
  }
  EXPECT_FALSE(topology.trusted_proxies->Contains(*net::IpAddress::Parse("203.0.113.8")));
  EXPECT_TRUE(topology.mesh_gateways.Contains(*net::IpAddress::Parse("203.0.113.8")));
  EXPECT_FALSE(topology.IsMeshAgent(*net::IpAddress::Parse("203.0.113.8")));
  EXPECT_EQ(topology.client_address_from, trust::ClientAddressFrom::kHeader);
  EXPECT_EQ(topology.client_address_header, "cf-connecting-ip");
  EXPECT_EQ(topology.forwarded_for, trust::ForwardedForMode::kReplace);
  EXPECT_FALSE(topology.internal.Contains(*net::IpAddress::Parse("10.1.2.3")));
  EXPECT_EQ(topology.proxy_accept, trust::ProxyAccept::kOptional);
  EXPECT_TRUE(topology.proxy_from.Contains(*net::IpAddress::Parse("10.1.2.3")));
  EXPECT_EQ(topology.proxy_send, trust::ProxySend::kV1);
  EXPECT_EQ(topology.upstream_source, trust::UpstreamSource::kTrustedClient);
  EXPECT_EQ(topology.upstream_fallback, trust::UpstreamFallback::kAgent);
}

TEST(SnapshotDecoderTest, TrustedProxiesOfWhichNoneIsThereAreStillSet) {
  const auto snapshot =
      Decode(Bundle(std::string(kHead) +
                    "trust { spec { trusted_proxies { workloads { match_labels { key: 'a' value: "
                    "'b' } } } } }"),
             "v", {});
  ASSERT_TRUE(snapshot.ok());
  ASSERT_TRUE((*snapshot)->topology.trusted_proxies.has_value());
  EXPECT_TRUE((*snapshot)->topology.trusted_proxies->empty());
}

TEST(SnapshotDecoderTest, DecodesRouting) {
  const auto snapshot = Decode(Bundle(R"(
    workload: 'g' namespace: 'n' role: GATEWAY revision: 12
    clusters { name: 'a:80' }
    clusters { name: 'b:80' endpoints { address: '10.0.0.1' port: 8080 workload: 'n/b'
                                        has_sidecar: true }
                            endpoints { address: '2001:db8::1' port: 8080 } }
    listeners { port: 80 protocol: HTTP
      virtual_hosts { domains: '*' routes { exact: '/a' cluster: 'a:80' }
                                   routes { prefix: '/' cluster: 'b:80' name: 'rest' } } }
    listeners { port: 5432 protocol: TCP cluster: 'b:80' }
    listeners { port: 5433 protocol: TCP }
    ports { port: 90 protocol: TCP }
    ports { port: 80 protocol: HTTP }
  )"),
                               "v", {});
  ASSERT_TRUE(snapshot.ok()) << snapshot.status().ToString();
  EXPECT_EQ((*snapshot)->revision, 12u);
  ASSERT_EQ((*snapshot)->listeners.size(), 3u);
  const snapshot::Listener& http = (*snapshot)->listeners[0];
  EXPECT_EQ(snapshot::Match(http, {.host = "x", .target = "/a"})->cluster, 0u);
  const snapshot::Route* rest = snapshot::Match(http, {.host = "x", .target = "/b"});
  ASSERT_NE(rest, nullptr);
  EXPECT_EQ(rest->name, "rest");
  const snapshot::Cluster& cluster = (*snapshot)->clusters[rest->cluster];
  ASSERT_EQ(cluster.endpoints.size(), 2u);
  EXPECT_EQ(cluster.endpoints[0].address.ToString(), "10.0.0.1:8080");
  EXPECT_TRUE(cluster.endpoints[0].has_sidecar);
  ASSERT_EQ((*snapshot)->listeners[1].tcp_routes.size(), 1u);
  EXPECT_EQ((*snapshot)->listeners[1].tcp_routes[0].Pick(7), 1u);
  EXPECT_TRUE((*snapshot)->listeners[2].tcp_routes.empty());
  EXPECT_THAT((*snapshot)->port_protocols,
              ElementsAre(Pair(80, snapshot::Protocol::kHttp), Pair(90, snapshot::Protocol::kTcp)));
}

TEST(SnapshotDecoderTest, CompilesPoliciesWithTheirSets) {
  const auto snapshot = Decode(Bundle(std::string(kHead) + R"(
    ip_sets: 'n/cdn'
    policies { namespace: 'n' name: 'a' spec { action: DENY
      rules { from { source { ip_sets: 'n/cdn' not_ip_blocks: '198.51.100.7' } } } } }
    policies { namespace: 'n' name: 'b' spec { mode: DRY_RUN rules { } } }
  )"),
                               "v", OneSet());
  ASSERT_TRUE(snapshot.ok()) << snapshot.status().ToString();
  EXPECT_EQ((*snapshot)->policies->size(), 2u);
}

}  // namespace
}  // namespace whence::wire
