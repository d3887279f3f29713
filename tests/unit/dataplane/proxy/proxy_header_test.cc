// PROXY protocol through a gateway on loopback: what it sends to sidecars, what it takes from whom.
#include <future>

#include "common/proxy_protocol/formatter.h"
#include "common/proxy_protocol/handover.h"
#include "common/proxy_protocol/parser.h"
#include "gmock/gmock.h"
#include "tests/unit/dataplane/proxy/gateway_fixture.h"

namespace whence::proxy {
namespace {

using access_log::Flag;
using access_log::Text;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const std::string kClaim = "PROXY TCP4 203.0.113.7 192.0.2.1 40000 443\r\n";

net::SocketAddress At(std::string_view text) { return *net::SocketAddress::Parse(text); }

std::string V2Claim(std::string_view source) {
  char memory[proxy_protocol::kMaxPlainBytes];
  const proxy_protocol::Addresses addresses{At(source), At("192.0.2.1:443")};
  const auto size = FormatV2(addresses, {}, proxy_protocol::Checksum::kCrc32c, memory);
  return std::string(memory, *size);
}

constexpr proxy_protocol::HandoverKey kKey = {4, 5, 6};

// What an agent sends that hands `source` over on `connection`.
std::string HandOver(const WireEnd& connection, const net::SocketAddress& to,
                     const net::SocketAddress& source) {
  const auto proof = proxy_protocol::Prove(
      kKey, {proxy_protocol::Spoken::kByClient, connection.local(), to, source});
  const proxy_protocol::Tlv tlv{proxy_protocol::kTlvHandover, {proof.data(), proof.size()}};
  char memory[proxy_protocol::kMaxPlainBytes];
  const auto size = FormatV2(proxy_protocol::Addresses{source, to}, {&tlv, 1},
                             proxy_protocol::Checksum::kNone, memory);
  return std::string(memory, *size);
}

// What an endpoint with a sidecar gets: the header, then everything behind it.
struct Received {
  proxy_protocol::Header header;
  std::string payload;
};
Received Split(const std::string& bytes) {
  Received received;
  EXPECT_EQ(proxy_protocol::Parse(bytes, {}, &received.header).status,
            proxy_protocol::ParseStatus::kDone);
  received.payload = bytes.substr(received.header.bytes);
  return received;
}

class ProxyHeaderTest : public GatewayTest {
 protected:
  // Loopback may send a header, or must.
  void Accept(trust::ProxyAccept accept, std::string_view from = "127.0.0.0/8") {
    topology_.proxy_accept = accept;
    topology_.proxy_from.cidrs = net::CidrSet({*net::Cidr::Parse(from)});
  }
  // An origin that answers with all it got, at the client's end.
  static Origin::Serve Echo() {
    return [](WireEnd& end) { end.Send(end.ReadToEnd()); };
  }
  std::string ThroughTcp(std::string_view bytes) {
    WireEnd client = ConnectTcp();
    client.Send(bytes);
    client.Finish();
    return client.ReadToEnd();
  }
  static std::string Forwarded(const std::string& head) {
    const size_t at = head.find("x-forwarded-for: ");
    return at == std::string::npos ? "" : head.substr(at + 17, head.find('\r', at) - at - 17);
  }
};

// --- sending ---

TEST_F(ProxyHeaderTest, SidecarsAreToldTheClientFirst) {
  Origin origin(Echo());
  Start({.tcp = {origin.address()}, .has_sidecar = true});
  WireEnd client = ConnectTcp();
  const net::SocketAddress from = client.local();
  client.Send("hello");
  client.Finish();
  const Received received = Split(client.ReadToEnd());
  EXPECT_EQ(received.header.version, 2);
  EXPECT_EQ(received.header.source, from);
  EXPECT_EQ(received.header.destination.ToString(), "127.0.0.1:" + std::to_string(tcp_port_));
  EXPECT_EQ(received.payload, "hello");
  EXPECT_EQ(NextRecord().bytes_in, 5u);
  EXPECT_EQ(Count(Counter::kProxySent), 1u);
}

// The endpoint must not wait for the client: it may be the one that speaks first.
TEST_F(ProxyHeaderTest, SentBeforeTheClientSaysAWord) {
  Origin origin([](WireEnd& end) { end.Send(Split(end.ReadBytes(28)).payload + "ready\n"); });
  Start({.tcp = {origin.address()}, .has_sidecar = true});
  WireEnd client = ConnectTcp();
  EXPECT_EQ(client.ReadThrough("\n"), "ready\n");
}

TEST_F(ProxyHeaderTest, AnAgentIsToldWithAProofForThisConnection) {
  Origin origin([](WireEnd& end) {
    const std::string all = end.ReadToEnd();
    const Received received = Split(all);
    const proxy_protocol::Handover handover{
        .from = end.peer(), .to = end.local(), .source = received.header.source};
    const auto spoken = proxy_protocol::Verify(kKey, handover, received.header.tlvs);
    end.Send(spoken == proxy_protocol::Spoken::kByClient ? received.payload : "no proof");
  });
  Start({.tcp = {origin.address()}, .handover_key = kKey});
  EXPECT_EQ(ThroughTcp("hello"), "hello");
}

// Once per connection, before the first request.
TEST_F(ProxyHeaderTest, RequestsToAnAgentBeginWithAProof) {
  Origin origin([](WireEnd& end) {
    const std::string bytes = end.ReadBytes(48);
    const Received received = Split(bytes);  // borrows from them
    const proxy_protocol::Handover handover{
        .from = end.peer(), .to = end.local(), .source = received.header.source};
    const bool proven = proxy_protocol::Verify(kKey, handover, received.header.tlvs) ==
                        proxy_protocol::Spoken::kByAgent;
    HttpOrigin([&](const std::string& head, const std::string&) {
      return Ok((proven ? "proven " : "unproven ") + head);
    })(end);
  });
  Start({.http = {origin.address()}, .has_sidecar = true, .handover_key = kKey});
  WireEnd client = ConnectHttp();
  for (int i = 0; i < 2; ++i) {
    client.Send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    const std::string response = client.ReadResponse();
    EXPECT_THAT(response, HasSubstr("\r\n\r\nproven GET /x HTTP/1.1\r\n"));
    EXPECT_THAT(response, HasSubstr("x-whence-client: 127.0.0.1\r\n"));
  }
  EXPECT_EQ(origin.connections(), 1);
}

// A header's other news stand in the record.
TEST_F(ProxyHeaderTest, TheRecordKeepsWhatTlvsSay) {
  Accept(trust::ProxyAccept::kOptional);
  Origin origin(Echo());
  Start({.tcp = {origin.address()}});
  const proxy_protocol::Tlv tlvs[] = {{proxy_protocol::kTlvAuthority, "shop.example"},
                                      {proxy_protocol::kTlvAws, "\x01vpce-1"}};
  char memory[256];
  const proxy_protocol::Addresses addresses{At("203.0.113.7:40000"), At("192.0.2.1:443")};
  const auto size = FormatV2(addresses, tlvs, proxy_protocol::Checksum::kCrc32c, memory);
  const std::string header(memory, *size);
  EXPECT_EQ(ThroughTcp(header + "hello"), "hello");
  EXPECT_EQ(NextRecord().Get(Text::kProxyTlvs), "authority=shop.example,aws-vpce-id=vpce-1");
  // A wrong checksum: nobody can tell what of it is true.
  std::string wrong = header;
  wrong[20] ^= 1;
  WireEnd client = ConnectTcp();
  client.Send(wrong + "hello");
  EXPECT_TRUE(client.SeesReset());
  EXPECT_EQ(Count(Counter::kProxyMalformed), 1u);
}

TEST_F(ProxyHeaderTest, OthersAreToldNothingUnlessAsked) {
  Origin origin(Echo());
  Start({.tcp = {origin.address()}});
  EXPECT_EQ(ThroughTcp("hello"), "hello");
  EXPECT_EQ(Count(Counter::kProxySent), 0u);
}

TEST_F(ProxyHeaderTest, SendsTheVersionThatIsSet) {
  topology_.proxy_send = trust::ProxySend::kV1;
  Origin origin(Echo());
  Start({.tcp = {origin.address()}});
  EXPECT_THAT(ThroughTcp("hello"), StartsWith("PROXY TCP4 127.0.0.1 127.0.0.1 "));
}

// OFF cannot leave a sidecar without the header: a client's bytes would arrive as the gateway's.
TEST_F(ProxyHeaderTest, OffHoldsForOthersOnly) {
  topology_.proxy_send = trust::ProxySend::kOff;
  Origin origin(Echo());
  Start({.tcp = {origin.address()}, .has_sidecar = true});
  EXPECT_EQ(Split(ThroughTcp("hello")).payload, "hello");
}

TEST_F(ProxyHeaderTest, AClientsOwnHeaderComesBehindOurs) {
  Origin origin(Echo());
  Start({.tcp = {origin.address()}, .has_sidecar = true});
  for (const std::string& claim : {kClaim, V2Claim("203.0.113.7:40000")}) {
    const Received received = Split(ThroughTcp(claim + "hello"));
    EXPECT_EQ(received.header.source.ip.ToString(), "127.0.0.1");
    EXPECT_EQ(received.payload, claim + "hello");
  }
}

TEST_F(ProxyHeaderTest, HttpIsToldByItsOwnHeaderOnly) {
  Origin origin(HttpOrigin([](const std::string& head, const std::string&) { return Ok(head); }));
  Start({.http = {origin.address()}, .has_sidecar = true});
  WireEnd client = ConnectHttp();
  client.Send("GET / HTTP/1.1\r\nHost: a\r\nx-whence-client: 203.0.113.7\r\n\r\n");
  const std::string response = client.ReadResponse();
  EXPECT_THAT(response, HasSubstr("x-whence-client: 127.0.0.1\r\n"));
  EXPECT_THAT(response, Not(HasSubstr("203.0.113.7")));
  EXPECT_EQ(Count(Counter::kProxySent), 0u);
}

// --- receiving: attacks ---

TEST_F(ProxyHeaderTest, AStrangersHeaderIsReset) {
  Accept(trust::ProxyAccept::kOptional, "192.0.2.0/24");
  Origin origin(Echo());
  Start({.http = {origin.address()}, .tcp = {origin.address()}});
  uint64_t refused = 0;
  for (const std::string& claim : {kClaim, V2Claim("203.0.113.7:40000")}) {
    for (const bool http : {false, true}) {
      WireEnd client = http ? ConnectHttp() : ConnectTcp();
      client.Send(claim + "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      EXPECT_TRUE(client.SeesReset()) << claim;
      const access_log::Record record = NextRecord();
      EXPECT_TRUE(record.Has(Flag::kDownstreamProtocolError));
      EXPECT_EQ(record.decision, access_log::Decision::kDeny);
      EXPECT_EQ(record.client_address.ToString(), "127.0.0.1");
      EXPECT_EQ(Count(Counter::kProxyForbidden), ++refused);
    }
  }
}

// However it is cut, and whatever the server said in between, it never arrives whole.
TEST_F(ProxyHeaderTest, AStrangersHeaderInPiecesIsReset) {
  Accept(trust::ProxyAccept::kOptional, "192.0.2.0/24");
  std::promise<std::string> got;
  Origin origin([&](WireEnd& end) {
    end.Send("220 ready\n");
    got.set_value(end.ReadToEnd());
  });
  Start({.tcp = {origin.address()}});
  WireEnd client = ConnectTcp();
  EXPECT_EQ(client.ReadThrough("\n"), "220 ready\n");
  for (const char c : kClaim.substr(0, 6)) client.Send(std::string_view(&c, 1));
  EXPECT_TRUE(client.SeesReset());
  EXPECT_TRUE(std::string("PROXY").starts_with(got.get_future().get()));
  EXPECT_EQ(Count(Counter::kProxyForbidden), 1u);
}

TEST_F(ProxyHeaderTest, WhatOnlyResemblesAHeaderPasses) {
  Accept(trust::ProxyAccept::kOptional, "192.0.2.0/24");
  Origin origin(Echo());
  Start({.tcp = {origin.address()}});
  for (const std::string bytes : {"P", "\r\n", "\r\n\r\n", "PROXY\r\n", "xPROXY TCP4 \r\n"}) {
    EXPECT_EQ(ThroughTcp(bytes), bytes);
  }
}

TEST_F(ProxyHeaderTest, RequiredFromWhoMayNotSendItRefusesThePeer) {
  Accept(trust::ProxyAccept::kRequired, "192.0.2.0/24");
  Origin origin(Echo());
  Start({.tcp = {origin.address()}});
  WireEnd client = ConnectTcp();
  EXPECT_TRUE(client.SeesReset());
  EXPECT_TRUE(NextRecord().Has(Flag::kDownstreamProtocolError));
  EXPECT_EQ(Count(Counter::kProxyPeerRefused), 1u);
  EXPECT_EQ(origin.connections(), 0);
}

TEST_F(ProxyHeaderTest, RequiredAndMissingIsReset) {
  Accept(trust::ProxyAccept::kRequired);
  Origin origin(Echo());
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(client.SeesReset());
  EXPECT_EQ(Count(Counter::kProxyMissing), 1u);
  EXPECT_EQ(origin.connections(), 0);
}

// Else the header would be relayed, and the client judged as the proxy before it.
TEST_F(ProxyHeaderTest, IsReadDuringADrainToo) {
  options_.workers = 1;
  Accept(trust::ProxyAccept::kRequired);
  Origin origin(HttpOrigin([](const std::string& head, const std::string&) { return Ok(head); }));
  Start({.http = {origin.address()}});
  WireEnd client = WaitAtHttp(kClaim + "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  plane_->Drain(std::chrono::seconds(10));
  EXPECT_THAT(client.ReadToEnd(), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(NextRecord().client_address.ToString(), "203.0.113.7");
}

TEST_F(ProxyHeaderTest, MalformedIsReset) {
  Accept(trust::ProxyAccept::kOptional);
  Origin origin(Echo());
  Start({.tcp = {origin.address()}});
  std::string wrong_sum = V2Claim("203.0.113.7:40000");
  wrong_sum.back() = static_cast<char>(wrong_sum.back() ^ 1);
  std::string too_long(proxy_protocol::kSignatureV2);
  too_long += std::string("\x21\x11\xff\xff", 4);
  uint64_t malformed = 0;
  for (const std::string& bytes :
       {wrong_sum, too_long, std::string("PROXY TCP4 0.0.0.0 1.2.3.4 1 2\r\n")}) {
    WireEnd client = ConnectTcp();
    client.Send(bytes);
    EXPECT_TRUE(client.SeesReset());
    EXPECT_EQ(Count(Counter::kProxyMalformed), ++malformed);
  }
  WireEnd client = ConnectTcp();
  client.Send("PROXY TCP4 203.0.113.7");
  client.Finish();
  EXPECT_TRUE(client.SeesReset());
  EXPECT_EQ(Count(Counter::kProxyMalformed), ++malformed);
  EXPECT_EQ(origin.connections(), 0);
}

TEST_F(ProxyHeaderTest, AHeaderThatNeverCompletesEndsAtItsDeadline) {
  options_.limits.proxy_header_timeout = std::chrono::milliseconds(50);
  Accept(trust::ProxyAccept::kOptional);
  Origin origin(Echo());
  Start({.tcp = {origin.address()}});
  WireEnd client = ConnectTcp();
  client.Send(kClaim.substr(0, 20));
  EXPECT_TRUE(client.SeesReset());
  EXPECT_TRUE(NextRecord().Has(Flag::kDownstreamTimeout));
  EXPECT_EQ(Count(Counter::kProxyLate), 1u);
  EXPECT_EQ(origin.connections(), 0);
}

TEST_F(ProxyHeaderTest, RequiredAndSilentEndsAtTheDeadline) {
  options_.limits.proxy_header_timeout = std::chrono::milliseconds(50);
  Accept(trust::ProxyAccept::kRequired);
  Origin origin(Echo());
  Start({.tcp = {origin.address()}});
  WireEnd client = ConnectTcp();
  EXPECT_TRUE(client.SeesReset());
  EXPECT_EQ(Count(Counter::kProxyLate), 1u);
}

// Silence where a header is optional is none; one that comes later is too late.
TEST_F(ProxyHeaderTest, ALateHeaderIsReset) {
  options_.limits.proxy_header_timeout = std::chrono::milliseconds(20);
  Accept(trust::ProxyAccept::kOptional);
  Origin origin([](WireEnd& end) {
    end.Send("220 ready\n");
    end.ReadToEnd();
  });
  Start({.tcp = {origin.address()}});
  WireEnd client = ConnectTcp();
  EXPECT_EQ(client.ReadThrough("\n"), "220 ready\n");
  client.Send(kClaim);
  EXPECT_TRUE(client.SeesReset());
  EXPECT_EQ(Count(Counter::kProxyForbidden), 1u);
}

// Without its sender's word the client would pass for the sender.
TEST_F(ProxyHeaderTest, EndsWhenItsSenderIsNoLongerTrusted) {
  Accept(trust::ProxyAccept::kOptional);
  Origin origin([](WireEnd& end) { end.Send(end.ReadBytes(5)), end.ReadToEnd(); });
  const Setup setup = {.http = {origin.address()}, .tcp = {origin.address()}};
  Start(setup);
  WireEnd claims = ConnectTcp();
  claims.Send(kClaim + "hello");
  EXPECT_EQ(claims.ReadBytes(5), "hello");
  WireEnd waits = ConnectHttp();
  waits.Send(kClaim.substr(0, 20));
  WireEnd plain = ConnectTcp();
  plain.Send("plain");
  EXPECT_EQ(plain.ReadBytes(5), "plain");
  AwaitCounter(Counter::kConnectionsAccepted, 3);
  Accept(trust::ProxyAccept::kOptional, "192.0.2.0/24");
  Publish(setup);
  EXPECT_TRUE(claims.SeesReset());
  EXPECT_TRUE(waits.SeesReset());
  plain.Finish();
  EXPECT_TRUE(plain.SeesEnd());
  EXPECT_EQ(Count(Counter::kPolicyClosed), 1u);
  EXPECT_EQ(Count(Counter::kProxyForbidden), 1u);
}

TEST_F(ProxyHeaderTest, ASecondHeaderIsTheClientsAndReset) {
  Accept(trust::ProxyAccept::kOptional);
  Origin origin(Echo());
  Start({.tcp = {origin.address()}});
  for (const std::string& second : {kClaim, V2Claim("203.0.113.9:1")}) {
    WireEnd client = ConnectTcp();
    client.Send(kClaim + second);
    EXPECT_TRUE(client.SeesReset());
  }
  EXPECT_EQ(origin.connections(), 0);
  EXPECT_EQ(Count(Counter::kProxyForbidden), 2u);
}

// Behind a header, an agent of ours is not believed in HTTP: those are the client's words.
TEST_F(ProxyHeaderTest, NothingInsideAnAgentsStreamIsTrusted) {
  topology_ = trust::DefaultTopology(trust::Role::kGateway);
  topology_.trust_mesh_gateways = true;
  topology_.mesh_gateways = net::CidrSet({*net::Cidr::Parse("127.0.0.1/32")});
  own_key_ = kKey;
  Origin origin(HttpOrigin([](const std::string& head, const std::string&) { return Ok(head); }));
  Start({.http = {origin.address()}});
  WireEnd forger = ConnectHttp();
  forger.Send(V2Claim("203.0.113.7:40000") + "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(forger.SeesReset());
  EXPECT_EQ(NextRecord().client_address.ToString(), "127.0.0.1");
  EXPECT_EQ(Count(Counter::kProxyUnproven), 1u);
  WireEnd client = ConnectHttp();
  client.Send(
      HandOver(client, {*net::IpAddress::Parse("127.0.0.1"), http_port_}, At("203.0.113.7:40000")) +
      "GET / HTTP/1.1\r\nHost: a\r\nx-whence-client: 1.1.1.1\r\n"
      "x-forwarded-for: 2.2.2.2\r\nx-envoy-external-address: 3.3.3.3\r\n\r\n");
  const std::string response = client.ReadResponse();
  EXPECT_EQ(Forwarded(response), "2.2.2.2,203.0.113.7");
  EXPECT_THAT(response, HasSubstr("x-envoy-external-address: 203.0.113.7\r\n"));
  EXPECT_THAT(response, Not(HasSubstr("1.1.1.1")));
  const access_log::Record record = NextRecord();
  EXPECT_EQ(record.client_address.ToString(), "203.0.113.7");
  EXPECT_EQ(record.direct_peer.ToString(), "127.0.0.1");
  EXPECT_TRUE(record.Has(Flag::kSpoofedHeaders));
  EXPECT_TRUE(record.Has(Flag::kProxyProtocol));
}

// --- receiving ---

TEST_F(ProxyHeaderTest, TheNamedClientIsTheClient) {
  Accept(trust::ProxyAccept::kOptional);
  Origin origin(Echo());
  Start({.tcp = {origin.address()}, .has_sidecar = true});
  const std::vector<std::string> claims = {kClaim, V2Claim("203.0.113.7:40000")};
  for (const std::string& claim : claims) {
    const Received received = Split(ThroughTcp(claim + "hello"));
    EXPECT_EQ(received.payload, "hello");
    EXPECT_EQ(received.header.source.ToString(), "203.0.113.7:40000");
    // Where it was really aimed, whatever the sender says of that.
    EXPECT_EQ(received.header.destination.ip.ToString(), "127.0.0.1");
    const access_log::Record record = NextRecord();
    EXPECT_EQ(record.client_address.ToString(), "203.0.113.7");
    EXPECT_EQ(record.direct_peer.ToString(), "127.0.0.1");
    EXPECT_EQ(record.Get(Text::kReason), "proxy-protocol");
    EXPECT_TRUE(record.Has(Flag::kProxyProtocol));
    EXPECT_EQ(record.bytes_in, 5u);
  }
  EXPECT_EQ(Count(Counter::kProxyTaken), 2u);
}

TEST_F(ProxyHeaderTest, AnIpv6ClientOverIpv4IsTold) {
  Accept(trust::ProxyAccept::kRequired);
  Origin origin(Echo());
  Start({.tcp = {origin.address()}, .has_sidecar = true});
  const Received received = Split(ThroughTcp("PROXY TCP6 2001:db8::7 2001:db8::1 9 8\r\nhello"));
  EXPECT_TRUE(received.header.is_ipv6);
  EXPECT_EQ(received.header.source.ToString(), "[2001:db8::7]:9");
  EXPECT_EQ(received.payload, "hello");
}

TEST_F(ProxyHeaderTest, SingleBytesAreAsGoodAsOnePiece) {
  Accept(trust::ProxyAccept::kOptional);
  Origin origin(HttpOrigin([](const std::string& head, const std::string&) { return Ok(head); }));
  Start({.http = {origin.address()}});
  const std::string bytes = V2Claim("203.0.113.7:40000") +
                            "GET / HTTP/1.1\r\nHost: a\r\nx-forwarded-for: 9.9.9.9\r\n\r\n";
  WireEnd client = ConnectHttp();
  for (const char c : bytes) client.Send(std::string_view(&c, 1));
  EXPECT_EQ(Forwarded(client.ReadResponse()), "9.9.9.9,203.0.113.7");
  client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");  // holds for the connection
  EXPECT_EQ(Forwarded(client.ReadResponse()), "203.0.113.7");
}

TEST_F(ProxyHeaderTest, LocalKeepsTheConnectionsOwnAddress) {
  Accept(trust::ProxyAccept::kRequired);
  Origin origin(Echo());
  Start({.tcp = {origin.address()}});
  const std::string local =
      std::string(proxy_protocol::kSignatureV2) + std::string("\x20\0\0\0", 4);
  for (const std::string& header : {local, std::string("PROXY UNKNOWN\r\n")}) {
    EXPECT_EQ(ThroughTcp(header + "probe"), "probe");
    EXPECT_EQ(NextRecord().client_address.ToString(), "127.0.0.1");
  }
  EXPECT_EQ(Count(Counter::kProxyLocal), 2u);
}

TEST_F(ProxyHeaderTest, OptionalTakesBothKindsOnOnePort) {
  Accept(trust::ProxyAccept::kOptional);
  Origin origin(Echo());
  Start({.tcp = {origin.address()}});
  EXPECT_EQ(ThroughTcp("hello"), "hello");
  EXPECT_EQ(NextRecord().client_address.ToString(), "127.0.0.1");
  EXPECT_EQ(ThroughTcp(kClaim + "hello"), "hello");
  EXPECT_EQ(NextRecord().client_address.ToString(), "203.0.113.7");
}

TEST_F(ProxyHeaderTest, PolicyJudgesTheNamedClient) {
  Accept(trust::ProxyAccept::kRequired);
  policy::PolicySpec deny{.namespace_ = "test", .name = "deny", .action = policy::Action::kDeny};
  policy::Source source;
  source.remote_ip_blocks = {"203.0.113.0/24"};
  deny.rules.push_back({.from = {source}});
  Origin origin(Echo());
  Start({.tcp = {origin.address()}, .policies = {deny}});
  WireEnd client = ConnectTcp();
  client.Send(kClaim + "hello");
  EXPECT_TRUE(client.SeesReset());
  EXPECT_EQ(NextRecord().Get(Text::kPolicy), "test/deny");
  EXPECT_EQ(origin.connections(), 0);
  EXPECT_EQ(ThroughTcp("PROXY TCP4 198.51.100.7 1.1.1.1 1 2\r\nhello"), "hello");
}

}  // namespace
}  // namespace whence::proxy
