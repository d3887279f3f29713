// What an application is told about its client, end to end: the whole family of headers that speak
// of it, for each kind of sender. Rows of attacks; the application sees what is expected and nothing
// else of the family.
#include <algorithm>
#include <map>

#include "common/base/strings.h"
#include "gmock/gmock.h"
#include "tests/unit/dataplane/proxy/gateway_fixture.h"

namespace whence::proxy {
namespace {

using access_log::Flag;
using access_log::Text;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

using Fields = std::map<std::string, std::string>;

// Names in lower case; several lines of a name are joined by " | ".
Fields FieldsOf(const std::string& head) {
  Fields fields;
  size_t at = head.find("\r\n") + 2;
  while (at < head.size() && head.compare(at, 2, "\r\n") != 0) {
    const size_t end = head.find("\r\n", at);
    const size_t colon = head.find(':', at);
    std::string name = head.substr(at, colon - at);
    std::transform(name.begin(), name.end(), name.begin(), ToLowerAscii);
    std::string& value = fields[name];
    if (!value.empty()) value += " | ";
    value += head.substr(colon + 2, end - colon - 2);
    at = end + 2;
  }
  return fields;
}

// All that a client can write to be taken for someone else, with an innocent field among them.
constexpr std::string_view kFamily =
    "X-Forwarded-For: 1.1.1.1, 2.2.2.2\r\n"
    "X-Forwarded-Proto: https\r\n"
    "X-Forwarded-Host: bank.example\r\n"
    "X-Forwarded-Port: 8443\r\n"
    "X-Real-IP: 9.9.9.9\r\n"
    "Forwarded: for=9.9.9.9\r\n"
    "X-Envoy-External-Address: 9.9.9.9\r\n"
    "X-Envoy-Internal: true\r\n"
    "X-Whence-Client: 9.9.9.9\r\n"
    "X-Request-Id: mine\r\n"
    "X_Forwarded_For: 9.9.9.9\r\n"
    "x-real_ip: 9.9.9.9\r\n"
    "X-Innocent: yes\r\n";

class HeaderTest : public GatewayTest {
 protected:
  // What the application got for a request with these fields, without Host.
  Fields Seen(std::string_view fields) {
    if (!plane_) {
      Start({.http = {origin_.address()}, .has_sidecar = has_sidecar_});
      client_ = ConnectHttp();
    }
    spoofed_before_ = Count(Counter::kSpoofedHeaders);
    client_.Send("GET / HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n");
    const std::string response = client_.ReadResponse();
    EXPECT_THAT(response, testing::StartsWith("HTTP/1.1 200 "));
    record_ = NextRecord();
    Fields seen = FieldsOf(response.substr(response.find("\r\n\r\n") + 4));
    seen.erase("host");
    return seen;
  }
  uint64_t Spoofed() const { return Count(Counter::kSpoofedHeaders) - spoofed_before_; }
  net::CidrSet Loopback() const {
    return net::CidrSet(std::vector<net::Cidr>{*net::Cidr::Parse("127.0.0.0/8")});
  }

  Origin origin_{HttpOrigin([](const std::string& head, const std::string&) { return Ok(head); })};
  bool has_sidecar_ = false;
  WireEnd client_;
  access_log::Record record_;
  uint64_t spoofed_before_ = 0;
};

TEST_F(HeaderTest, EdgeGatewayBelievesAStrangerNothing) {
  const Fields seen = Seen(kFamily);
  const std::string id = seen.contains("x-request-id") ? seen.at("x-request-id") : "";
  EXPECT_EQ(id.size(), 36u) << "an id from outside is replaced";
  EXPECT_EQ(seen, (Fields{{"x-forwarded-for", "1.1.1.1, 2.2.2.2,127.0.0.1"},
                          {"x-forwarded-proto", "http"},
                          {"x-envoy-external-address", "127.0.0.1"},
                          {"x-request-id", id},
                          {"x-innocent", "yes"}}));
  // The two x-envoy-…, x-whence-client and the two aliases.
  EXPECT_EQ(Spoofed(), 5u);
  EXPECT_TRUE(record_.Has(Flag::kSpoofedHeaders));
  EXPECT_EQ(record_.client_address, *net::IpAddress::Parse("127.0.0.1"));
  EXPECT_EQ(record_.external_address, *net::IpAddress::Parse("127.0.0.1"));
  EXPECT_EQ(record_.Get(Text::kRequestId), id);
  EXPECT_EQ(record_.Get(Text::kForwardedFor), "1.1.1.1, 2.2.2.2");

  const Fields plain = Seen("");
  EXPECT_EQ(Spoofed(), 0u);
  EXPECT_FALSE(record_.Has(Flag::kSpoofedHeaders));
  EXPECT_EQ(plain.at("x-forwarded-for"), "127.0.0.1");
}

TEST_F(HeaderTest, GatewayBehindACountedProxyPassesItsWord) {
  topology_.num_trusted_proxies = 1;
  const Fields seen = Seen(kFamily);
  EXPECT_EQ(seen.at("x-forwarded-for"), "1.1.1.1, 2.2.2.2,127.0.0.1");
  EXPECT_EQ(seen.at("x-forwarded-proto"), "https");
  EXPECT_EQ(seen.at("x-forwarded-host"), "bank.example");
  EXPECT_EQ(seen.at("x-real-ip"), "9.9.9.9");
  EXPECT_EQ(seen.at("x-envoy-external-address"), "2.2.2.2") << "ours, by the walk";
  EXPECT_FALSE(seen.contains("x-envoy-internal"));
  EXPECT_FALSE(seen.contains("x-whence-client"));
  EXPECT_EQ(record_.client_address, *net::IpAddress::Parse("2.2.2.2"));
  EXPECT_EQ(Spoofed(), 3u) << "nobody but our own agents says x-whence-client, or uses aliases";
}

TEST_F(HeaderTest, InternalClientIsMarkedAndKeepsItsRequestId) {
  topology_.internal = Loopback();
  const Fields seen = Seen("X-Request-Id: mine\r\n");
  EXPECT_EQ(seen.at("x-envoy-internal"), "true");
  EXPECT_EQ(seen.at("x-request-id"), "mine");
  EXPECT_FALSE(seen.contains("x-envoy-external-address"));
  EXPECT_EQ(Spoofed(), 0u);
  // Whoever was forwarded is not internal, however near the last hop is.
  EXPECT_FALSE(Seen("X-Forwarded-For: 127.0.0.1\r\n").contains("x-envoy-internal"));
}

TEST_F(HeaderTest, GatewayHandsItsVerdictToASidecar) {
  has_sidecar_ = true;
  const Fields seen = Seen(kFamily);
  EXPECT_EQ(seen.at("x-whence-client"), "127.0.0.1") << "ours alone";
}

TEST_F(HeaderTest, SidecarPassesAStrangersWordsOnAsTextButNoVerdicts) {
  topology_ = trust::DefaultTopology(trust::Role::kSidecar);
  const Fields seen = Seen(kFamily);
  EXPECT_EQ(seen, (Fields{{"x-forwarded-for", "1.1.1.1, 2.2.2.2"},
                          {"x-forwarded-proto", "https"},
                          {"x-forwarded-host", "bank.example"},
                          {"x-forwarded-port", "8443"},
                          {"x-real-ip", "9.9.9.9"},
                          {"forwarded", "for=9.9.9.9"},
                          {"x-request-id", "mine"},
                          {"x-innocent", "yes"}}));
  EXPECT_EQ(Spoofed(), 5u);
  EXPECT_EQ(record_.client_address, *net::IpAddress::Parse("127.0.0.1"));
  EXPECT_EQ(Seen("").at("x-request-id").size(), 36u) << "made where there is none";
}

TEST_F(HeaderTest, SidecarTakesTheVerdictOfItsGateway) {
  topology_ = trust::DefaultTopology(trust::Role::kSidecar);
  topology_.mesh_gateways = Loopback();
  const Fields seen = Seen(
      "X-Forwarded-For: 5.5.5.5, 2.2.2.2\r\nX-Envoy-External-Address: 2.2.2.2\r\n"
      "X-Whence-Client: 2.2.2.2\r\nX-Request-Id: mine\r\n");
  EXPECT_EQ(seen.at("x-envoy-external-address"), "2.2.2.2");
  EXPECT_EQ(seen.at("x-forwarded-for"), "5.5.5.5, 2.2.2.2");
  EXPECT_EQ(seen.at("x-request-id"), "mine");
  EXPECT_FALSE(seen.contains("x-whence-client")) << "between agents only";
  EXPECT_EQ(Spoofed(), 0u);
  EXPECT_EQ(record_.client_address, *net::IpAddress::Parse("2.2.2.2"));
}

// What a client nominates ends here; what we add does not, whatever was nominated.
TEST_F(HeaderTest, NominationsEndTheClientsFieldsAndNeverOurs) {
  const Fields seen = Seen(
      "Connection: close-enough, x-gone, keep-alive\r\nX-Gone: 1\r\nKeep-Alive: timeout=5\r\n"
      "Proxy-Connection: keep-alive\r\nTrailer: x\r\nUpgrade: chat\r\nX-Stays: 1\r\n");
  EXPECT_EQ(seen.at("x-stays"), "1");
  for (const char* gone : {"connection", "x-gone", "keep-alive", "proxy-connection", "upgrade"}) {
    EXPECT_FALSE(seen.contains(gone)) << gone;
  }
  for (const char* ours :
       {"x-forwarded-for", "x-forwarded-proto", "x-request-id", "x-envoy-internal"}) {
    EXPECT_TRUE(seen.contains(ours)) << ours;
  }
}

TEST_F(HeaderTest, ResponsesLoseTheirHopByHopFieldsToo) {
  Origin origin(HttpOrigin([](const std::string&, const std::string&) {
    return Ok("x",
              "Connection: keep-alive, x-gone\r\nX-Gone: 1\r\nKeep-Alive: timeout=5\r\n"
              "Upgrade: h2c\r\nX-Stays: 1\r\n");
  }));
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  const Fields seen = FieldsOf(client.ReadResponse());
  EXPECT_EQ(seen.at("x-stays"), "1");
  for (const char* gone : {"connection", "x-gone", "keep-alive", "upgrade"}) {
    EXPECT_FALSE(seen.contains(gone)) << gone;
  }
}

}  // namespace
}  // namespace whence::proxy
