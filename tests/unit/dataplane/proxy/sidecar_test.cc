// A sidecar with the real packet rules: what the application sees.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <chrono>
#include <future>

#include "dataplane/os/socket.h"
#include "gmock/gmock.h"
#include "tests/lab/wait.h"
#include "tests/support/await.h"
#include "tests/unit/dataplane/proxy/sidecar_fixture.h"

namespace whence::proxy {
namespace {

using access_log::Flag;
using testing::StartsWith;

TEST_P(SidecarTest, ApplicationSeesTheClient) {
  Start(TellPeer());
  WireEnd client = Connect();
  ASSERT_TRUE(client.connected());
  for (int i = 0; i < 3; ++i) {
    client.Send(kGet);
    const net::SocketAddress seen = PeerIn(client.ReadResponse());
    EXPECT_EQ(seen.ip, ExpectedSource());
    if (tproxy()) {
      EXPECT_GE(seen.port, options_.upstream_ports.low);
      EXPECT_LE(seen.port, options_.upstream_ports.high);
    }
  }
  EXPECT_EQ(origin_->connections(), 1);
  const auto records = Records(3);
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0].direct_peer, client_ip());
  EXPECT_EQ(records[0].client_address, client_ip());
  EXPECT_EQ(records[0].destination_address, pod_ip());
  EXPECT_EQ(records[0].destination_port, kAppPort);
  EXPECT_EQ(records[0].upstream_source, ExpectedSource());
}

TEST_P(SidecarTest, ServerThatSpeaksFirstIsRelayed) {
  Start([](WireEnd& end) {
    end.Send("220 " + end.peer().ip.ToString() + "\r\n");
    end.Send(end.ReadThrough("\n"));
  });
  WireEnd client = Connect();
  EXPECT_EQ(client.ReadThrough("\n"), "220 " + ExpectedSource().ToString() + "\r\n");
  client.Send("EHLO x\n");
  EXPECT_EQ(client.ReadToEnd(), "EHLO x\n");
}

// A client that opens its connection ahead of need and asks later is served as HTTP.
TEST_P(SidecarTest, LateRequestIsStillHttp) {
  options_.limits.detection_timeout = std::chrono::milliseconds(20);
  Start(TellPeer());
  WireEnd client = Connect();
  ASSERT_TRUE(Await([&] { return Count(Counter::kUpstreamConnects) != 0; }));
  client.Send(kGet);
  EXPECT_EQ(PeerIn(client.ReadResponse()).ip, ExpectedSource());
  const auto records = Records(1);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].Get(access_log::Text::kPath), "/x");
  EXPECT_EQ(origin_->connections(), 1);
}

TEST_P(SidecarTest, OtherProtocolsAreRelayedAsTcp) {
  Start([](WireEnd& end) {
    end.ReadThrough("\n");
    end.Send(end.peer().ToString());
    end.Finish();
    end.ReadToEnd();
  });
  WireEnd client = Connect();
  client.Send("get key\r\n");
  EXPECT_EQ(PeerIn(client.ReadToEnd()).ip, ExpectedSource());
}

TEST_P(SidecarTest, DeniedTcpIsReset) {
  policy::PolicySpec closed{.namespace_ = "t", .name = "no", .action = policy::Action::kDeny};
  policy::Source source;
  source.ip_blocks = {client_ip().ToString()};
  closed.rules.push_back({.from = {source}});
  policies_ = {closed};
  Start(TellPeer());
  WireEnd client = Connect();
  client.Send("get key\r\n");
  EXPECT_TRUE(client.SeesReset());
  EXPECT_EQ(origin_->connections(), 0);
  WireEnd http = Connect();
  http.Send(kGet);
  EXPECT_THAT(http.ReadResponse(), StartsWith("HTTP/1.1 403"));
  EXPECT_EQ(origin_->connections(), 0);
}

TEST_P(SidecarTest, ConnectionToTheAgentItselfIsRefused) {
  Start(TellPeer());
  WireEnd client = Connect(0, options_.inbound_port);
  if (client.connected()) {
    EXPECT_TRUE(client.SeesReset());
  }
  EXPECT_EQ(origin_->connections(), 0);
  EXPECT_EQ(Count(Counter::kLoops) + Count(Counter::kNotIntercepted), 1u);
}

// What acknowledges it is no socket any more, but what is left of one (TIME_WAIT): a client that is
// not answered repeats its end for minutes, and its port is of no use meanwhile.
TEST_P(SidecarTest, ClientsEndIsAcknowledgedWhenOursCameFirst) {
  Start(TellPeer());
  WireEnd client = Connect();
  client.Send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  client.ReadToEnd();
  client.Finish();
  tcp_info info{};
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  do {
    socklen_t size = sizeof(info);
    ASSERT_EQ(getsockopt(client.fd(), IPPROTO_TCP, TCP_INFO, &info, &size), 0);
  } while (info.tcpi_state != TCP_CLOSE && std::chrono::steady_clock::now() < until);
  EXPECT_EQ(info.tcpi_state, TCP_CLOSE);
}

TEST_P(SidecarTest, ManyConnectionsFromOneClient) {
  options_.limits.max_idle = 0;  // each with an upstream of its own
  Start(TellPeer());
  for (int i = 0; i < 1500; ++i) {
    WireEnd client = Connect();
    ASSERT_TRUE(client.connected()) << i;
    client.Send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    ASSERT_EQ(PeerIn(client.ReadToEnd()).ip, ExpectedSource()) << i;
  }
  EXPECT_EQ(Count(Counter::kSourcePortExhausted), 0u);
}

// The trap of rules that match the agent's own TIME_WAIT sockets: the second connection of the same
// client port would reach the application past the agent.
TEST_P(SidecarTest, ClientThatReusesItsPortStaysIntercepted) {
  Start(TellPeer());
  for (int i = 0; i < 3; ++i) {
    WireEnd client = Connect(40'000);
    ASSERT_TRUE(client.connected());
    client.Send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(PeerIn(client.ReadToEnd()).ip, ExpectedSource());
    EXPECT_EQ(Count(Counter::kConnectionsAccepted), static_cast<uint64_t>(i) + 1);
  }
}

TEST_P(SidecarTest, NeverTakesAPortThatTheClientItselfUses) {
  if (!tproxy()) GTEST_SKIP() << "nothing is spoofed";
  options_.workers = 1;
  options_.upstream_ports = {20'000, 20'003};
  Start(TellPeer());
  std::vector<WireEnd> clients;
  std::vector<uint16_t> seen;
  // Two connections take two of the four ports on the client's side, their upstreams the others.
  for (const uint16_t port : {20'000, 20'001}) {
    clients.push_back(Connect(port));
    ASSERT_TRUE(clients.back().connected());
    if (port == 20'000) continue;
    for (WireEnd& client : clients) {
      client.Send(kGet);
      seen.push_back(PeerIn(client.ReadResponse()).port);
    }
  }
  EXPECT_THAT(seen, testing::UnorderedElementsAre(20'002, 20'003));
  // No port is left: the access fails, and from no other source.
  WireEnd late = Connect(50'000);
  late.Send(kGet);
  EXPECT_THAT(late.ReadResponse(), StartsWith("HTTP/1.1 503"));
  EXPECT_EQ(Count(Counter::kSourcePortExhausted), 1u);
  EXPECT_EQ(origin_->connections(), 2);

  // When they are gone their ports are free again at once: no TIME_WAIT keeps them.
  for (WireEnd& client : clients) client.Close();
  ASSERT_TRUE(Await([&] { return Count(Counter::kConnectionsActive) <= 1; }));
  late.Send(kGet);
  EXPECT_EQ(PeerIn(late.ReadResponse()).ip, client_ip());
}

// The other way round: the client takes a port by which we are connected for it. Its opening packet
// meets the application's socket, and without an answer it would be sent again and again.
TEST_P(SidecarTest, AClientThatTakesAPortOfOursIsToldAtOnce) {
  if (!tproxy()) GTEST_SKIP() << "nothing is spoofed";
  options_.workers = 1;
  options_.upstream_ports = {20'000, 20'001};
  Start(TellPeer());
  WireEnd first = Connect(50'000);
  first.Send(kGet);
  const uint16_t taken = PeerIn(first.ReadResponse()).port;
  const auto began = std::chrono::steady_clock::now();
  EXPECT_FALSE(Connect(taken).connected());
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(900));
  // Nobody else suffers, and the port is the client's again when the connection is over.
  first.Send(kGet);
  EXPECT_EQ(PeerIn(first.ReadResponse()).port, taken);
  first.Close();
  WireEnd second;
  ASSERT_TRUE(lab::WaitUntil([&] {
    second = Connect(taken);
    return second.connected();
  }));
  second.Send(kGet);
  const net::SocketAddress source = PeerIn(second.ReadResponse());
  EXPECT_EQ(source.ip, client_ip());
  EXPECT_NE(source.port, taken);
}

// The same before we know of the client's connection: half open, it is the kernel's alone. Whichever
// port comes first, the access that meets it is made from the other, and the next from none.
TEST_P(SidecarTest, NoRequestMeetsAConnectionThatTheClientHasOnlyBegun) {
  if (!tproxy()) GTEST_SKIP() << "nothing is spoofed";
  options_.workers = 1;
  options_.upstream_ports = {20'000, 20'001};
  Start(TellPeer());
  BeginConnection(20'000);
  WireEnd first = Connect(), second = Connect();
  first.Send(kGet);
  EXPECT_EQ(PeerIn(first.ReadResponse()), net::SocketAddress(client_ip(), 20'001));
  second.Send(kGet);
  EXPECT_THAT(second.ReadResponse(), StartsWith("HTTP/1.1 503"));
  EXPECT_GT(Count(Counter::kSourcePortRetries), 0u);
}

TEST_P(SidecarTest, NoTcpConnectionMeetsOneThatTheClientHasOnlyBegun) {
  if (!tproxy()) GTEST_SKIP() << "nothing is spoofed";
  options_.workers = 1;
  options_.upstream_ports = {20'000, 20'001};
  port_protocols_ = {{kAppPort, snapshot::Protocol::kTcp}};
  Start([](WireEnd& end) {
    end.Send(end.peer().ToString() + "\n");
    end.ReadToEnd();
  });
  BeginConnection(20'000);
  WireEnd first = Connect();
  EXPECT_EQ(first.ReadThrough("\n"), net::SocketAddress(client_ip(), 20'001).ToString() + "\n");
  EXPECT_TRUE(Connect().SeesReset());
  EXPECT_GT(Count(Counter::kSourcePortRetries), 0u);
}

// A client whose host is gone says nothing, not even good-bye.
TEST_P(SidecarTest, AVanishedClientIsNoticed) {
  options_.limits.user_timeout = std::chrono::milliseconds(300);
  std::promise<void> gone;
  std::promise<bool> saw;
  Start([&](WireEnd& end) {
    end.Send("hello\n");
    gone.get_future().wait();
    end.Send("are you there?");
    saw.set_value(end.SeesReset());
  });
  WireEnd client = Connect();
  EXPECT_EQ(client.ReadThrough("\n"), "hello\n");
  // Asked from time to time even if we have nothing to send.
  const std::string sockets = lab_->Space("pod").Run({"ss", "-Htno", "state", "established"}).out;
  EXPECT_THAT(sockets, testing::HasSubstr("timer:(keepalive,"));
  ASSERT_EQ(lab_->Space("client").Ip("link set eth0 down\n"), absl::OkStatus());
  gone.set_value();
  EXPECT_TRUE(saw.get_future().get());
  const auto records = Records(1);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_TRUE(records[0].Has(Flag::kDownstreamReset));
}

// Two listeners share the agent's port, told apart by their place in the kernel's group. Another
// process's socket in it, as an agent's that is being replaced, moves them: the wrong one then
// holds a connection back on which the server speaks first, once.
TEST_P(SidecarTest, AServerThatSpeaksFirstIsHeldBackOnceAtMost) {
  if (!tproxy()) GTEST_SKIP() << "there is one listener";
  options_.workers = 1;
  options_.limits.detection_timeout = std::chrono::milliseconds(1);
  port_protocols_ = {{80, snapshot::Protocol::kHttp}};
  os::UniqueFd other;
  {
    auto in_pod = intercept::ScopedNetns::Enter(lab_->Space("pod").path());
    ASSERT_TRUE(in_pod.ok()) << in_pod.status();
    auto fd = os::Listen(*net::SocketAddress::Parse(v4() ? "0.0.0.0:15006" : "[::]:15006"),
                         {.transparent = true, .reuse_port = true});
    ASSERT_TRUE(fd.ok()) << fd.status();
    other = *std::move(fd);
  }
  Start([](WireEnd& end) {
    end.Send("hello\n");
    end.ReadToEnd();
  });
  ASSERT_TRUE(Await([&] { return Count(Counter::kSnapshots) != 0; }));
  other.Reset();
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < 6; ++i) EXPECT_EQ(Connect().ReadThrough("\n"), "hello\n");
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(3))
      << "each was held back for a second";
}

// The pod is its own client: through a gateway, or past the agent.
TEST_P(SidecarTest, APodMayBeItsOwnClient) {
  topology_.upstream_source = trust::UpstreamSource::kTrustedClient;
  topology_.mesh_gateways = net::CidrSet({*net::Cidr::Parse(client_ip().ToString())});
  Start(TellPeer());
  for (int i = 0; i < 3; ++i) {
    WireEnd gateway = Connect();
    gateway.Send(HandOver(gateway, {pod_ip(), static_cast<uint16_t>(40'000 + i)}) +
                 std::string(kGet));
    EXPECT_EQ(PeerIn(gateway.ReadResponse()).ip, tproxy() ? pod_ip() : RedirectSource(v4()));
    WireEnd requests = Connect();
    requests.Send(Announce(requests) + "GET / HTTP/1.1\r\nHost: a\r\nx-whence-client: " +
                  pod_ip().ToString() + "\r\n\r\n");
    EXPECT_EQ(PeerIn(requests.ReadResponse()).ip, tproxy() ? pod_ip() : RedirectSource(v4()));
  }
  const uint64_t accepted = Count(Counter::kConnectionsAccepted);
  auto in_pod = intercept::ScopedNetns::Enter(lab_->Space("pod").path());
  ASSERT_TRUE(in_pod.ok());
  WireEnd self = WireEnd::ConnectTo(app());
  self.Send(kGet);
  EXPECT_EQ(PeerIn(self.ReadResponse()).ip, pod_ip());
  EXPECT_EQ(Count(Counter::kConnectionsAccepted), accepted);  // not intercepted
}

TEST_P(SidecarTest, TcpOfAClientOfTheOtherFamilyIsResetAndCounted) {
  if (!tproxy()) GTEST_SKIP() << "nothing is spoofed";
  topology_.upstream_source = trust::UpstreamSource::kTrustedClient;
  topology_.mesh_gateways = net::CidrSet({*net::Cidr::Parse(client_ip().ToString())});
  Start(TellPeer());
  const net::SocketAddress outside{Ip(v4() ? "2001:db8::15" : "123.120.247.15"), 40'000};
  WireEnd gateway = Connect();
  gateway.Send(HandOver(gateway, outside) + "hello\n");
  EXPECT_TRUE(gateway.SeesReset());
  EXPECT_EQ(Count(Counter::kSourceFamily), 1u);
  EXPECT_EQ(Count(Counter::kSourceUnavailable), 1u);
  const auto records = Records(1);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].client_address, outside.ip);
  EXPECT_TRUE(records[0].Has(Flag::kSourceUnavailable));
  EXPECT_EQ(origin_->connections(), 0);
}

TEST_P(SidecarTest, TrustedClientBecomesTheSource) {
  if (!tproxy()) GTEST_SKIP() << "nothing is spoofed";
  topology_.upstream_source = trust::UpstreamSource::kTrustedClient;
  topology_.trust_mesh_gateways = true;
  topology_.mesh_gateways = net::CidrSet({*net::Cidr::Parse(client_ip().ToString())});
  Start(TellPeer());
  WireEnd client = Connect();
  client.Send(Announce(client));
  // Two clients behind one gateway connection: each request leaves from its own client's address.
  for (const char* outside : {"123.120.247.15", "123.120.247.16", "2001:db8::15"}) {
    const bool same_family = Ip(outside).is_v4() == v4();
    client.Send("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: " + std::string(outside) +
                "\r\n\r\n");
    const std::string response = client.ReadResponse();
    if (same_family) {
      EXPECT_EQ(PeerIn(response).ip, Ip(outside));
    } else {
      EXPECT_THAT(response, StartsWith("HTTP/1.1 503"));
    }
  }
  EXPECT_EQ(Count(Counter::kSourceUnavailable), Count(Counter::kSourceFamily));
  EXPECT_EQ(Count(Counter::kSourceFamily), v4() ? 1u : 2u);
}

// The kernel lets one bind to a broadcast address, and then sends from another.
TEST_P(SidecarTest, NoAddressIsTheSourceThatNoClientCanHave) {
  if (!tproxy() || !v4()) GTEST_SKIP() << "nothing is spoofed, or broadcast";
  topology_.upstream_source = trust::UpstreamSource::kTrustedClient;
  topology_.trusted_proxies =
      trust::AddressRanges{net::CidrSet({*net::Cidr::Parse(client_ip().ToString())}), {}};
  options_.broadcast_addresses = {Ip("10.32.1.255")};
  Start(TellPeer());
  WireEnd client = Connect();
  for (const char* outside : {"10.32.1.255", "127.0.0.1", "127.255.255.255"}) {
    client.Send("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: " + std::string(outside) +
                "\r\n\r\n");
    EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 503")) << outside;
  }
  EXPECT_EQ(Count(Counter::kSourceUnavailable), 3u);
  EXPECT_EQ(origin_->connections(), 0);
}

TEST_P(SidecarTest, FallsBackToItsOwnAddressOnlyWhenTold) {
  if (!tproxy()) GTEST_SKIP() << "nothing is spoofed";
  topology_.upstream_source = trust::UpstreamSource::kTrustedClient;
  topology_.upstream_fallback = trust::UpstreamFallback::kAgent;
  topology_.trust_mesh_gateways = true;
  topology_.mesh_gateways = net::CidrSet({*net::Cidr::Parse(client_ip().ToString())});
  Start(TellPeer());
  WireEnd client = Connect();
  client.Send(Announce(client) + "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: " +
              std::string(v4() ? "2001:db8::15" : "1.2.3.4") + "\r\n\r\n");
  EXPECT_EQ(PeerIn(client.ReadResponse()).ip, pod_ip());
  const auto records = Records(1);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_TRUE(records[0].Has(Flag::kSourceFallback));
  EXPECT_EQ(records[0].upstream_source, pod_ip());
  EXPECT_EQ(Count(Counter::kSourceFallback), 1u);
  EXPECT_EQ(Count(Counter::kSourceFamily), 1u);
}

INSTANTIATE_TEST_SUITE_P(Modes, SidecarTest, AllSidecarModes(), SidecarModeName);

}  // namespace
}  // namespace whence::proxy
