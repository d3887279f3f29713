#include "common/trust/forwarding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/common/trust/request_builder.h"

namespace whence::trust {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

// What an upstream gets: "name: value" in order, and what was counted.
struct Sent {
  std::vector<std::string> lines;
  uint32_t spoof_attempts = 0;
  bool is_internal = false;
  std::string external_address;
  std::string request_id;
};

Sent Send(const Topology& topology, std::string_view peer, const Lines& lines,
          ForwardingContext context = {}, const char* proxy_source = nullptr) {
  const Headers headers(lines);
  Evidence evidence = headers.evidence();
  if (proxy_source != nullptr) {
    evidence.proxy_source = net::SocketAddress::Parse(proxy_source);
    evidence.agent_word = AgentWord::kForClient;
  }
  const Resolution resolution = Resolve(Peer(peer), evidence, topology);
  context.own_address = Ip("10.32.1.221");
  if (context.fresh_request_id.empty()) context.fresh_request_id = "fresh";
  size_t head_bytes = 2;
  for (const auto& [name, value] : lines) head_bytes += name.size() + value.size() + 4;
  std::vector<char> memory(ForwardingMemory(head_bytes));
  const auto plan = PlanForwarding(evidence, resolution, topology, context, memory);
  if (!plan) return Sent{.lines = {"no plan"}};
  Sent sent{.spoof_attempts = plan->spoof_attempts,
            .is_internal = plan->is_internal,
            .external_address = std::string(plan->external_address),
            .request_id = std::string(plan->request_id)};
  const auto put = [&](const http::HeaderField& field) {
    sent.lines.push_back(std::string(field.name) + ": " + std::string(field.value));
  };
  for (size_t i = 0; i < headers.fields().size(); ++i) {
    if (!plan->dropped.Contains(i)) put(headers.fields()[i]);
  }
  for (const http::HeaderField& field : plan->Added()) put(field);
  return sent;
}

TEST(ForwardingTest, ASidecarLeavesARequestOfAPodAsItIs) {
  const Sent sent =
      Send(Sidecar(), "10.32.3.202", {{"host", "echo"}, {"x-request-id", "id"}, {"accept", "*/*"}});
  EXPECT_THAT(sent.lines, ElementsAre("host: echo", "x-request-id: id", "accept: */*",
                                      "x-forwarded-proto: http"));
  EXPECT_EQ(sent.spoof_attempts, 0u);
}

TEST(ForwardingTest, ASidecarTakesPrivilegesFromAPodAndCountsTheAttempts) {
  const Sent sent = Send(Sidecar(), "10.32.3.202",
                         {{"X-Whence-Client", "6.6.6.6"},
                          {"x-whence-client", "6.6.6.6"},
                          {"x-whence-anything", "x"},
                          {"x-envoy-internal", "true"},
                          {"x-envoy-external-address", "6.6.6.6"},
                          {"x-forwarded-client-cert", "By=spiffe://mesh/admin"},
                          {"x_forwarded_for", "6.6.6.6"},
                          {"X_Envoy-Internal", "true"},
                          {"x-envoy-retry-on", "5xx"},
                          {"x-forwarded-for", "6.6.6.6"},
                          {"x-request-id", "id"}});
  EXPECT_THAT(sent.lines, ElementsAre("x-forwarded-for: 6.6.6.6", "x-request-id: id",
                                      "x-forwarded-proto: http"));
  EXPECT_EQ(sent.spoof_attempts, 8u);
}

TEST(ForwardingTest, ASidecarPassesOnWhatItsGatewaySays) {
  const Sent sent = Send(Sidecar(), "10.32.1.221",
                         {{"x-forwarded-for", "2.2.2.2,35.188.212.88"},
                          {"x-envoy-external-address", "2.2.2.2"},
                          {"x-whence-client", "2.2.2.2"},
                          {"x-forwarded-proto", "https"},
                          {"x-request-id", "id"}});
  EXPECT_THAT(sent.lines, ElementsAre("x-forwarded-for: 2.2.2.2,35.188.212.88",
                                      "x-envoy-external-address: 2.2.2.2",
                                      "x-forwarded-proto: https", "x-request-id: id"));
  EXPECT_EQ(sent.spoof_attempts, 0u);
  EXPECT_EQ(sent.external_address, "2.2.2.2");
}

TEST(ForwardingTest, NothingInsideARelayedStreamIsTheGatewaysWord) {
  const Sent sent = Send(Sidecar(), "10.32.1.221",
                         {{"x-whence-client", "6.6.6.6"}, {"x-envoy-external-address", "6.6.6.6"}},
                         {}, "198.18.7.7:1");
  EXPECT_THAT(sent.lines, ElementsAre("x-forwarded-proto: http", "x-request-id: fresh"));
  EXPECT_EQ(sent.spoof_attempts, 2u);
}

TEST(ForwardingTest, AnEdgeVouchesForEveryHeaderThatSpeaksOfTheClient) {
  ForwardingContext context;
  context.endpoint_has_sidecar = true;
  context.downstream_tls = true;
  const Sent sent = Send(Gateway(0), "198.18.7.7",
                         {{"x-forwarded-for", "6.6.6.6"},
                          {"X-Forwarded-Proto", "gopher"},
                          {"x-forwarded-host", "evil"},
                          {"x-forwarded-port", "1"},
                          {"x-forwarded-prefix", "/evil"},
                          {"x-real-ip", "6.6.6.6"},
                          {"forwarded", "for=6.6.6.6"},
                          {"x-envoy-external-address", "6.6.6.6"},
                          {"x-whence-client", "6.6.6.6"},
                          {"x-request-id", "mine"},
                          {"x-envoy-original-path", "/admin"},
                          {"accept", "*/*"}},
                         context);
  EXPECT_THAT(sent.lines,
              ElementsAre("accept: */*", "x-forwarded-for: 6.6.6.6,198.18.7.7",
                          "x-forwarded-proto: https", "x-request-id: fresh",
                          "x-envoy-external-address: 198.18.7.7", "x-whence-client: 198.18.7.7"));
  EXPECT_EQ(sent.spoof_attempts, 2u);
  EXPECT_EQ(sent.request_id, "fresh");
}

TEST(ForwardingTest, AnEdgeBehindTrustedProxiesKeepsWhatTheySay) {
  const Sent sent = Send(Gateway(2), "192.0.2.5",
                         {{"x-forwarded-for", "1.1.1.1,2.2.2.2"},
                          {"x-forwarded-for", "3.3.3.3"},
                          {"x-forwarded-proto", "https"},
                          {"x-forwarded-host", "shop.example"},
                          {"x-real-ip", "2.2.2.2"},
                          {"x-envoy-external-address", "9.9.9.9"}});
  EXPECT_THAT(sent.lines, ElementsAre("x-forwarded-proto: https", "x-forwarded-host: shop.example",
                                      "x-real-ip: 2.2.2.2",
                                      "x-forwarded-for: 1.1.1.1,2.2.2.2,3.3.3.3,192.0.2.5",
                                      "x-request-id: fresh", "x-envoy-external-address: 2.2.2.2"));
  EXPECT_EQ(sent.spoof_attempts, 0u);
}

std::string ForwardedFor(const Sent& sent) {
  std::string text;
  for (const std::string& line : sent.lines) {
    if (line.starts_with("x-forwarded-for: ")) text += "[" + line.substr(17) + "]";
  }
  return text;
}

TEST(ForwardingTest, WritesTheListAsTheModeSays) {
  Topology keep = Gateway(1);
  keep.forwarded_for = ForwardedForMode::kKeep;
  Topology replace = Gateway(1);
  replace.forwarded_for = ForwardedForMode::kReplace;
  Topology walking = Trusting(Role::kSidecar, {"192.0.2.0/24"});
  struct {
    const char* what;
    Topology topology;
    const char* peer;
    Lines lines;
    const char* list;
  } rows[] = {
      {"append",
       Gateway(1),
       "192.0.2.5",
       {{"x-forwarded-for", "1.1.1.1 , junk"}},
       "[1.1.1.1 , junk,192.0.2.5]"},
      {"append to nothing", Gateway(1), "192.0.2.5", {}, "[192.0.2.5]"},
      {"append to empty lines",
       Gateway(1),
       "192.0.2.5",
       {{"x-forwarded-for", ""}, {"x-forwarded-for", ""}},
       "[192.0.2.5]"},
      {"append IPv6 without brackets",
       Gateway(1),
       "2001:db8::5",
       {{"x-forwarded-for", "1.1.1.1"}},
       "[1.1.1.1,2001:db8::5]"},
      {"a loopback peer is our own address", Gateway(0), "127.0.0.1", {}, "[10.32.1.221]"},
      {"in both families", Gateway(0), "::1", {}, "[10.32.1.221]"},
      {"other loopback addresses are themselves", Gateway(0), "127.0.0.2", {}, "[127.0.0.2]"},
      {"a peer without an address is left out",
       Gateway(0),
       "::",
       {{"x-forwarded-for", "1.1.1.1"}},
       "[1.1.1.1]"},
      {"keep",
       keep,
       "192.0.2.5",
       {{"x-forwarded-for", "1.1.1.1"}, {"x-forwarded-for", "2.2.2.2"}},
       "[1.1.1.1][2.2.2.2]"},
      {"keep nothing", keep, "192.0.2.5", {}, ""},
      {"replace",
       replace,
       "192.0.2.5",
       {{"x-forwarded-for", "6.6.6.6"}, {"x-forwarded-for", "2.2.2.2"}},
       "[2.2.2.2]"},
      {"keep, but name a stranger among ranges",
       walking,
       "198.18.7.7",
       {{"x-forwarded-for", "6.6.6.6"}},
       "[6.6.6.6,198.18.7.7]"},
      {"keep from a trusted hop",
       walking,
       "192.0.2.9",
       {{"x-forwarded-for", "6.6.6.6"}},
       "[6.6.6.6]"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(ForwardedFor(Send(row.topology, row.peer, row.lines)), row.list) << row.what;
  }
}

TEST(ForwardingTest, WritesForwardedWhereItIsRead) {
  Topology topology = Gateway(1);
  topology.client_address_from = ClientAddressFrom::kForwarded;
  EXPECT_THAT(Send(topology, "2001:db8::5", {{"forwarded", "for=1.1.1.1;proto=https"}}).lines,
              ElementsAre("x-forwarded-for: 2001:db8::5",
                          "forwarded: for=1.1.1.1;proto=https,for=\"[2001:db8::5]\"",
                          "x-forwarded-proto: http", "x-request-id: fresh",
                          "x-envoy-external-address: 1.1.1.1"));
  topology.forwarded_for = ForwardedForMode::kReplace;
  EXPECT_THAT(
      Send(topology, "2001:db8::5", {{"forwarded", "for=6.6.6.6,for=1.1.1.1"}}).lines,
      ElementsAre("x-forwarded-for: 1.1.1.1", "forwarded: for=1.1.1.1", "x-forwarded-proto: http",
                  "x-request-id: fresh", "x-envoy-external-address: 1.1.1.1"));
}

TEST(ForwardingTest, AClientHeaderOfAStrangerIsASpoof) {
  for (const char* name : {"cf-connecting-ip", "x-real-ip"}) {
    Topology topology = Trusting(Role::kGateway, {"192.0.2.0/24"});
    topology.client_address_from = ClientAddressFrom::kHeader;
    topology.client_address_header = name;
    topology.forwarded_for = ForwardedForMode::kKeep;
    EXPECT_EQ(Send(topology, "198.18.7.7", {{name, "6.6.6.6"}}).spoof_attempts, 1u) << name;
    EXPECT_EQ(Send(topology, "192.0.2.9", {{name, "6.6.6.6"}}).spoof_attempts, 0u) << name;
    EXPECT_EQ(Send(topology, "192.0.2.9", {{name, "6.6.6.6"}}).lines[0],
              std::string(name) + ": 6.6.6.6");
  }
}

// Behind CGI or WSGI the alias and the header are one variable.
TEST(ForwardingTest, AnAliasOfTheClientHeaderIsASpoofWhoeverSendsIt) {
  Topology topology = Trusting(Role::kSidecar, {"192.0.2.0/24"});
  topology.client_address_from = ClientAddressFrom::kHeader;
  topology.client_address_header = "x-my-client-ip";
  for (const char* peer : {"198.18.7.7", "192.0.2.9"}) {
    const Sent sent = Send(topology, peer, {{"X_My_Client_IP", "6.6.6.6"}, {"x-my-client", "a"}});
    EXPECT_EQ(sent.spoof_attempts, 1u) << peer;
    EXPECT_EQ(sent.lines[0], "x-my-client: a") << peer;
  }
}

TEST(ForwardingTest, InternalIsAPrivilege) {
  struct {
    const char* what;
    Topology topology;
    const char* peer;
    Lines lines;
    bool is_internal;
  } rows[] = {
      {"an internal peer at the edge", Gateway(0), "10.0.0.1", {}, true},
      {"a mapped one", Gateway(0), "::ffff:10.0.0.1", {}, true},
      {"a public one", Gateway(0), "198.18.7.7", {}, false},
      {"forwarded by anyone", Gateway(0), "10.0.0.1", {{"x-forwarded-for", "10.0.0.2"}}, false},
      {"an empty list is a list", Gateway(0), "10.0.0.1", {{"x-forwarded-for", ""}}, false},
      {"claimed", Gateway(0), "198.18.7.7", {{"x-envoy-internal", "true"}}, false},
      {"an internal client behind a counted proxy",
       Gateway(1),
       "192.0.2.5",
       {{"x-forwarded-for", "10.0.0.1"}},
       false},
      {"pod to pod", Sidecar(), "10.32.3.202", {}, false},
      {"a pod that claims it", Sidecar(), "10.32.3.202", {{"x-forwarded-for", "10.0.0.1"}}, false},
      {"behind our gateway",
       Sidecar(),
       "10.32.1.221",
       {{"x-forwarded-for", "10.0.0.1"}, {"x-whence-client", "10.0.0.1"}},
       true},
      {"sole entry of a trusted hop",
       Sidecar(),
       "10.32.1.221",
       {{"x-forwarded-for", "10.0.0.1"}},
       true},
      {"two entries", Sidecar(), "10.32.1.221", {{"x-forwarded-for", "10.0.0.2,10.0.0.1"}}, false},
      {"two lines",
       Sidecar(),
       "10.32.1.221",
       {{"x-forwarded-for", "10.0.0.2"}, {"x-forwarded-for", "10.0.0.1"}},
       false},
      {"an empty entry is an entry",
       Sidecar(),
       "10.32.1.221",
       {{"x-forwarded-for", ",10.0.0.1"}},
       false},
      {"in IPv6 clothes",
       Sidecar(),
       "10.32.1.221",
       {{"x-forwarded-for", "::ffff:10.0.0.1"}},
       false},
  };
  for (const auto& row : rows) {
    const Sent sent = Send(row.topology, row.peer, row.lines);
    EXPECT_EQ(sent.is_internal, row.is_internal) << row.what;
    const auto line = std::find(sent.lines.begin(), sent.lines.end(), "x-envoy-internal: true");
    EXPECT_EQ(line != sent.lines.end(), row.is_internal) << row.what;
  }
}

TEST(ForwardingTest, InternalRequestsKeepControlHeadersAndTheirId) {
  EXPECT_THAT(Send(Gateway(0), "10.0.0.1",
                   {{"x-envoy-force-trace", "true"},
                    {"x-envoy-original-path", "/x"},
                    {"x-request-id", "id"}})
                  .lines,
              UnorderedElementsAre("x-envoy-force-trace: true", "x-envoy-original-path: /x",
                                   "x-request-id: id", "x-forwarded-for: 10.0.0.1",
                                   "x-forwarded-proto: http", "x-envoy-internal: true"));
}

TEST(ForwardingTest, SaysNoToWhatDoesNotFit) {
  const Headers headers({{"x-forwarded-for", std::string(1000, '1')}});
  const Resolution resolution = Resolve(Peer("192.0.2.1"), headers.evidence(), Gateway(0));
  for (size_t size = 0; size <= 1009; ++size) {
    std::vector<char> memory(size);
    EXPECT_FALSE(PlanForwarding(headers.evidence(), resolution, Gateway(0), {}, memory)) << size;
  }
  std::vector<char> memory(ForwardingMemory(1000));
  EXPECT_TRUE(PlanForwarding(headers.evidence(), resolution, Gateway(0), {}, memory));

  const Headers many(Lines(http::FieldSet::kCapacity + 1, {"a", "b"}));
  EXPECT_FALSE(PlanForwarding(many.evidence(), resolution, Gateway(0), {}, memory));
}

}  // namespace
}  // namespace whence::trust
