#include "dataplane/proxy/listeners.h"

#include "gmock/gmock.h"

namespace whence::proxy {
namespace {

net::SocketAddress Address(std::string_view text) { return *net::SocketAddress::Parse(text); }

snapshot::Snapshot WithPorts(std::initializer_list<uint16_t> ports) {
  snapshot::Snapshot made;
  for (const uint16_t port : ports) made.listeners.push_back({.port = port});
  return made;
}

TEST(PlanListenersTest, SidecarHasItsInboundPortAlone) {
  EXPECT_THAT(PlanListeners({}, WithPorts({80}), true),
              testing::ElementsAre(ListenSpec{Address("[::]:15006"), true, true},
                                   ListenSpec{Address("[::]:15006"), true, true, true},
                                   ListenSpec{Address("0.0.0.0:15006"), true, true},
                                   ListenSpec{Address("0.0.0.0:15006"), true, true, true}));
  EXPECT_EQ(PlanListeners({}, WithPorts({}), false).size(), 2u);
  const DataPlaneOptions redirect{.interception = InterceptionMode::kRedirect};
  EXPECT_THAT(PlanListeners(redirect, WithPorts({}), false),
              testing::ElementsAre(ListenSpec{Address("0.0.0.0:15006"), true}))
      << "nothing tells the ports apart";
}

TEST(PlanListenersTest, GatewayHasThePortsOfTheSnapshot) {
  DataPlaneOptions options{.role = trust::Role::kGateway};
  EXPECT_EQ(PlanListeners(options, WithPorts({80, 443}), true).size(), 4u);
  EXPECT_TRUE(PlanListeners(options, WithPorts({}), true).empty());
  options.listen_addresses = {*net::IpAddress::Parse("10.0.0.1")};
  snapshot::Snapshot ports = WithPorts({443, 80});
  ports.listeners[0].protocol = snapshot::Protocol::kTcp;
  ports.listeners[1].protocol = snapshot::Protocol::kHttp;
  EXPECT_THAT(PlanListeners(options, ports, true),
              testing::ElementsAre(ListenSpec{Address("10.0.0.1:80"), false, false, true},
                                   ListenSpec{Address("10.0.0.1:443")}));
}

TEST(PlanListenersTest, ANodeAgentWaitsBehindItsRuleAndOnlyWhereItKnowsAGateway) {
  DataPlaneOptions options{.role = trust::Role::kNode, .interception = InterceptionMode::kTproxy};
  snapshot::Snapshot made = WithPorts({31380, 31400, 31500, 31600});
  made.clusters = {
      {"both", {{Address("10.0.0.1:80"), "", true}, {Address("[fd00::1]:80"), "", true}}},
      {"v4", {{Address("10.0.0.1:90"), "", true}}},
      {"none", {}}};
  for (uint32_t i = 0; i < 3; ++i) {
    made.listeners[i].tcp_routes = {{.destinations = {{.cluster = i}}}};
  }
  const auto spec = [](const char* address) { return ListenSpec{Address(address), false, true}; };
  EXPECT_THAT(PlanListeners(options, made, true),
              testing::UnorderedElementsAre(spec("127.0.0.1:31380"), spec("[::1]:31380"),
                                            spec("127.0.0.1:31400")));
  EXPECT_EQ(PlanListeners(options, made, false).size(), 2u);
  // Reached without its rule: by itself, or by someone on the node.
  EXPECT_TRUE(IsUnintercepted(options, spec("127.0.0.1:31380"), Address("127.0.0.1:31380")));
  EXPECT_FALSE(IsUnintercepted(options, spec("127.0.0.1:31380"), Address("10.128.0.1:31380")));
}

TEST(ProtocolOfTest, InterceptedPortsAreAsDeclaredElseDetected) {
  snapshot::Snapshot made = WithPorts({80});
  made.listeners[0].protocol = snapshot::Protocol::kHttp;
  made.port_protocols = {{8080, snapshot::Protocol::kTcp}};
  const auto protocol = [&](uint16_t listener, const char* destination) {
    return ProtocolOf(made, listener, {Address(destination)});
  };
  EXPECT_EQ(protocol(0, "10.0.0.5:8080"), snapshot::Protocol::kTcp);
  EXPECT_EQ(protocol(0, "10.0.0.5:80"), snapshot::Protocol::kDetect);
  EXPECT_EQ(protocol(80, "10.0.0.5:80"), snapshot::Protocol::kHttp);
}

TEST(IsOwnListenerTest, KnowsWhatWouldComeBack) {
  const snapshot::Snapshot made = WithPorts({80});
  DataPlaneOptions sidecar;
  EXPECT_TRUE(IsOwnListener(sidecar, made, Address("10.0.0.5:15006")));
  EXPECT_FALSE(IsOwnListener(sidecar, made, Address("10.0.0.5:80")));

  DataPlaneOptions gateway{.role = trust::Role::kGateway};
  gateway.own_addresses = {*net::IpAddress::Parse("10.0.0.1")};
  EXPECT_TRUE(IsOwnListener(gateway, made, Address("10.0.0.1:80")));
  EXPECT_TRUE(IsOwnListener(gateway, made, Address("127.0.0.1:80")));
  EXPECT_FALSE(IsOwnListener(gateway, made, Address("10.0.0.1:81")));
  EXPECT_FALSE(IsOwnListener(gateway, made, Address("10.0.0.2:80")));
}

}  // namespace
}  // namespace whence::proxy
