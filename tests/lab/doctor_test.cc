// Each of the doctor's findings: provoked in the lab, found, mended by what it prints, and gone.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/lab/documents.h"
#include "tests/lab/lab.h"
#include "tests/lab/mesh.h"
#include "tests/lab/network.h"
#include "tests/lab/programs.h"
#include "tests/lab/wait.h"

namespace whence::lab {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr char kGatewayId[] = "istio-system/istio-ingressgateway";
constexpr char kEchoId[] = "default/echo";

// One lab for all: building it takes longer than each of them.
class DoctorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto lab = Lab::Create(Lab::UniqueName("doc"));
    ASSERT_TRUE(lab.ok()) << lab.status();
    lab_ = *std::move(lab);
    ASSERT_EQ(BuildNetwork(*lab_), absl::OkStatus());
    mesh_.emplace(*lab_, /*detached=*/false);
    ASSERT_EQ(mesh_->Start(Interception::kRedirect), absl::OkStatus());
    mark_ = Clock::now();
  }

  int Get(const Headers& headers = {}) {
    const auto answer = Ask(lab_->Space(kClient.name), kLoadBalancer.v4, 80,
                            {.target = "/doctor", .headers = headers}, std::chrono::seconds(2));
    return answer.ok() ? answer->status : 0;
  }

  // What was recorded since the last thing that was done, and nothing older.
  CommandResult Examine(const std::string& output) {
    const auto age = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - mark_);
    return mesh_->Ctl(
        {"doctor", "--since", absl::StrCat(std::max<int64_t>(age.count(), 1), "s"), "-o", output});
  }

  // The finding of that rule about that workload, once there is one.
  Json Find(const std::string& rule, const std::string& workload,
            const std::function<void()>& traffic) {
    mark_ = Clock::now();
    Json found;
    const bool there = WaitUntil([&] {
      traffic();
      const CommandResult result = Examine("json");
      last_ = result.out + result.err;
      const Json report = Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
      if (result.exit_code != 1 || !report.contains("findings")) return false;
      for (const Json& finding : report["findings"]) {
        if (finding["rule"] == rule && finding["workload"] == workload) found = finding;
      }
      return !found.is_null();
    });
    EXPECT_TRUE(there) << rule << " was not found: " << last_;
    return found;
  }

  // The same traffic is there, and the finding is not any more.
  void ExpectGone(const std::string& rule, const std::function<void()>& traffic) {
    mark_ = Clock::now();
    const bool gone = WaitUntil([&] {
      traffic();
      const CommandResult result = Examine("json");
      last_ = result.out + result.err;
      const Json report = Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
      if (!report.contains("findings") || report.value("records", "0") == "0") return false;
      return std::none_of(report["findings"].begin(), report["findings"].end(),
                          [&](const Json& finding) { return finding["rule"] == rule; });
    });
    EXPECT_TRUE(gone) << rule << " is still there: " << last_;
  }

  static bool Advises(const Json& finding, const std::string& words) {
    if (finding.is_null()) return false;
    for (const Json& command : finding["commands"]) {
      if (command.get<std::string>().find(words) != std::string::npos) return true;
    }
    return false;
  }

  // Applies the document that the finding prints.
  void Follow(const Json& finding) {
    ASSERT_FALSE(finding.is_null());
    ASSERT_EQ(mesh_->Apply(finding["document"].get<std::string>()), absl::OkStatus()) << finding;
  }
  void DeleteTopology(const std::string& space, const std::string& name) {
    ASSERT_EQ(mesh_->Delete("TrustTopology", space, name), absl::OkStatus());
  }
  void ApplyEdge(const std::string& settings) {
    ASSERT_EQ(mesh_->Apply("apiVersion: whence.dev/v1\nkind: TrustTopology\n"
                           "metadata: {name: edge, namespace: istio-system}\n"
                           "spec:\n  selector: {matchLabels: {app: istio-ingressgateway}}\n  " +
                           settings + "\n"),
              absl::OkStatus());
  }

  void NodesAndRedirect();
  void Forwarding();
  void ProxyHeaders();
  void DisagreementAndSpoofing();
  void ExcludedPorts();
  void Agents();
  void RecordedAccesses();
  // `explain ARGS -o json`, read.
  Json Explain(std::vector<std::string> args, const std::string& input = "") {
    args.insert(args.begin(), "explain");
    args.insert(args.end(), {"-o", "json"});
    const CommandResult result = mesh_->Ctl(args, input);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
  }

  std::unique_ptr<Lab> lab_;
  std::optional<Mesh> mesh_;
  Clock::time_point mark_;
  std::string last_;
};

// Row 1 of the acceptance table, named.
void DoctorTest::NodesAndRedirect() {
  const auto plain = [&] { EXPECT_EQ(Get(), 200); };
  ASSERT_EQ(mesh_->Apply(R"(
apiVersion: whence.dev/v1
kind: Mesh
metadata: {name: mesh, namespace: istio-system}
spec: {nodeCidrs: [10.128.0.0/16]}
)"),
            absl::OkStatus());
  ASSERT_EQ(SetTrafficPolicy(*lab_, TrafficPolicy::kCluster), absl::OkStatus());
  const Json node = Find("client-is-node", kGatewayId, plain);
  EXPECT_TRUE(Advises(node, "kubectl -n istio-system patch service istio-ingressgateway")) << node;
  EXPECT_TRUE(Advises(node, "\"externalTrafficPolicy\":\"Local\"")) << node;
  const Json redirect = Find("redirect-hides-client", kEchoId, plain);
  EXPECT_EQ(redirect["recordCount"] == "0", false) << redirect;
  // The lab's nodes do what kube-proxy makes of that patch.
  ASSERT_EQ(SetTrafficPolicy(*lab_, TrafficPolicy::kLocal), absl::OkStatus());
  ExpectGone("client-is-node", plain);
  ASSERT_TRUE(Advises(redirect, "whence-agent intercept remove"));
  ASSERT_TRUE(Advises(redirect, "whence-agent intercept install --mode tproxy"));
  ASSERT_TRUE(Advises(redirect, "whence-agent run --interception tproxy"));
  ASSERT_EQ(mesh_->Intercept(Interception::kTproxy), absl::OkStatus());  // just these
  ExpectGone("redirect-hides-client", plain);
  const CommandResult healthy = Examine("table");
  EXPECT_EQ(healthy.exit_code, 0) << healthy.out;
  EXPECT_NE(healthy.out.find("nothing is wrong"), std::string::npos) << healthy.out;
}

void DoctorTest::Forwarding() {
  const auto proxied = [&] {
    EXPECT_EQ(Get({{"X-Forwarded-For", "1.1.1.1"}}), 200);
    EXPECT_EQ(Get({{"X-Forwarded-For", "2.2.2.2"}}), 200);
  };
  Follow(Find("forwarded-untrusted", kGatewayId, proxied));
  ExpectGone("forwarded-untrusted", proxied);
  DeleteTopology("istio-system", "istio-ingressgateway");

  ApplyEdge("numTrustedProxies: 3");
  Follow(Find("chain-too-short", kGatewayId, proxied));
  ExpectGone("chain-too-short", proxied);
  DeleteTopology("istio-system", "edge");
}

void DoctorTest::ProxyHeaders() {
  ApplyEdge(absl::StrCat("proxyProtocol: {accept: REQUIRED, from: {cidrs: [", kClient.v4, "]}}"));
  Follow(Find("proxy-header-missing", kGatewayId, [&] { EXPECT_EQ(Get(), 0); }));
  ExpectGone("proxy-header-missing", [&] { EXPECT_EQ(Get(), 200); });
  DeleteTopology("istio-system", "edge");

  std::string answer;
  const auto announce = [&] {
    auto connection = HttpConnection::Open(lab_->Space(kClient.name), kLoadBalancer.v4, 80);
    ASSERT_TRUE(connection.ok()) << connection.status();
    ASSERT_EQ(connection->Send("PROXY TCP4 198.51.100.7 10.0.0.1 1000 80\r\n"
                               "GET /doctor HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              absl::OkStatus());
    answer = connection->ReadLine().value_or("");
  };
  Follow(Find("proxy-header-unexpected", kGatewayId, announce));
  EXPECT_NE(answer.find(" 400 "), std::string::npos) << answer;
  ExpectGone("proxy-header-unexpected", announce);
  EXPECT_NE(answer.find(" 200 "), std::string::npos) << answer;
  DeleteTopology("istio-system", "istio-ingressgateway");
}

void DoctorTest::DisagreementAndSpoofing() {
  const auto plain = [&] { EXPECT_EQ(Get(), 200); };
  ASSERT_EQ(mesh_->Apply(R"(
apiVersion: whence.dev/v1
kind: TrustTopology
metadata: {name: echo, namespace: default}
spec: {selector: {matchLabels: {app: echo}}, trustMeshGateways: false}
)"),
            absl::OkStatus());
  Follow(Find("clients-disagree", kEchoId, plain));
  ExpectGone("clients-disagree", plain);

  int status = 0;
  const auto spoof = [&] {
    const auto answer = Ask(lab_->Space(kSleep.name), kEcho.v4, 8080,
                            {.target = "/doctor", .headers = {{"x-whence-client", "6.6.6.6"}}});
    status = answer.ok() ? answer->status : 0;
  };
  Follow(Find("spoof-attempts", kEchoId, spoof));
  ExpectGone("spoof-attempts", spoof);
  EXPECT_EQ(status, 403);
  ASSERT_EQ(mesh_->Delete("IpPolicy", "default", "echo-spoofers"), absl::OkStatus());
}

// A policy for the port of the application, which the packet rules leave out.
void DoctorTest::ExcludedPorts() {
  int status = 0;
  const auto past_the_gateway = [&] {
    const auto answer = Ask(lab_->Space(kSleep.name), kEcho.v4, 8080, {.target = "/doctor"});
    status = answer.ok() ? answer->status : 0;
  };
  ASSERT_EQ(mesh_->Apply(absl::StrCat(R"(
apiVersion: whence.dev/v1
kind: IpPolicy
metadata: {name: not-from-sleep, namespace: default}
spec:
  selector: {matchLabels: {app: echo}}
  action: DENY
  rules:
  - from: [{source: {ipBlocks: [)",
                                      kSleep.v4, R"(]}}]
    to: [{operation: {ports: ["8080"]}}]
)")),
            absl::OkStatus());
  past_the_gateway();
  ASSERT_EQ(status, 403);
  ASSERT_EQ(mesh_->Intercept(Interception::kTproxy, {"--exclude-inbound-ports", "22,8080"}),
            absl::OkStatus());
  const Json found = Find("excluded-ports", kEchoId, past_the_gateway);
  EXPECT_EQ(status, 200) << "the policy is not asked";
  ASSERT_TRUE(Advises(found, "whence-agent intercept remove")) << found;
  const std::string install = "whence-agent intercept install --mode tproxy";
  ASSERT_TRUE(Advises(found, install + " --exclude-inbound-ports 22")) << found;
  EXPECT_FALSE(Advises(found, "8080")) << found;
  ASSERT_EQ(mesh_->Intercept(Interception::kTproxy, {"--exclude-inbound-ports", "22"}),
            absl::OkStatus());  // just these
  ExpectGone("excluded-ports", past_the_gateway);
  EXPECT_EQ(status, 403);
  ASSERT_EQ(mesh_->Delete("IpPolicy", "default", "not-from-sleep"), absl::OkStatus());
}

void DoctorTest::Agents() {
  const auto plain = [&] { EXPECT_EQ(Get(), 200); };
  // A port that the gateway cannot open, since another program has it.
  auto other = Process::Start({.command = {ProgramPath("whence-echo"), "--http", "8088"},
                               .netns = lab_->Space(kGateway.name).path(),
                               .output = lab_->directory() + "/other"});
  ASSERT_TRUE(other.ok());
  ASSERT_TRUE(WaitUntil([&] { return other->Output().find("ready") != std::string::npos; }));
  ASSERT_TRUE(mesh_
                  ->Ctl({"apply", "-f", "-"}, R"(
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: second, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 8088, name: http, protocol: HTTP}
    hosts: ["*"]
)")
                  .ok());
  const Json refused = Find("agent-refused", kGatewayId, plain);
  ASSERT_FALSE(refused.is_null());
  const std::string rollback = refused["commands"].back();
  const std::string prefix = "whencectl rollback ";
  ASSERT_EQ(rollback.rfind(prefix, 0), 0u) << rollback;
  ASSERT_EQ(mesh_->Ctl({"rollback", rollback.substr(prefix.size())}).exit_code, 0);
  ExpectGone("agent-refused", plain);

  mesh_->sidecar().Kill();
  EXPECT_FALSE(Find("agent-lost", kEchoId, [] {}).is_null());
  ASSERT_EQ(mesh_->StartSidecar(Interception::kTproxy), absl::OkStatus());  // as it advises
  ASSERT_EQ(mesh_->WaitForRoute(), absl::OkStatus());
  ExpectGone("agent-lost", plain);
}

// One request, recorded by gateway and sidecar: explained again, and asked what a policy would do.
void DoctorTest::RecordedAccesses() {
  ASSERT_EQ(Ask(lab_->Space(kClient.name), kLoadBalancer.v4, 80, {.target = "/recorded"})->status,
            200);
  std::string lines;
  ASSERT_TRUE(WaitUntil([&] {
    lines = mesh_->Ctl({"logs", "--path", "/recorded", "-o", "json"}).out;
    return std::count(lines.begin(), lines.end(), '\n') == 2;
  }));
  const Json record = Json::parse(lines.substr(0, lines.find('\n')));
  const std::string id = record["request_id"];
  Json explained = Explain({"--from-log", id});
  ASSERT_EQ(explained["records"].size(), 2u) << explained;
  for (const Json& one : explained["records"]) {
    EXPECT_EQ(one["same"], true) << one;
    EXPECT_EQ(one["now"]["trustedClient"], kClient.v4);
  }
  EXPECT_EQ(explained["records"][0]["record"]["role"], "gateway");
  EXPECT_EQ(Explain({"--from-log", record["id"].dump()})["records"].size(), 1u);
  EXPECT_EQ(mesh_->Ctl({"explain", "--from-log", "no-such-id"}).exit_code, 1);

  const Json forecast = Explain({"--diff", "-"}, kDenyPeer);
  EXPECT_NE(forecast["newlyDenied"], "0") << forecast;
  EXPECT_EQ(forecast["groups"][0]["policy"], "istio-system/deny-peer") << forecast;
  const CommandResult text = mesh_->Ctl({"explain", "--diff", "-"}, kDenyPeer);
  EXPECT_EQ(text.out.rfind("would deny ", 0), 0u) << text.out;
  EXPECT_EQ(Get(), 200);  // nothing was applied

  const std::string before = absl::StrCat(mesh_->Revision());
  ASSERT_EQ(mesh_->Apply(kDenyPeer), absl::OkStatus());
  explained = Explain({"--from-log", id});
  EXPECT_EQ(explained["records"][0]["same"], false);
  EXPECT_EQ(explained["records"][0]["differences"][0], "decision was allow, is deny") << explained;
  EXPECT_EQ(explained["records"][1]["same"], true);
  explained = Explain({"--from-log", id, "--revision", before});
  EXPECT_EQ(explained["records"][0]["same"], true) << explained;
  ASSERT_EQ(mesh_->Delete("AuthorizationPolicy", "istio-system", "deny-peer"), absl::OkStatus());
}

TEST_F(DoctorTest, FindsWhatIsWrongAndItsAdviceMendsIt) {
  ASSERT_NO_FATAL_FAILURE(NodesAndRedirect());
  ASSERT_NO_FATAL_FAILURE(Forwarding());
  ASSERT_NO_FATAL_FAILURE(ProxyHeaders());
  ASSERT_NO_FATAL_FAILURE(DisagreementAndSpoofing());
  ASSERT_NO_FATAL_FAILURE(ExcludedPorts());
  ASSERT_NO_FATAL_FAILURE(RecordedAccesses());
  ASSERT_NO_FATAL_FAILURE(Agents());
  // All is mended.
  EXPECT_EQ(Examine("table").exit_code, 0) << Examine("table").out;
}

}  // namespace
}  // namespace whence::lab
