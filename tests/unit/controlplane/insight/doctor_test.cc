// The doctor's rules by tables: what each finds, what it prints to mend it, and the healthy meshes
// that look a little ill in which it must find nothing.
#include "controlplane/insight/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "common/bundle/config_view.h"
#include "common/document/document.h"
#include "common/net/ip_address.h"

namespace whence::insight {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string Bytes(const std::string& text) {
  const auto bytes = net::IpAddress::Parse(text)->bytes();
  return std::string(bytes.begin(), bytes.end());
}

v1::AgentState Agent(const std::string& name, v1::AgentRole role, const std::string& address,
                     const std::string& interception = "tproxy") {
  v1::AgentState agent;
  agent.set_namespace_("shop");
  agent.set_name(name);
  agent.set_role(role);
  (*agent.mutable_labels())["app"] = name;
  agent.add_addresses(address);
  agent.set_node("10.128.0.53");
  agent.set_interception(interception);
  agent.set_acked_revision(3);
  return agent;
}

struct Seen {
  std::string agent, role, client, reason, peer, forwarded, flags, request_id;
  v1::Decision decision = v1::ALLOW_DECISION;
  std::string upstream;
};

v1::LogRow Row(int64_t id, const Seen& seen) {
  v1::LogRow row;
  row.set_id(id);
  row.set_agent("shop/" + seen.agent);
  row.set_role(seen.role);
  v1::AccessRecord& record = *row.mutable_record();
  record.set_protocol("http/1.1");
  record.set_method("GET");
  record.set_client_address(Bytes(seen.client));
  record.set_client_reason(seen.reason);
  record.set_direct_peer(Bytes(seen.peer.empty() ? seen.client : seen.peer));
  record.set_forwarded_for(seen.forwarded);
  record.set_flags(seen.flags);
  record.set_request_id(seen.request_id);
  record.set_decision(seen.decision);
  if (!seen.upstream.empty()) record.set_upstream_source(Bytes(seen.upstream));
  return row;
}

class DoctorTest : public ::testing::Test {
 protected:
  DoctorTest() {
    agents_ = {Agent("gw", v1::GATEWAY, "10.32.1.221", "none"),
               Agent("web", v1::SIDECAR, "10.32.1.205")};
  }

  std::vector<v1::Finding> Examine(const std::vector<Seen>& seen, const std::string& yaml = "") {
    const auto parsed = document::Parse("test", yaml, {});
    EXPECT_THAT(parsed.faults, IsEmpty());
    std::vector<v1::Document> documents;
    for (const auto& one : parsed.documents) documents.push_back(one.document);
    model::ConfigState state;
    state.view = std::make_shared<const bundle::ConfigView>(documents);
    std::vector<v1::LogRow> rows;
    for (const Seen& one : seen) rows.push_back(Row(static_cast<int64_t>(rows.size()) + 1, one));
    return insight::Examine({state, agents_, workloads_, lost_, rows});
  }
  static std::vector<std::string> Rules(const std::vector<v1::Finding>& findings) {
    std::vector<std::string> rules;
    for (const v1::Finding& finding : findings) {
      rules.push_back(finding.rule());
      // Whatever it is, it says where, why, with what evidence, and what to do.
      EXPECT_THAT(finding.workload(), HasSubstr("/"));
      EXPECT_FALSE(finding.cause().empty());
      EXPECT_FALSE(finding.evidence().empty());
      EXPECT_FALSE(finding.remedy().empty());
      // What it prints can be applied.
      EXPECT_THAT(document::Parse("remedy", finding.document(), {}).faults, IsEmpty())
          << finding.document();
    }
    return rules;
  }

  std::vector<v1::AgentState> agents_;
  std::vector<bundle::Workload> workloads_;
  std::vector<std::string> lost_;
};

constexpr char kMesh[] = R"(
apiVersion: whence.dev/v1
kind: Mesh
metadata: {name: mesh}
spec: {nodeCidrs: [192.168.7.0/24]}
)";
constexpr char kEdge[] = R"(
apiVersion: whence.dev/v1
kind: TrustTopology
metadata: {name: edge, namespace: shop}
spec: {selector: {matchLabels: {app: gw}}, numTrustedProxies: 3}
)";
constexpr char kRequired[] = R"(
apiVersion: whence.dev/v1
kind: TrustTopology
metadata: {name: edge, namespace: shop}
spec:
  selector: {matchLabels: {app: gw}}
  proxyProtocol: {accept: REQUIRED, from: {cidrs: [10.9.9.0/24]}}
)";
constexpr char kInside[] = R"(
apiVersion: whence.dev/v1
kind: TrustTopology
metadata: {name: inside, namespace: shop}
spec: {selector: {matchLabels: {app: web}}, trustMeshGateways: false}
)";

TEST_F(DoctorTest, AHealthyMeshHasNothing) {
  const Seen cases[] = {
      // A client from outside, and what the sidecar took over from the gateway.
      {"gw", "gateway", "123.120.247.15", "direct-peer"},
      {"web", "sidecar", "123.120.247.15", "gateway-verdict", "10.32.1.221", "123.120.247.15"},
      // The kubelet's health probe comes from the node, and from nobody else.
      {"web", "sidecar", "10.128.0.53", "direct-peer"},
      // A stranger invents a header at a gateway that trusts no proxy.
      {"gw", "gateway", "66.6.6.6", "direct-peer", "", "1.1.1.1"},
      // A refused spoof, and an agent that went home long ago.
      {.agent = "web",
       .role = "sidecar",
       .client = "66.6.6.6",
       .reason = "untrusted-peer",
       .flags = "spoofed-headers",
       .decision = v1::DENY_DECISION},
      {"gone", "gateway", "10.128.0.53", "direct-peer"},
      // The proxies in front are counted, and are there.
      {"gw", "gateway", "2.2.2.2", "xff-hop-2", "10.0.0.1", "2.2.2.2, 3.3.3.3"},
  };
  for (const Seen& one : cases) {
    EXPECT_THAT(Rules(Examine({one})), IsEmpty()) << one.agent << " " << one.reason;
  }
  EXPECT_THAT(Rules(Examine({std::begin(cases), std::end(cases)})), IsEmpty());
  EXPECT_THAT(Rules(Examine({})), IsEmpty());
}

constexpr char kWeb[] = R"(
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: other, namespace: shop}
spec: {selector: {app: other}, ports: [{name: http, port: 7070}]}
---
apiVersion: whence.dev/v1
kind: IpPolicy
metadata: {name: mesh-wide, namespace: istio-system}
spec:
  action: DENY
  rules:
  - to: [{operation: {ports: ["9090"]}}]
  - when: [{key: destination.port, values: ["9091"]}]
)";

TEST_F(DoctorTest, PortsThatAreLeftOutMatterWhereSomebodySpeaksOfThem) {
  const auto leave_out = [this](std::vector<uint16_t> excluded,
                                std::vector<uint16_t> included = {}) {
    bundle::Workload web;
    web.namespace_ = "shop";
    web.name = "web";
    web.labels = {{"app", "web"}};
    web.has_sidecar = true;
    web.excluded_ports = std::move(excluded);
    web.included_ports = std::move(included);
    workloads_ = {web};
    return Examine({}, kWeb);
  };
  EXPECT_THAT(Rules(leave_out({15020, 15021})), IsEmpty()) << "the agent's own";
  EXPECT_THAT(Rules(leave_out({22, 7070, 15020})), IsEmpty()) << "nobody speaks of them here";
  EXPECT_THAT(Rules(leave_out({}, {8080, 9090, 9091})), IsEmpty());
  struct Row {
    std::vector<uint16_t> excluded, included;
    std::vector<std::string> evidence;
    std::string flags;
  };
  const std::string service = "port 8080: Service shop/web sends clients there";
  const std::string policy = "IpPolicy istio-system/mesh-wide decides about it, and is not asked";
  const Row rows[] = {
      {{22, 8080, 15020, 15021}, {}, {service}, " --exclude-inbound-ports 22"},
      {{8080}, {}, {service}, ""},
      {{9090, 9091}, {}, {"port 9090: " + policy, "port 9091: " + policy}, ""},
      {{}, {9090, 9091, 22}, {service}, " --include-inbound-ports 9090,9091,22,8080"},
  };
  for (const Row& row : rows) {
    const auto findings = leave_out(row.excluded, row.included);
    ASSERT_THAT(Rules(findings), ElementsAre("excluded-ports")) << row.flags;
    EXPECT_EQ(findings[0].workload(), "shop/web");
    EXPECT_THAT(findings[0].evidence(), testing::ElementsAreArray(row.evidence));
    EXPECT_EQ(findings[0].commands(1), "whence-agent intercept install --mode tproxy" + row.flags);
  }
}

TEST_F(DoctorTest, OneRequestIdSeenTwiceByAnAgentTellsNothing) {
  EXPECT_THAT(Rules(Examine({
                  {.agent = "gw",
                   .role = "gateway",
                   .client = "1.1.1.1",
                   .reason = "direct-peer",
                   .request_id = "same"},
                  {.agent = "gw",
                   .role = "gateway",
                   .client = "2.2.2.2",
                   .reason = "direct-peer",
                   .request_id = "same"},
                  {.agent = "web",
                   .role = "sidecar",
                   .client = "2.2.2.2",
                   .reason = "gateway-verdict",
                   .peer = "10.32.1.221",
                   .request_id = "same"},
              })),
              IsEmpty());
}

TEST_F(DoctorTest, FindsNodesAsClientsByTheMeshOrByWhatAgentsSay) {
  for (const char* node : {"10.128.0.53", "192.168.7.9"}) {
    const auto found = Examine({{"gw", "gateway", node, "direct-peer"}}, kMesh);
    ASSERT_THAT(Rules(found), ElementsAre("client-is-node"));
    EXPECT_THAT(found[0].records(), ElementsAre(1));
    EXPECT_THAT(found[0].commands(0), HasSubstr("patch service gw -p"));
    EXPECT_THAT(found[0].commands(0), HasSubstr("Local"));
  }
}

TEST_F(DoctorTest, FindsRedirect) {
  agents_[1].set_interception("redirect");
  const auto found = Examine({{.agent = "web",
                               .role = "sidecar",
                               .client = "1.1.1.1",
                               .reason = "gateway-verdict",
                               .upstream = "127.0.0.6"}});
  ASSERT_THAT(Rules(found), ElementsAre("redirect-hides-client"));
  EXPECT_EQ(found[0].record_count(), 1u);
  EXPECT_THAT(found[0].commands(),
              ::testing::Contains("whence-agent intercept install --mode tproxy"));
}

TEST_F(DoctorTest, FindsAProxyThatNobodyTrusts) {
  const std::vector<Seen> seen = {
      {"gw", "gateway", "10.9.9.9", "direct-peer", "", "1.1.1.1"},
      {"gw", "gateway", "10.9.9.9", "direct-peer", "", "2.2.2.2"},
      {"gw", "gateway", "66.6.6.6", "direct-peer", "", "3.3.3.3"},
  };
  auto found = Examine(seen);
  ASSERT_THAT(Rules(found), ElementsAre("forwarded-untrusted"));
  EXPECT_EQ(found[0].record_count(), 2u);
  EXPECT_THAT(found[0].document(), HasSubstr("10.9.9.9/32"));
  EXPECT_THAT(found[0].document(), Not(HasSubstr("66.6.6.6")));
  // The present document is what is changed.
  found = Examine(seen, std::string(kEdge));
  EXPECT_THAT(found[0].document(), HasSubstr("name: edge"));
  EXPECT_THAT(found[0].document(), Not(HasSubstr("numTrustedProxies")));
}

TEST_F(DoctorTest, FindsMoreProxiesCountedThanThereAre) {
  const auto found = Examine(
      {
          {"gw", "gateway", "10.9.9.9", "xff-too-short", "", "1.1.1.1, 2.2.2.2"},
          {"gw", "gateway", "10.9.9.9", "xff-too-short", "", "1.1.1.1, 3.3.3.3"},
          {"gw", "gateway", "10.9.9.9", "xff-too-short", "", ""},
      },
      kEdge);
  ASSERT_THAT(Rules(found), ElementsAre("chain-too-short"));
  EXPECT_THAT(found[0].summary(), HasSubstr("(3) than there are entries in X-Forwarded-For (2)"));
  EXPECT_THAT(found[0].document(), HasSubstr("numTrustedProxies: 2"));
}

TEST_F(DoctorTest, FindsProxyHeadersThatLackAndThatAreTooMany) {
  auto found = Examine({{"gw", "gateway", "10.9.9.9", "direct-peer", "", "",
                         "downstream-protocol-error,proxy-header-missing", "", v1::DENY_DECISION}},
                       kRequired);
  ASSERT_THAT(Rules(found), ElementsAre("proxy-header-missing"));
  EXPECT_THAT(found[0].document(), HasSubstr("accept: OPTIONAL"));
  found = Examine({{"gw", "gateway", "10.9.9.9", "direct-peer", "", "",
                    "downstream-protocol-error,proxy-header-unexpected", "", v1::DENY_DECISION}});
  ASSERT_THAT(Rules(found), ElementsAre("proxy-header-unexpected"));
  EXPECT_THAT(found[0].document(), HasSubstr("10.9.9.9/32"));
}

TEST_F(DoctorTest, FindsAgentsThatDisagree) {
  const auto found = Examine(
      {
          {.agent = "gw",
           .role = "gateway",
           .client = "1.1.1.1",
           .reason = "direct-peer",
           .request_id = "r1"},
          {.agent = "web",
           .role = "sidecar",
           .client = "10.32.1.221",
           .reason = "untrusted-peer",
           .request_id = "r1"},
      },
      kInside);
  ASSERT_THAT(Rules(found), ElementsAre("clients-disagree"));
  EXPECT_THAT(found[0].summary(), HasSubstr("shop/gw"));
  EXPECT_THAT(found[0].document(), HasSubstr("trustMeshGateways: true"));
  EXPECT_THAT(found[0].document(), HasSubstr("name: inside"));
}

TEST_F(DoctorTest, FindsSpoofing) {
  const auto found =
      Examine({{"web", "sidecar", "10.32.3.202", "untrusted-peer", "", "", "spoofed-headers"}});
  ASSERT_THAT(Rules(found), ElementsAre("spoof-attempts"));
  EXPECT_EQ(found[0].severity(), v1::Finding::NOTICE);
  EXPECT_THAT(found[0].document(), HasSubstr("10.32.3.202/32"));
}

TEST_F(DoctorTest, FindsAgentsThatRefuseHangOrAreLost) {
  v1::ResourceState* refused = agents_[0].add_resources();
  refused->set_type("WorkloadBundle");
  refused->set_refused_version("abc");
  refused->set_error("port 80 is taken");
  agents_[1].set_lag_us(31'000'000);
  lost_ = {"shop/api"};
  const auto found = Examine({});
  ASSERT_THAT(Rules(found), ElementsAre("agent-refused", "agent-lost", "agent-lost"));
  EXPECT_THAT(found[0].evidence(0), HasSubstr("port 80 is taken"));
  EXPECT_THAT(found[0].commands(), ElementsAre("whencectl diff 3", "whencectl rollback 3"));
  EXPECT_EQ(found[1].workload(), "shop/api");
  EXPECT_THAT(found[2].evidence(0), HasSubstr("31 s ago"));
}

}  // namespace
}  // namespace whence::insight
