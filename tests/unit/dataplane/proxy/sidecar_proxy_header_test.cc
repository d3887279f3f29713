// PROXY protocol before a sidecar, with the real packet rules: row 6 of the article, and who else
// might try.
#include <atomic>

#include "common/proxy_protocol/formatter.h"
#include "common/proxy_protocol/parser.h"
#include "gmock/gmock.h"
#include "tests/support/await.h"
#include "tests/unit/dataplane/proxy/sidecar_fixture.h"

namespace whence::proxy {
namespace {

using access_log::Flag;
using access_log::Text;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// The client's namespace plays the gateway, unless it is a stranger.
class SidecarProxyHeaderTest : public SidecarTest {
 protected:
  void TrustTheGateway() {
    topology_.mesh_gateways = net::CidrSet({net::Cidr(client_ip())});
    topology_.upstream_source = trust::UpstreamSource::kTrustedClient;
  }
  net::SocketAddress outside() const {
    return *net::SocketAddress::Parse(v4() ? "123.120.247.15:40000" : "[2001:db8:7b78::15]:40000");
  }
  std::string Header(const net::SocketAddress& source) const {
    char memory[proxy_protocol::kMaxPlainBytes];
    const auto size = FormatV2(proxy_protocol::Addresses{source, app()}, {},
                               proxy_protocol::Checksum::kNone, memory);
    return std::string(memory, *size);
  }
  net::IpAddress SourceFor(const net::IpAddress& client) const {
    return tproxy() ? client : RedirectSource(v4());
  }
  // What the application says of its peer, and then whatever it was sent.
  static Origin::Serve TellPeerFirst() {
    return [](WireEnd& end) {
      end.Send(end.peer().ip.ToString() + "\n");
      end.Send(end.ReadToEnd());
    };
  }
};

TEST_P(SidecarProxyHeaderTest, ApplicationSeesTheClientOfTheGateway) {
  TrustTheGateway();
  Start(TellPeerFirst());
  WireEnd gateway = Connect();
  gateway.Send(HandOver(gateway, outside()) + "hello\n");
  gateway.Finish();
  EXPECT_EQ(gateway.ReadToEnd(), SourceFor(outside().ip).ToString() + "\nhello\n");
  const auto records = Records(1);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].client_address, outside().ip);
  EXPECT_EQ(records[0].direct_peer, client_ip());
  EXPECT_EQ(records[0].destination_address, pod_ip());
  EXPECT_EQ(records[0].upstream_source, SourceFor(outside().ip));
  EXPECT_EQ(records[0].Get(Text::kReason), "proxy-protocol");
  EXPECT_TRUE(records[0].Has(Flag::kProxyProtocol));
}

TEST_P(SidecarProxyHeaderTest, ServerMaySpeakFirstBehindTheHeader) {
  TrustTheGateway();
  Start(TellPeerFirst());
  WireEnd gateway = Connect();
  const std::string header = HandOver(gateway, outside());
  for (const char c : header) gateway.Send(std::string_view(&c, 1));
  EXPECT_EQ(gateway.ReadThrough("\n"), SourceFor(outside().ip).ToString() + "\n");
}

TEST_P(SidecarProxyHeaderTest, DirectPeerStaysTheSourceWhereThatIsSet) {
  TrustTheGateway();
  topology_.upstream_source = trust::UpstreamSource::kDirectPeer;
  Start(TellPeerFirst());
  WireEnd gateway = Connect();
  gateway.Send(HandOver(gateway, outside()));
  EXPECT_EQ(gateway.ReadThrough("\n"), SourceFor(client_ip()).ToString() + "\n");
}

// The gap that the header closes: a client's request through a TCP gateway.
TEST_P(SidecarProxyHeaderTest, ARequestBehindTheHeaderIsNotBelieved) {
  TrustTheGateway();
  Start([](WireEnd& end) {
    const std::string peer = end.peer().ip.ToString();
    HttpOrigin([&](const std::string& head, const std::string&) { return Ok(peer + "|" + head); })(
        end);
  });
  WireEnd gateway = Connect();
  gateway.Send(HandOver(gateway, outside()) +
               "GET /x HTTP/1.1\r\nHost: a\r\nx-whence-client: 1.1.1.1\r\n"
               "x-forwarded-for: 2.2.2.2\r\nforwarded: for=3.3.3.3\r\n\r\n");
  const std::string response = gateway.ReadResponse();
  EXPECT_THAT(response, HasSubstr("\r\n\r\n" + SourceFor(outside().ip).ToString() + "|"));
  EXPECT_THAT(response, Not(HasSubstr("1.1.1.1")));
  const auto records = Records(1);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].client_address, outside().ip);
  EXPECT_TRUE(records[0].Has(Flag::kSpoofedHeaders));
  EXPECT_EQ(Count(Counter::kSpoofedHeaders), 1u);
}

// A TCP client speaks from the gateway's address, and its words are the first when the gateway
// believes that there is no sidecar: so they must not pass for the gateway's.
TEST_P(SidecarProxyHeaderTest, WhatTheGatewaysAddressClaimsWithoutProofIsRefused) {
  TrustTheGateway();
  Start(TellPeerFirst());
  WireEnd other = Connect();
  const std::string replayed = HandOver(other, outside());
  const std::string local =
      std::string(proxy_protocol::kSignatureV2) + std::string("\x20\0\0\0", 4);
  const std::string text = "PROXY TCP4 123.120.247.15 1.2.3.4 1 2\r\n";
  uint64_t refused = 0;
  for (const std::string& header : {Header(outside()), replayed, local, text}) {
    WireEnd client = Connect();
    client.Send(header + "hello\n");
    EXPECT_TRUE(client.SeesReset());
    EXPECT_EQ(Count(Counter::kProxyUnproven), ++refused);
    const auto records = Records(1);
    ASSERT_EQ(records.size(), 1u);
    EXPECT_EQ(records[0].client_address, client_ip());
    EXPECT_EQ(records[0].decision, access_log::Decision::kDeny);
  }
  EXPECT_EQ(origin_->connections(), 0);
}

TEST_P(SidecarProxyHeaderTest, AndItsRequestsAreAStrangers) {
  TrustTheGateway();
  Start(TellPeer());
  WireEnd client = Connect();
  client.Send("GET /x HTTP/1.1\r\nHost: a\r\nx-whence-client: " + outside().ip.ToString() +
              "\r\nx-forwarded-for: " + outside().ip.ToString() + "\r\n\r\n");
  EXPECT_EQ(PeerIn(client.ReadResponse()).ip, SourceFor(client_ip()));
  const auto records = Records(1);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].client_address, client_ip());
  EXPECT_EQ(records[0].Get(Text::kReason), "untrusted-peer");
  EXPECT_TRUE(records[0].Has(Flag::kSpoofedHeaders));
}

TEST_P(SidecarProxyHeaderTest, AGatewaysRequestsAreBelievedBehindItsProof) {
  TrustTheGateway();
  Start(TellPeer());
  WireEnd gateway = Connect();
  gateway.Send(Announce(gateway));
  for (int i = 0; i < 2; ++i) {
    gateway.Send("GET /x HTTP/1.1\r\nHost: a\r\nx-whence-client: " + outside().ip.ToString() +
                 "\r\n\r\n");
    EXPECT_EQ(PeerIn(gateway.ReadResponse()).ip, SourceFor(outside().ip));
  }
  EXPECT_EQ(Count(Counter::kSpoofedHeaders), 0u);
}

// A gateway that has just come: its requests are served, and believed once it is known.
TEST_P(SidecarProxyHeaderTest, AGatewayThatIsNotKnownYetIsServed) {
  topology_.upstream_source = trust::UpstreamSource::kTrustedClient;
  Start(TellPeer());
  WireEnd gateway = Connect();
  const std::string request =
      "GET /x HTTP/1.1\r\nHost: a\r\nx-whence-client: " + outside().ip.ToString() + "\r\n\r\n";
  gateway.Send(Announce(gateway) + request);
  EXPECT_EQ(PeerIn(gateway.ReadResponse()).ip, SourceFor(client_ip()));
  TrustTheGateway();
  ASSERT_EQ(plane_->Publish(MakeSnapshot()), absl::OkStatus());
  ASSERT_TRUE(Await([&] { return Count(Counter::kSnapshots) >= 4; }));
  gateway.Send(request);
  EXPECT_EQ(PeerIn(gateway.ReadResponse()).ip, SourceFor(outside().ip));
}

// The gateway was told late that this sidecar believes nobody: its header is not for the
// application, and names nobody.
TEST_P(SidecarProxyHeaderTest, WhoBelievesNoGatewayStillTakesItsHeaderAway) {
  topology_.trust_mesh_gateways = false;
  topology_.upstream_source = trust::UpstreamSource::kTrustedClient;
  Start(TellPeerFirst());
  WireEnd gateway = Connect();
  gateway.Send(HandOver(gateway, outside()) + "hello\n");
  gateway.Finish();
  EXPECT_EQ(gateway.ReadToEnd(), SourceFor(client_ip()).ToString() + "\nhello\n");
  // Anybody else's is the application's business there.
  WireEnd other = Connect();
  other.Send(Header(outside()));
  other.Finish();
  EXPECT_EQ(other.ReadToEnd(), SourceFor(client_ip()).ToString() + "\n" + Header(outside()));
}

TEST_P(SidecarProxyHeaderTest, AStrangersHeaderNeverReachesTheApplication) {
  options_.limits.detection_timeout = std::chrono::milliseconds(20);
  std::atomic<size_t> got = 0;
  Start([&](WireEnd& end) { got += end.ReadToEnd().size(); });
  const std::string text = "PROXY TCP4 123.120.247.15 1.2.3.4 1 2\r\n";
  uint64_t refused = 0;
  for (const std::string& header : {Header(outside()), text}) {
    WireEnd stranger = Connect();
    stranger.Send(header + "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_TRUE(stranger.SeesReset());
    EXPECT_EQ(Count(Counter::kProxyForbidden), ++refused);
    const auto records = Records(1);
    ASSERT_EQ(records.size(), 1u);
    EXPECT_EQ(records[0].client_address, client_ip());
    EXPECT_EQ(records[0].decision, access_log::Decision::kDeny);
  }
  EXPECT_EQ(origin_->connections(), 0);
  // In pieces, after a silence in which it was taken for a protocol whose server speaks first.
  WireEnd slow = Connect();
  ASSERT_TRUE(Await([&] { return Count(Counter::kUpstreamConnects) != 0; }));
  for (const char c : text.substr(0, 6)) slow.Send(std::string_view(&c, 1));
  EXPECT_TRUE(slow.SeesReset());
  EXPECT_EQ(Count(Counter::kProxyForbidden), ++refused);
  plane_->Stop();
  EXPECT_LT(got, 6u);
}

TEST_P(SidecarProxyHeaderTest, OfTheGatewaysClientNeither) {
  TrustTheGateway();
  Start(TellPeerFirst());
  WireEnd gateway = Connect();
  gateway.Send(HandOver(gateway, outside()) + Header({Ip(v4() ? "6.6.6.6" : "2001:db8::6"), 1}) +
               "x");
  EXPECT_TRUE(gateway.SeesReset());
  EXPECT_EQ(origin_->connections(), 0);
  EXPECT_EQ(Count(Counter::kProxyForbidden), 1u);
}

INSTANTIATE_TEST_SUITE_P(Modes, SidecarProxyHeaderTest, AllSidecarModes(), SidecarModeName);

}  // namespace
}  // namespace whence::proxy
