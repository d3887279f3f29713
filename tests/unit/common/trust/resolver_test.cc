#include "common/trust/resolver.h"

#include <gtest/gtest.h>

#include "tests/unit/common/trust/request_builder.h"

namespace whence::trust {
namespace {

struct Row {
  const char* what;
  Topology topology;
  const char* peer;
  Lines lines;
  const char* client;
  const char* reason;
};

void ExpectAll(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    const Headers headers(row.lines);
    const Resolution plain = Resolve(Peer(row.peer), headers.evidence(), row.topology);
    EXPECT_EQ(plain.client.ip().ToString(), row.client) << row.what;
    EXPECT_EQ(ReasonText(plain), row.reason) << row.what;
    // A trace explains the answer; it must not change it.
    Trace trace;
    const Resolution traced = Resolve(Peer(row.peer), headers.evidence(), row.topology, &trace);
    EXPECT_EQ(plain.client, traced.client) << row.what;
    EXPECT_EQ(ReasonText(plain), ReasonText(traced)) << row.what;
    ASSERT_FALSE(trace.hops.empty()) << row.what;
    EXPECT_EQ(trace.hops.front().source, "peer") << row.what;
    for (const TraceHop& hop : trace.hops) EXPECT_NE(hop.judgement, "") << row.what;
  }
}

std::string Padding(int entries, const std::string& entry) {
  std::string text;
  for (int i = 0; i < entries; ++i) text += entry + ",";
  return text;
}

TEST(ResolverTest, GatewayTakesTheCountedEntryAndNoOther) {
  const std::string chain = "1.1.1.1,2.2.2.2,3.3.3.3";
  ExpectAll({
      {"nothing counted: the header is text",
       Gateway(0),
       "198.51.100.254",
       {{"x-forwarded-for", chain}},
       "198.51.100.254",
       "direct-peer"},
      {"no document: the same",
       DefaultTopology(Role::kGateway),
       "198.51.100.254",
       {{"x-forwarded-for", chain}},
       "198.51.100.254",
       "direct-peer"},
      {"one", Gateway(1), "198.51.100.254", {{"x-forwarded-for", chain}}, "3.3.3.3", "xff-hop-1"},
      {"two", Gateway(2), "198.51.100.254", {{"x-forwarded-for", chain}}, "2.2.2.2", "xff-hop-2"},
      {"more than there are",
       Gateway(4),
       "198.51.100.254",
       {{"x-forwarded-for", chain}},
       "198.51.100.254",
       "xff-too-short"},
      {"a huge count",
       Gateway(4294967295u),
       "198.51.100.254",
       {{"x-forwarded-for", chain}},
       "198.51.100.254",
       "xff-too-short"},
      {"no header", Gateway(1), "198.51.100.254", {}, "198.51.100.254", "xff-too-short"},
      {"empty header",
       Gateway(1),
       "198.51.100.254",
       {{"x-forwarded-for", ""}},
       "198.51.100.254",
       "xff-too-short"},
      {"an injected entry lands left of the counted ones",
       Gateway(2),
       "198.51.100.254",
       {{"x-forwarded-for", "6.6.6.6,198.18.7.7,192.0.2.33"}},
       "198.18.7.7",
       "xff-hop-2"},
      {"padding changes nothing",
       Gateway(2),
       "198.51.100.254",
       {{"x-forwarded-for", Padding(5000, "6.6.6.6") + "198.18.7.7,192.0.2.33"}},
       "198.18.7.7",
       "xff-hop-2"},
      {"nor does junk beyond",
       Gateway(1),
       "198.51.100.254",
       {{"x-forwarded-for", Padding(5000, "junk\"[") + "198.18.7.7"}},
       "198.18.7.7",
       "xff-hop-1"},
      {"a malformed entry is not stepped over",
       Gateway(1),
       "198.51.100.254",
       {{"x-forwarded-for", "9.9.9.9,unknown"}},
       "198.51.100.254",
       "xff-malformed"},
      {"an empty entry counts",
       Gateway(2),
       "198.51.100.254",
       {{"x-forwarded-for", "9.9.9.9,"}},
       "9.9.9.9",
       "xff-hop-2"},
      {"several lines are one list",
       Gateway(2),
       "198.51.100.254",
       {{"x-forwarded-for", "1.1.1.1"}, {"accept", "*"}, {"X-FORWARDED-FOR", "2.2.2.2"}},
       "1.1.1.1",
       "xff-hop-2"},
      {"a gateway believes no verdict of anyone",
       Gateway(0),
       "10.32.1.221",
       {{"x-whence-client", "6.6.6.6"}},
       "10.32.1.221",
       "direct-peer"},
  });
}

TEST(ResolverTest, SidecarBelievesItsMeshOnly) {
  Topology counting = Sidecar();
  counting.num_trusted_proxies = 2;
  Topology suspicious = Sidecar();
  suspicious.trust_mesh_gateways = false;
  ExpectAll({
      {"pod to pod", Sidecar(), "10.32.3.202", {}, "10.32.3.202", "direct-peer"},
      {"a pod that forwards",
       Sidecar(),
       "10.32.3.202",
       {{"x-forwarded-for", "6.6.6.6"}},
       "10.32.3.202",
       "untrusted-peer"},
      {"a pod that brings a verdict",
       Sidecar(),
       "10.32.3.202",
       {{"x-whence-client", "6.6.6.6"}},
       "10.32.3.202",
       "untrusted-peer"},
      {"the gateway's last entry",
       Sidecar(),
       "10.32.1.221",
       {{"x-forwarded-for", "6.6.6.6,123.120.247.15"}},
       "123.120.247.15",
       "xff-hop-1"},
      {"its verdict goes before its list",
       Sidecar(),
       "10.32.1.221",
       {{"x-forwarded-for", "2.2.2.2,35.188.212.88"}, {"X-Whence-Client", "2.2.2.2"}},
       "2.2.2.2",
       "gateway-verdict"},
      {"a verdict with a port is none of ours",
       Sidecar(),
       "10.32.1.221",
       {{"x-whence-client", "2.2.2.2:80"}},
       "10.32.1.221",
       "gateway-verdict-malformed"},
      {"a verdict that cannot be a client",
       Sidecar(),
       "10.32.1.221",
       {{"x-whence-client", "0.0.0.0"}, {"x-forwarded-for", "6.6.6.6"}},
       "10.32.1.221",
       "gateway-verdict-malformed"},
      {"two verdicts are none",
       Sidecar(),
       "10.32.1.221",
       {{"x-whence-client", "2.2.2.2"}, {"x-whence-client", "6.6.6.6"}},
       "10.32.1.221",
       "gateway-verdict-malformed"},
      {"the gateway forwards nothing",
       Sidecar(),
       "10.32.1.221",
       {},
       "10.32.1.221",
       "xff-too-short"},
      {"a sidecar that counts stands one hop further",
       counting,
       "10.32.1.221",
       {{"x-forwarded-for", "1.1.1.1,2.2.2.2,3.3.3.3"}},
       "1.1.1.1",
       "xff-hop-3"},
      {"a sidecar that counts and does not know the peer",
       counting,
       "10.32.3.202",
       {{"x-forwarded-for", "1.1.1.1,2.2.2.2,3.3.3.3"}},
       "10.32.3.202",
       "untrusted-peer"},
      {"a mesh that is not trusted",
       suspicious,
       "10.32.1.221",
       {{"x-forwarded-for", "2.2.2.2"}, {"x-whence-client", "6.6.6.6"}},
       "10.32.1.221",
       "untrusted-peer"},
  });
}

TEST(ResolverTest, RangesWalkToTheFirstHopThatIsNotTrusted) {
  const Topology gateway = Trusting(Role::kGateway, {"192.0.2.0/24", "2001:db8::/32"});
  const Topology sidecar = Trusting(Role::kSidecar, {"192.0.2.0/24"});
  const Topology everything = Trusting(Role::kGateway, {"0.0.0.0/0"});
  ExpectAll({
      {"untrusted peer",
       gateway,
       "198.18.7.7",
       {{"x-forwarded-for", "6.6.6.6"}},
       "198.18.7.7",
       "untrusted-peer"},
      {"untrusted peer without a claim", gateway, "198.18.7.7", {}, "198.18.7.7", "direct-peer"},
      {"one step",
       gateway,
       "192.0.2.9",
       {{"x-forwarded-for", "198.18.7.7"}},
       "198.18.7.7",
       "xff-trusted-range"},
      {"evidence beyond the first untrusted hop",
       gateway,
       "192.0.2.9",
       {{"x-forwarded-for", "10.0.0.1,192.0.2.1,198.18.7.7,192.0.2.8"}},
       "198.18.7.7",
       "xff-trusted-range"},
      {"families mix",
       gateway,
       "2001:db8::9",
       {{"x-forwarded-for", "198.18.7.7:4711, [2001:db8::1]:80, ::ffff:192.0.2.8"}},
       "198.18.7.7",
       "xff-trusted-range"},
      {"a mapped peer is IPv4",
       gateway,
       "::ffff:192.0.2.9",
       {{"x-forwarded-for", "198.18.7.7"}},
       "198.18.7.7",
       "xff-trusted-range"},
      {"garbage on the way voids the walk",
       gateway,
       "192.0.2.9",
       {{"x-forwarded-for", "198.18.7.7,garbage,192.0.2.8"}},
       "192.0.2.9",
       "xff-malformed"},
      {"garbage beyond the client is not read",
       gateway,
       "192.0.2.9",
       {{"x-forwarded-for", "garbage,198.18.7.7,192.0.2.8"}},
       "198.18.7.7",
       "xff-trusted-range"},
      {"trailing comma",
       gateway,
       "192.0.2.9",
       {{"x-forwarded-for", "198.18.7.7,"}},
       "192.0.2.9",
       "xff-malformed"},
      {"empty entry in the walk",
       gateway,
       "192.0.2.9",
       {{"x-forwarded-for", "198.18.7.7,,192.0.2.8"}},
       "192.0.2.9",
       "xff-malformed"},
      {"all trusted: the leftmost",
       gateway,
       "192.0.2.9",
       {{"x-forwarded-for", "192.0.2.7,192.0.2.8"}},
       "192.0.2.7",
       "xff-trusted-range"},
      {"trusted peer without header", gateway, "192.0.2.9", {}, "192.0.2.9", "direct-peer"},
      {"thousands of trusted hops",
       gateway,
       "192.0.2.9",
       {{"x-forwarded-for", "198.18.7.7," + Padding(9000, "192.0.2.8") + "192.0.2.1"}},
       "198.18.7.7",
       "xff-trusted-range"},
      {"0.0.0.0/0 trusts no IPv6",
       everything,
       "2001:db8::1",
       {{"x-forwarded-for", "6.6.6.6"}},
       "2001:db8::1",
       "untrusted-peer"},
      {"a sidecar has the same walk",
       sidecar,
       "192.0.2.9",
       {{"x-forwarded-for", "6.6.6.6,198.18.7.7,192.0.2.8"}},
       "198.18.7.7",
       "xff-trusted-range"},
  });
}

TEST(ResolverTest, RangesComeFromSetsAndFromTheMesh) {
  Topology topology = DefaultTopology(Role::kGateway);
  topology.trusted_proxies = AddressRanges{
      {}, {std::make_shared<const net::CidrSet>(Cidrs({"203.0.113.0/24", "2400:cb00::/32"}))}};
  topology.mesh_gateways = Cidrs({"10.32.1.221"});
  Topology with_mesh = topology;
  with_mesh.trust_mesh_gateways = true;
  Topology mesh_only = DefaultTopology(Role::kGateway);
  mesh_only.mesh_gateways = Cidrs({"10.32.1.221"});
  mesh_only.trust_mesh_gateways = true;
  ExpectAll({
      {"a set",
       topology,
       "2400:cb00::1",
       {{"x-forwarded-for", "198.18.7.7, 203.0.113.7"}},
       "198.18.7.7",
       "xff-trusted-range"},
      {"the mesh is not trusted unless said",
       topology,
       "203.0.113.7",
       {{"x-forwarded-for", "198.18.7.7, 10.32.1.221"}},
       "10.32.1.221",
       "xff-trusted-range"},
      {"said",
       with_mesh,
       "203.0.113.7",
       {{"x-forwarded-for", "198.18.7.7, 10.32.1.221"}},
       "198.18.7.7",
       "xff-trusted-range"},
      {"a gateway behind a gateway",
       mesh_only,
       "10.32.1.221",
       {{"x-forwarded-for", "6.6.6.6, 198.18.7.7"}},
       "198.18.7.7",
       "xff-trusted-range"},
  });
}

TEST(ResolverTest, AnAddressThatAGatewayOnlyClaimsIsNoHopInAList) {
  Topology topology = DefaultTopology(Role::kGateway);
  topology.trusted_proxies = AddressRanges{Cidrs({"203.0.113.0/24"}), {}};
  topology.mesh_gateways = Cidrs({"10.32.1.221", "10.32.1.222"});
  topology.unproven_gateways = Cidrs({"10.32.1.222"});
  topology.trust_mesh_gateways = true;
  ExpectAll({
      {"one that is proven",
       topology,
       "203.0.113.7",
       {{"x-forwarded-for", "6.6.6.6, 10.32.1.221"}},
       "6.6.6.6",
       "xff-trusted-range"},
      {"one that is claimed, which may be anybody's",
       topology,
       "203.0.113.7",
       {{"x-forwarded-for", "6.6.6.6, 10.32.1.222"}},
       "10.32.1.222",
       "xff-trusted-range"},
      {"whose agent has proved this connection",
       topology,
       "10.32.1.222",
       {{"x-forwarded-for", "6.6.6.6, 198.18.7.7"}},
       "198.18.7.7",
       "xff-trusted-range"},
  });
  topology.proxy_accept = ProxyAccept::kRequired;
  EXPECT_EQ(ProxyHeaderRuleFor(topology, Peer("10.32.1.221")), ProxyHeaderRule::kOptional);
  EXPECT_EQ(ProxyHeaderRuleFor(topology, Peer("10.32.1.222")), ProxyHeaderRule::kRequired);
}

TEST(ResolverTest, ForwardedIsReadAsXForwardedForIs) {
  Topology counting = Gateway(2);
  counting.client_address_from = ClientAddressFrom::kForwarded;
  Topology walking = Trusting(Role::kGateway, {"192.0.2.0/24"});
  walking.client_address_from = ClientAddressFrom::kForwarded;
  ExpectAll({
      {"counted",
       counting,
       "192.0.2.9",
       {{"forwarded", "for=6.6.6.6, for=\"[2001:db8::17]:4711\";proto=https,for=192.0.2.8"}},
       "2001:db8::17",
       "forwarded-hop-2"},
      {"another header says nothing",
       counting,
       "192.0.2.9",
       {{"x-forwarded-for", "1.1.1.1,2.2.2.2"}},
       "192.0.2.9",
       "forwarded-too-short"},
      {"hidden on purpose",
       counting,
       "192.0.2.9",
       {{"forwarded", "for=_x,for=192.0.2.8"}},
       "192.0.2.9",
       "forwarded-malformed"},
      {"an open quote of the client",
       walking,
       "192.0.2.9",
       {{"forwarded", "for=\"6.6.6.6, for=198.18.7.7, for=192.0.2.8"}},
       "198.18.7.7",
       "forwarded-trusted-range"},
  });
}

TEST(ResolverTest, ASingleAddressHeaderIsBelievedFromTrustedHopsOnly) {
  Topology walking = Trusting(Role::kGateway, {"192.0.2.0/24"});
  walking.client_address_from = ClientAddressFrom::kHeader;
  walking.client_address_header = "cf-connecting-ip";
  Topology closed = Gateway(0);
  closed.client_address_from = ClientAddressFrom::kHeader;
  closed.client_address_header = "cf-connecting-ip";
  ExpectAll({
      {"from the CDN",
       walking,
       "192.0.2.9",
       {{"CF-Connecting-IP", "198.18.7.7"}, {"x-forwarded-for", "6.6.6.6"}},
       "198.18.7.7",
       "header"},
      {"from a stranger",
       walking,
       "198.18.9.9",
       {{"cf-connecting-ip", "6.6.6.6"}},
       "198.18.9.9",
       "untrusted-peer"},
      {"nobody is trusted",
       closed,
       "192.0.2.9",
       {{"cf-connecting-ip", "6.6.6.6"}},
       "192.0.2.9",
       "direct-peer"},
      {"sent twice",
       walking,
       "192.0.2.9",
       {{"cf-connecting-ip", "6.6.6.6"}, {"cf-connecting-ip", "198.18.7.7"}},
       "192.0.2.9",
       "header-malformed"},
      {"a list",
       walking,
       "192.0.2.9",
       {{"cf-connecting-ip", "6.6.6.6, 198.18.7.7"}},
       "192.0.2.9",
       "header-malformed"},
      {"missing",
       walking,
       "192.0.2.9",
       {{"x-forwarded-for", "6.6.6.6"}},
       "192.0.2.9",
       "header-missing"},
  });
}

struct ProxyRow {
  const char* what;
  Topology topology;
  const char* peer;
  const char* source;
  Lines lines;
  const char* client;
  const char* reason;
  bool is_trusted;
};

TEST(ResolverTest, ProxyProtocolNamesTheNearestHop) {
  Topology accepting = Gateway(0);
  accepting.proxy_accept = ProxyAccept::kRequired;
  accepting.proxy_from = AddressRanges{Cidrs({"10.128.0.0/16"}), {}};
  Topology counting = accepting;
  counting.num_trusted_proxies = 1;
  Topology walking = accepting;
  walking.num_trusted_proxies = std::nullopt;
  walking.trusted_proxies = AddressRanges{Cidrs({"203.0.113.0/24"}), {}};
  const std::vector<ProxyRow> rows = {
      {"a balancer",
       accepting,
       "10.128.0.54",
       "123.120.247.15:51000",
       {},
       "123.120.247.15",
       "proxy-protocol",
       false},
      {"who may not send one",
       accepting,
       "198.18.7.7",
       "6.6.6.6:1",
       {},
       "198.18.7.7",
       "direct-peer",
       false},
      {"nobody may",
       Gateway(0),
       "10.128.0.54",
       "6.6.6.6:1",
       {},
       "10.128.0.54",
       "direct-peer",
       false},
      {"no client address",
       accepting,
       "10.128.0.54",
       "0.0.0.0:1",
       {},
       "10.128.0.54",
       "direct-peer",
       false},
      {"entries are counted behind the named hop",
       counting,
       "10.128.0.54",
       "203.0.113.7:1",
       {{"x-forwarded-for", "6.6.6.6,198.18.7.7"}},
       "198.18.7.7",
       "xff-hop-1",
       true},
      {"too few of them: the named hop",
       counting,
       "10.128.0.54",
       "203.0.113.7:1",
       {},
       "203.0.113.7",
       "xff-too-short",
       true},
      {"the named hop is judged, not the balancer",
       walking,
       "10.128.0.54",
       "198.18.7.7:1",
       {{"x-forwarded-for", "6.6.6.6"}},
       "198.18.7.7",
       "proxy-protocol",
       false},
      {"and if trusted, stepped over",
       walking,
       "10.128.0.54",
       "203.0.113.7:1",
       {{"x-forwarded-for", "6.6.6.6,198.18.7.7"}},
       "198.18.7.7",
       "xff-trusted-range",
       true},
      {"a sidecar takes its gateway's",
       Sidecar(),
       "10.32.1.221",
       "198.18.7.7:1",
       {},
       "198.18.7.7",
       "proxy-protocol",
       false},
      {"the stream behind it is the client's own words",
       Sidecar(),
       "10.32.1.221",
       "198.18.7.7:1",
       {{"x-whence-client", "6.6.6.6"}, {"x-forwarded-for", "6.6.6.6"}},
       "198.18.7.7",
       "proxy-protocol",
       false},
      {"a pod is no gateway",
       Sidecar(),
       "10.32.3.202",
       "6.6.6.6:1",
       {},
       "10.32.3.202",
       "direct-peer",
       false},
  };
  for (const ProxyRow& row : rows) {
    const Headers headers(row.lines);
    Evidence evidence = headers.evidence();
    evidence.proxy_source = net::SocketAddress::Parse(row.source);
    evidence.agent_word = AgentWord::kForClient;
    ASSERT_TRUE(evidence.proxy_source) << row.what;
    const Resolution resolution = Resolve(Peer(row.peer), evidence, row.topology);
    EXPECT_EQ(resolution.client.ip().ToString(), row.client) << row.what;
    EXPECT_EQ(ReasonText(resolution), row.reason) << row.what;
    EXPECT_EQ(resolution.peer_is_trusted, row.is_trusted) << row.what;
  }
}

// Whoever connects through a TCP gateway speaks from its address.
TEST(ResolverTest, AnAgentsAddressProvesNothing) {
  const Headers headers({{"x-whence-client", "6.6.6.6"}, {"x-forwarded-for", "6.6.6.6"}});
  Evidence evidence = headers.evidence();
  for (const AgentWord word : {AgentWord::kNone, AgentWord::kForClient}) {
    evidence.agent_word = word;
    const Resolution resolution = Resolve(Peer("10.32.1.221"), evidence, Sidecar());
    EXPECT_EQ(resolution.client.ip(), Ip("10.32.1.221"));
    EXPECT_EQ(ReasonText(resolution), "untrusted-peer");
    EXPECT_FALSE(resolution.peer_is_trusted);
  }
  for (const AgentWord word : {AgentWord::kNone, AgentWord::kOwn}) {
    Evidence claim{.proxy_source = net::SocketAddress::Parse("6.6.6.6:1"), .agent_word = word};
    EXPECT_EQ(Resolve(Peer("10.32.1.221"), claim, Sidecar()).client.ip(), Ip("10.32.1.221"));
    Topology gateway = Gateway(0);
    gateway.node_agents = Cidrs({"10.128.0.54"});
    EXPECT_EQ(Resolve(Peer("10.128.0.54"), claim, gateway).client.ip(), Ip("10.128.0.54"));
    claim.agent_word = AgentWord::kForClient;
    EXPECT_EQ(Resolve(Peer("10.128.0.54"), claim, gateway).client.ip(), Ip("6.6.6.6"));
    EXPECT_EQ(Resolve(Peer("10.128.0.53"), claim, gateway).client.ip(), Ip("10.128.0.53"));
  }
  // A proxy that is trusted by its range needs none, and keeps being one if it is an agent too.
  Topology ranges = Sidecar();
  ranges.trusted_proxies = AddressRanges{Cidrs({"10.32.1.0/24"}), {}};
  evidence.agent_word = AgentWord::kNone;
  EXPECT_EQ(Resolve(Peer("10.32.1.221"), evidence, ranges).client.ip(), Ip("6.6.6.6"));
}

TEST(ResolverTest, HopNumbersSaturate) {
  const Headers headers({{"x-forwarded-for", "9.9.9.9," + Padding(70000, "1.1.1.1") + "1.1.1.1"}});
  const Resolution resolution = Resolve(Peer("192.0.2.1"), headers.evidence(), Gateway(70002));
  EXPECT_EQ(resolution.client.ip(), Ip("9.9.9.9"));
  EXPECT_EQ(ReasonText(resolution), "xff-hop-65535");
}

TEST(ResolverTest, TraceTellsTheWayFromTheNearestHop) {
  const Headers headers(
      {{"x-forwarded-for", "6.6.6.6, 198.18.7.7"}, {"x-forwarded-for", "192.0.2.8:80"}});
  Trace trace;
  Resolve(Peer("192.0.2.9"), headers.evidence(), Trusting(Role::kGateway, {"192.0.2.0/24"}),
          &trace);
  ASSERT_EQ(trace.hops.size(), 3u);
  EXPECT_EQ(trace.hops[0].judgement, "trusted: in 192.0.2.0/24");
  EXPECT_EQ(trace.hops[1].text, "192.0.2.8:80");
  EXPECT_EQ(trace.hops[1].address, Ip("192.0.2.8"));
  EXPECT_EQ(trace.hops[1].source, "x-forwarded-for[1]");
  EXPECT_EQ(trace.hops[2].text, "198.18.7.7");
  EXPECT_EQ(trace.hops[2].judgement, "not trusted: the client");
}

TEST(ProxyHeaderRuleTest, AGatewayLetsNodeAgentsHandConnectionsOver) {
  Topology topology = DefaultTopology(Role::kGateway);
  topology.node_agents = Cidrs({"10.128.0.54"});
  EXPECT_EQ(ProxyHeaderRuleFor(topology, Peer("10.128.0.54")), ProxyHeaderRule::kOptional);
  EXPECT_EQ(ProxyHeaderRuleFor(topology, Peer("10.128.0.53")), ProxyHeaderRule::kNotRead);
  topology.proxy_accept = ProxyAccept::kRequired;
  EXPECT_EQ(ProxyHeaderRuleFor(topology, Peer("10.128.0.54")), ProxyHeaderRule::kRequired);
  EXPECT_EQ(ProxyHeaderRuleFor(topology, Peer("10.128.0.53")), ProxyHeaderRule::kRefusePeer);
}

TEST(ProxyHeaderRuleTest, SendersAreKnownByTheKernelsAddress) {
  Topology topology = Sidecar();
  topology.proxy_from = AddressRanges{Cidrs({"10.128.0.0/16"}), {}};
  struct {
    ProxyAccept accept;
    const char* peer;
    ProxyHeaderRule rule;
  } rows[] = {
      {ProxyAccept::kOff, "10.128.0.1", ProxyHeaderRule::kForbidden},
      {ProxyAccept::kOff, "6.6.6.6", ProxyHeaderRule::kForbidden},
      {ProxyAccept::kOff, "10.32.1.221", ProxyHeaderRule::kOptional},
      {ProxyAccept::kOptional, "10.128.0.1", ProxyHeaderRule::kOptional},
      {ProxyAccept::kOptional, "6.6.6.6", ProxyHeaderRule::kForbidden},
      {ProxyAccept::kRequired, "10.128.0.1", ProxyHeaderRule::kRequired},
      {ProxyAccept::kRequired, "6.6.6.6", ProxyHeaderRule::kRefusePeer},
      {ProxyAccept::kRequired, "10.32.1.221", ProxyHeaderRule::kOptional},
  };
  for (const auto& row : rows) {
    topology.proxy_accept = row.accept;
    EXPECT_EQ(ProxyHeaderRuleFor(topology, Peer(row.peer)), row.rule) << row.peer;
  }
  // Without agents of ours in front, OFF means what it says: an application may read it itself.
  topology.proxy_accept = ProxyAccept::kOff;
  topology.trust_mesh_gateways = false;
  for (const char* peer : {"10.128.0.1", "6.6.6.6", "10.32.1.221"}) {
    EXPECT_EQ(ProxyHeaderRuleFor(topology, Peer(peer)), ProxyHeaderRule::kNotRead) << peer;
  }
}

TEST(ProxyVersionTest, ASidecarIsNeverLeftWithoutAHeader) {
  struct {
    ProxySend send;
    ProxyVersion to_sidecar, to_others;
  } rows[] = {
      {ProxySend::kAuto, ProxyVersion::kV2, ProxyVersion::kNone},
      {ProxySend::kOff, ProxyVersion::kV2, ProxyVersion::kNone},
      {ProxySend::kV1, ProxyVersion::kV2, ProxyVersion::kV1},
      {ProxySend::kV2, ProxyVersion::kV2, ProxyVersion::kV2},
  };
  for (const auto& row : rows) {
    Topology topology = DefaultTopology(Role::kGateway);
    topology.proxy_send = row.send;
    EXPECT_EQ(ProxyVersionToSend(topology, true), row.to_sidecar);
    EXPECT_EQ(ProxyVersionToSend(topology, false), row.to_others);
  }
}

}  // namespace
}  // namespace whence::trust
