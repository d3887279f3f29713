// Policies from the document to the verdict and its record: text, the control plane's bundle, the
// agent's decoder, the data plane on loopback, the wire, the ring. Rows are mostly attacks.
#include <chrono>
#include <ctime>

#include "absl/strings/str_cat.h"
#include "common/bundle/bundle_builder.h"
#include "common/document/document.h"
#include "common/wire/snapshot_decoder.h"
#include "gmock/gmock.h"
#include "tests/unit/dataplane/proxy/gateway_fixture.h"

namespace whence::proxy {
namespace {

using access_log::Decision;
using access_log::Text;

// The client (and peer) is 127.0.0.1; one proxy in front is trusted, so X-Forwarded-For's last
// entry is the client.
constexpr char kAround[] = R"(
apiVersion: whence.dev/v1
kind: TrustTopology
metadata: {name: t, namespace: shop}
spec: {numTrustedProxies: 1}
---
apiVersion: whence.dev/v1
kind: IpSet
metadata: {name: bad, namespace: shop}
spec: {cidrs: [2.2.2.0/24, "2001:db8:bad::/48"]}
---
apiVersion: whence.dev/v1
kind: IpSet
metadata: {name: here, namespace: istio-system}
spec: {cidrs: [127.0.0.0/8]}
---
)";

std::string Policy(const std::string& name, const std::string& spec) {
  return absl::StrCat("apiVersion: whence.dev/v1\nkind: IpPolicy\nmetadata: {name: ", name,
                      ", namespace: shop}\nspec: {", spec, "}\n---\n");
}
std::string Deny(const std::string& rule) {
  return Policy("p", absl::StrCat("action: DENY, rules: [{", rule, "}]"));
}
std::string From(const std::string& source) {
  return absl::StrCat("from: [{source: {", source, "}}]");
}
std::string To(const std::string& operation) {
  return absl::StrCat("to: [{operation: {", operation, "}}]");
}

class PolicyDocumentsTest : public GatewayTest {
 protected:
  PolicyDocumentsTest() { Start({.http = {origin_.address()}}); }

  // Makes the documents the configuration, as an agent would.
  void Apply(const std::string& documents) {
    document::ParseResult parsed = document::Parse("f.yaml", kAround + documents, {});
    for (const v1::Fault& fault : parsed.faults) ADD_FAILURE() << document::FaultText(fault);
    std::vector<v1::Document> whole;
    for (auto& one : parsed.documents) whole.push_back(std::move(one.document));
    const bundle::ConfigView view(std::move(whole));
    bundle::Workload self;
    self.namespace_ = "shop";
    self.name = "edge";
    self.role = trust::Role::kGateway;
    wire::IpSetMap sets;
    for (const v1::IpSetResource& set : bundle::BuildIpSets(view)) {
      sets[set.name()] = wire::DecodeIpSet(set).value();
    }
    const auto decoded = wire::Decode(bundle::Build(view, {self}, self), "v", sets);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    auto next = std::make_shared<snapshot::Snapshot>(*MakeSnapshot({.http = {origin_.address()}}));
    next->policies = (*decoded)->policies;
    next->topology = (*decoded)->topology;
    const uint64_t before = Count(Counter::kSnapshots);
    ASSERT_TRUE(plane_->Publish(next).ok());
    AwaitCounter(Counter::kSnapshots, before + 2);
  }

  // "403 deny shop/p": what the client got, what the record says.
  std::string Ask(const std::string& target, const std::string& fields,
                  const std::string& host = "shop.example") {
    WireEnd client = ConnectHttp();
    client.Send(absl::StrCat("GET ", target, " HTTP/1.1\r\nHost: ", host,
                             "\r\nConnection: close\r\n", fields, "\r\n"));
    const std::string response = client.ReadToEnd();
    const access_log::Record record = NextRecord();
    const char* decision = record.decision == Decision::kAllow  ? "allow"
                           : record.decision == Decision::kDeny ? "deny"
                                                                : "dry-run-deny";
    const std::string policy(record.Get(Text::kPolicy));
    return absl::StrCat(response.substr(std::min<size_t>(response.size(), 9), 3), " ", decision,
                        policy.empty() ? "" : " ", policy);
  }

  Origin origin_{HttpOrigin([](const std::string&, const std::string&) { return Ok("in"); })};
};

std::string Xff(const std::string& client) {
  return absl::StrCat("X-Forwarded-For: ", client, "\r\n");
}

constexpr char kIn[] = "200 allow";
constexpr char kOut[] = "403 deny shop/p";

TEST_F(PolicyDocumentsTest, SetsAndTheirNegations) {
  struct Row {
    const char* name;
    std::string rule, client, want;
  };
  const Row rows[] = {
      {"client in the set", From("remoteIpSets: [bad]"), "2.2.2.9", kOut},
      {"IPv6 client in the set", From("remoteIpSets: [bad]"), "2001:db8:bad::9", kOut},
      {"client beside the set", From("remoteIpSets: [bad]"), "2.2.3.9", kIn},
      {"not in the set", From("notRemoteIpSets: [bad]"), "2.2.3.9", kOut},
      {"in the set that is excepted", From("notRemoteIpSets: [bad]"), "2.2.2.9", kIn},
      {"the peer's set does not look at the client", From("ipSets: [bad]"), "2.2.2.9", kIn},
      {"peer in a set of another namespace", From("ipSets: [istio-system/here]"), "2.2.2.9", kOut},
      {"not the peer", From("notIpSets: [istio-system/here]"), "2.2.2.9", kIn},
      {"both, with a negation", From("remoteIpBlocks: [2.0.0.0/8], notRemoteIpSets: [bad]"),
       "2.2.2.9", kIn},
      {"both, beside the negation", From("remoteIpBlocks: [2.0.0.0/8], notRemoteIpSets: [bad]"),
       "2.3.2.9", kOut},
  };
  for (const Row& row : rows) {
    Apply(Deny(row.rule));
    EXPECT_EQ(Ask("/", Xff(row.client)), row.want) << row.name;
  }
}

// One address, in every spelling that X-Forwarded-For can carry it in.
TEST_F(PolicyDocumentsTest, MappedFormsEvadeNothing) {
  for (const char* rule : {"remoteIpSets: [bad]", "remoteIpBlocks: [2.2.2.0/24]",
                           "remoteIpBlocks: ['::ffff:2.2.2.0/120']"}) {
    Apply(Deny(From(rule)));
    for (const char* client :
         {"2.2.2.2", "::ffff:2.2.2.2", "::FFFF:2.2.2.2", "::ffff:202:202", "[::ffff:2.2.2.2]:443",
          "0:0:0:0:0:ffff:0202:0202", "2.2.2.2:8080", "9.9.9.9,::ffff:2.2.2.2", " 2.2.2.2\t"}) {
      EXPECT_EQ(Ask("/", Xff(client)), kOut) << rule << " " << client;
    }
    EXPECT_EQ(Ask("/", Xff("::ffff:2.2.3.2")), kIn);
    EXPECT_EQ(Ask("/", Xff("::2.2.2.2")), kIn) << "another address (deprecated compatible form)";
  }
}

TEST_F(PolicyDocumentsTest, PortsAreNumbersAndHostsAreText) {
  const std::string port = std::to_string(http_port_);
  Apply(Deny(To("ports: ['" + port + "']")));
  EXPECT_EQ(Ask("/", ""), kOut);
  Apply(Deny(To("ports: ['" + port.substr(0, port.size() - 1) + "']")));
  EXPECT_EQ(Ask("/", ""), kIn) << "not a prefix of it";
  Apply(Deny(To("notPorts: ['" + port + "']")));
  EXPECT_EQ(Ask("/", ""), kIn);
  Apply(Deny("when: [{key: destination.port, values: ['" + port + "']}]"));
  EXPECT_EQ(Ask("/", ""), kOut);

  // The port in the Host field is part of the text, and so is a dot at the end; case is not.
  Apply(Deny(To("hosts: [shop.example]")));
  EXPECT_EQ(Ask("/", "", "shop.example"), kOut);
  EXPECT_EQ(Ask("/", "", "SHOP.example"), kOut);
  EXPECT_EQ(Ask("/", "", "shop.example:80"), kIn);
  EXPECT_EQ(Ask("/", "", "shop.example."), kIn);
  Apply(Deny(To("hosts: ['shop.example*']")));
  EXPECT_EQ(Ask("/", "", "shop.example:80"), kOut);
  EXPECT_EQ(Ask("/", "", "shop.example."), kOut);
}

TEST_F(PolicyDocumentsTest, PathsAreNormalizedAsTheMeshSays) {
  struct Row {
    const char* mode;
    std::string target;
    bool denied;
  };
  const Row rows[] = {
      {"", "/admin", true},
      {"", "//admin", true},
      {"", "/x/../admin", true},
      {"", "/x/%2e%2e/admin", true},
      {"", "/%61dmin", true},
      {"", "/x%2f..%2fadmin", true},
      {"", "/x\\..\\admin", true},
      {"", "/admin?x=/public", true},
      {"", "/public?x=/admin", false},
      {"MERGE_SLASHES", "//admin", true},
      {"MERGE_SLASHES", "/x%2f..%2fadmin", false},
      {"BASE", "/x/../admin", true},
      {"BASE", "//admin", false},
      {"NONE", "/x/../admin", false},
      {"NONE", "/admin", true},
  };
  const char* current = nullptr;
  for (const Row& row : rows) {
    if (current == nullptr || std::string(current) != row.mode) {
      current = row.mode;
      Apply(Deny(To("paths: [/admin]")) +
            (*row.mode == '\0' ? std::string()
                               : absl::StrCat("apiVersion: whence.dev/v1\nkind: Mesh\nmetadata: "
                                              "{name: m}\nspec: {pathNormalization: ",
                                              row.mode, "}\n")));
    }
    EXPECT_EQ(Ask(row.target, ""), row.denied ? kOut : kIn) << row.mode << " " << row.target;
  }
}

TEST_F(PolicyDocumentsTest, ADryRunIsLoggedAndNotEnforced) {
  Apply(Policy("p", "action: DENY, mode: DRY_RUN, rules: [{" + From("remoteIpSets: [bad]") + "}]"));
  EXPECT_EQ(Ask("/", Xff("2.2.2.2")), "200 dry-run-deny shop/p");
  EXPECT_EQ(Ask("/", Xff("3.3.3.3")), kIn);
  Apply(
      Policy("p", "action: ALLOW, mode: DRY_RUN, rules: [{" + From("remoteIpSets: [bad]") + "}]"));
  EXPECT_EQ(Ask("/", Xff("3.3.3.3")), "200 dry-run-deny shop/p");
}

TEST_F(PolicyDocumentsTest, APolicyDecidesNothingOnceItHasExpired) {
  const std::string rule =
      "action: DENY, rules: [{" + From("remoteIpSets: [bad]") + "}], expires: ";
  Apply(Policy("p", rule + "'2020-01-01T00:00:00Z'"));
  EXPECT_EQ(Ask("/", Xff("2.2.2.2")), kIn);
  Apply(Policy("p", rule + "'2999-01-01T00:00:00+02:00'"));
  EXPECT_EQ(Ask("/", Xff("2.2.2.2")), kOut);
  // In force without a new revision: the clock goes on, and nobody publishes anything.
  const auto soon = std::chrono::time_point_cast<std::chrono::seconds>(
      std::chrono::system_clock::now() + std::chrono::seconds(2));
  const std::time_t seconds = std::chrono::system_clock::to_time_t(soon);
  char text[32];
  std::strftime(text, sizeof text, "%FT%TZ", std::gmtime(&seconds));
  Apply(Policy("p", absl::StrCat(rule, "'", text, "'")));
  EXPECT_EQ(Ask("/", Xff("2.2.2.2")), kOut);
  std::string answer;
  do {
    answer = Ask("/", Xff("2.2.2.2"));
  } while (answer == kOut && std::chrono::system_clock::now() < soon + std::chrono::seconds(5));
  EXPECT_EQ(answer, kIn);
  EXPECT_GE(std::chrono::system_clock::now(), soon);
}

}  // namespace
}  // namespace whence::proxy
