// The real programs end to end: what an operator relies on when things are changed, killed and
// restarted.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/lab/article.h"
#include "tests/lab/documents.h"
#include "tests/lab/lab.h"
#include "tests/lab/mesh.h"
#include "tests/lab/network.h"
#include "tests/lab/programs.h"

namespace whence::lab {
namespace {

size_t Occurrences(const std::string& text, const std::string& words) {
  size_t count = 0;
  for (size_t at = text.find(words); at != std::string::npos; at = text.find(words, at + 1)) {
    ++count;
  }
  return count;
}

// One lab a test: no test sees what another has left.
class MeshTest : public ::testing::Test {
 protected:
  void Begin(Interception interception, bool mutual_tls = false, bool containers = false) {
    auto lab = Lab::Create(Lab::UniqueName("e2e"));
    ASSERT_TRUE(lab.ok()) << lab.status();
    lab_ = *std::move(lab);
    ASSERT_EQ(BuildNetwork(*lab_), absl::OkStatus());
    mesh_.emplace(*lab_, /*detached=*/false);
    if (mutual_tls) {
      ASSERT_EQ(mesh_->UseMutualTls(), absl::OkStatus());
    }
    if (containers) mesh_->UseContainers();
    ASSERT_EQ(mesh_->Start(interception), absl::OkStatus());
  }

  void TearDown() override {
    if (!HasFailure() || !mesh_) return;
    for (const char* name : {"control-plane", "agent-gateway", "agent-echo", "agent-node54"}) {
      std::string log = ReadFile(lab_->directory() + "/" + name + ".log");
      if (log.size() > 4000) log = log.substr(log.size() - 4000);
      std::printf("---- %s\n%s\n", name, log.c_str());
    }
  }

  // The status of a request from outside; 0 with the error printed when there is no answer.
  int Status(const std::string& path, const Headers& headers = {}) {
    const auto answer =
        Ask(lab_->Space("client"), kLoadBalancer.v4, 80, {.target = path, .headers = headers});
    if (!answer.ok()) std::printf("%s: %s\n", path.c_str(), answer.status().ToString().c_str());
    return answer.ok() ? answer->status : 0;
  }

  // How many records there are of that path, by role; -1 when the log cannot be read.
  int Count(const std::string& path, const std::string& role) {
    const CommandResult result = mesh_->Sql(absl::StrCat(
        "select count(*) from access_log where path = '", path, "' and role = '", role, "'"));
    int count = -1;
    return result.ok() && absl::SimpleAtoi(result.out, &count) ? count : -1;
  }

  std::unique_ptr<Lab> lab_;
  std::optional<Mesh> mesh_;
};

TEST_F(MeshTest, TheArticlesRowsPass) {
  Begin(Interception::kRedirect);
  const auto rows = RunArticle(*lab_, *mesh_, [](const ArticleRow&) {});
  EXPECT_EQ(rows.size(), 20u);
  for (const ArticleRow& row : rows) EXPECT_TRUE(row.pass()) << ToText(row);
}

// One line of /proc/PID/status.
std::string StatusOf(pid_t pid, const std::string& name) {
  const std::string text = ReadFile(absl::StrCat("/proc/", pid, "/status"));
  const size_t at = text.find("\n" + name + ":\t");
  if (at == std::string::npos) return "none";
  const size_t begin = at + name.size() + 3;
  return text.substr(begin, text.find('\n', begin) - begin);
}

// With no more rights than the manifests give: the user, one capability or none, and a root that
// cannot be written.
TEST_F(MeshTest, TheArticlesRowsPassInTheContainersOfTheManifests) {
  Begin(Interception::kTproxy, /*mutual_tls=*/false, /*containers=*/true);
  ASSERT_FALSE(HasFailure());
  constexpr char kNone[] = "0000000000000000", kNetRaw[] = "0000000000002000";
  for (Process* program : {&mesh_->sidecar(), &mesh_->gateway(), &mesh_->control_plane()}) {
    const pid_t pid = program->pid();
    const bool is_sidecar = program == &mesh_->sidecar();
    EXPECT_EQ(StatusOf(pid, "Uid").substr(0, 5), is_sidecar ? "0\t0\t0" : "15010");
    for (const char* set : {"CapEff", "CapPrm", "CapBnd"}) {
      EXPECT_EQ(StatusOf(pid, set), is_sidecar ? kNetRaw : kNone) << set;
    }
    EXPECT_EQ(StatusOf(pid, "CapAmb"), kNone);
    EXPECT_EQ(StatusOf(pid, "NoNewPrivs"), "1");
    const std::string root = absl::StrCat("/proc/", pid, "/root");
    // Even this test, which may all, cannot write there.
    for (const char* place :
         {"/x", "/etc/x", "/usr/x", "/var/lib/x", "/proc/sys/net/ipv4/ip_forward"}) {
      const CommandResult written = lab::Run({"sh", "-c", "echo 1 > " + root + place});
      EXPECT_NE(written.err.find("Read-only file system"), std::string::npos)
          << place << written.err;
    }
  }
  const auto rows = RunArticle(*lab_, *mesh_, [](const ArticleRow&) {});
  EXPECT_EQ(rows.size(), 20u);
  for (const ArticleRow& row : rows) EXPECT_TRUE(row.pass()) << ToText(row);
}

// Without its agent, and without a gateway to hand connections to, a node is as if Whence were not
// there: kube-proxy hides the client as it always did.
TEST_F(MeshTest, WhatANodeAgentCannotTakeIsKubeProxys) {
  Begin(Interception::kTproxy);
  const auto client = [&] {
    const auto answer = Ask(lab_->Space("client"), kLoadBalancer.v4, 80, {.target = "/node"});
    if (!answer.ok()) return std::string(answer.status().message());
    const auto seen = ParseSeen(*answer);
    return seen.ok() ? seen->Header("x-forwarded-for") : answer->body;
  };
  const auto node_listens = [&] {
    return lab_->Space("node54").Run({"ss", "-Hltn"}).out.find(":31380 ") != std::string::npos;
  };
  ASSERT_EQ(SetTrafficPolicy(*lab_, TrafficPolicy::kCluster), absl::OkStatus());
  ASSERT_EQ(client(), kNode54.v4);
  ASSERT_EQ(mesh_->StartNodeAgents(), absl::OkStatus());
  EXPECT_EQ(client(), kClient.v4);
  // Of a connection that the agent carries connection tracking knows nothing.
  EXPECT_EQ(lab_->Space("node54")
                .Run({"cat", "/proc/net/nf_conntrack"})
                .out.find("ESTABLISHED src=" + std::string(kClient.v4) + " dst=" + kNode54.v4),
            std::string::npos);

  mesh_->gateway().Stop();
  EXPECT_TRUE(WaitUntil([&] { return !node_listens(); }));
  ASSERT_EQ(mesh_->StartGateway(), absl::OkStatus());
  EXPECT_TRUE(WaitUntil(node_listens));
  EXPECT_EQ(client(), kClient.v4);
  mesh_->KillNodeAgents();
  EXPECT_EQ(client(), kNode54.v4);
}

TEST_F(MeshTest, APolicyPushedLiveDecidesAndStopsDeciding) {
  Begin(Interception::kTproxy);
  ASSERT_EQ(Status("/live"), 200);
  ASSERT_EQ(mesh_->Apply(kDenyPeer), absl::OkStatus());
  EXPECT_EQ(Status("/live"), 403);
  ASSERT_EQ(mesh_->Delete("AuthorizationPolicy", "istio-system", "deny-peer"), absl::OkStatus());
  EXPECT_EQ(Status("/live"), 200);
}

TEST_F(MeshTest, TcpConnectionsShowTheClientAndAreJudgedAgain) {
  Begin(Interception::kTproxy);
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    auto connection = HttpConnection::Open(lab_->Space("sleep"), kEcho.address(family), 9000);
    ASSERT_TRUE(connection.ok()) << connection.status();
    EXPECT_EQ(connection->ReadLine().value_or("").rfind("peer " + kSleep.address(family) + " ", 0),
              0u);
    ASSERT_EQ(connection->Send("hello\n"), absl::OkStatus());
    EXPECT_EQ(connection->ReadLine().value_or(""), "hello\n");
  }
  auto open = HttpConnection::Open(lab_->Space("sleep"), kEcho.v4, 9000);
  ASSERT_TRUE(open.ok());
  ASSERT_EQ(open->ReadLine().value_or("").rfind("peer ", 0), 0u);
  ASSERT_EQ(mesh_->Apply(R"(
apiVersion: whence.dev/v1
kind: IpPolicy
metadata: {name: no-sleep, namespace: default}
spec:
  selector: {matchLabels: {app: echo}}
  action: DENY
  rules: [{from: [{source: {ipBlocks: [10.32.3.202]}}]}]
)"),
            absl::OkStatus());
  // What is newly denied is closed, by reset.
  const auto end = open->ReadLine();
  EXPECT_NE(end.status().message().find("reset"), absl::string_view::npos) << end.status();
  auto denied = HttpConnection::Open(lab_->Space("sleep"), kEcho.v4, 9000);
  EXPECT_FALSE(denied.ok() && denied->ReadLine().value_or("").rfind("peer ", 0) == 0);
}

// The gateway relays the client's bytes, and the sidecar believes the gateway: but not those bytes.
TEST_F(MeshTest, ARequestThroughATcpGatewayCannotNameItsClient) {
  Begin(Interception::kTproxy);
  ASSERT_EQ(mesh_->Apply(R"(
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: echo, namespace: default}
spec:
  hosts: ["*"]
  gateways: [istio-system/edge]
  tcp:
  - match: [{port: 9000}]
    route:
    - destination: {host: echo.default.svc.cluster.local, port: {number: 80}}
)"),
            absl::OkStatus());
  const auto answer =
      Ask(lab_->Space("client"), kLoadBalancer.v4, 9000,
          {.target = "/forged",
           .headers = {{"x-whence-client", "1.1.1.1"}, {"X-Forwarded-For", "2.2.2.2"}}});
  ASSERT_TRUE(answer.ok()) << answer.status();
  const auto seen = ParseSeen(*answer);
  ASSERT_TRUE(seen.ok()) << seen.status();
  EXPECT_FALSE(seen->Has("x-whence-client"));
  const auto logs = mesh_->Logs("/forged", 1);
  ASSERT_TRUE(logs.ok()) << logs.status();
  EXPECT_EQ(logs->front().role, "sidecar");
  EXPECT_EQ(logs->front().client, kClient.v4);
  EXPECT_EQ(logs->front().reason, "proxy-protocol");
  EXPECT_EQ(logs->front().peer, kGateway.v4);
}

TEST_F(MeshTest, TheControlPlaneMayDieAndComeBack) {
  constexpr int kEach = 20;
  Begin(Interception::kTproxy);
  ASSERT_EQ(mesh_->Apply(kTwoTrustedProxies), absl::OkStatus());
  ASSERT_EQ(mesh_->Apply(kDenyClient), absl::OkStatus());
  const Headers denied = {{"X-Forwarded-For", "1.1.1.1,2.2.2.2,3.3.3.3"}};
  const auto ask = [&] {
    for (int i = 0; i < kEach; ++i) {
      ASSERT_EQ(Status("/survive"), 200);
      ASSERT_EQ(Status("/denied", denied), 403);
    }
  };
  ask();
  mesh_->control_plane().Kill();
  // Traffic and policy go on without it.
  ask();
  const auto configurations = [&] {
    return Occurrences(mesh_->gateway().Output(), "running configuration") +
           Occurrences(mesh_->sidecar().Output(), "running configuration");
  };
  const size_t configurations_before = configurations();
  ASSERT_EQ(mesh_->StartControlPlane(), absl::OkStatus());
  ASSERT_EQ(mesh_->WaitForAgents(mesh_->Revision()), absl::OkStatus());
  ask();
  // Nothing had changed, so nothing was sent.
  EXPECT_EQ(configurations(), configurations_before);
  // Nothing is lost …
  EXPECT_TRUE(WaitUntil([&] {
    return Count("/survive", "gateway") >= 3 * kEach && Count("/survive", "sidecar") >= 3 * kEach &&
           Count("/denied", "gateway") >= 3 * kEach;
  }));
  // … and nothing doubled: what is sent after it is there, so what was to come has come.
  ASSERT_EQ(Status("/last"), 200);
  ASSERT_TRUE(mesh_->Logs("/last", 2).ok());
  EXPECT_EQ(Count("/survive", "gateway"), 3 * kEach);
  EXPECT_EQ(Count("/survive", "sidecar"), 3 * kEach);
  EXPECT_EQ(Count("/denied", "gateway"), 3 * kEach);
  EXPECT_EQ(Count("/denied", "sidecar"), 0);
  // It is the same control plane: its documents are there and it still takes new ones.
  ASSERT_EQ(mesh_->Delete("AuthorizationPolicy", "istio-system", "deny-client"), absl::OkStatus());
  EXPECT_EQ(Status("/denied", denied), 200);
}

TEST_F(MeshTest, AnAgentThatCannotUseItsConfigurationSaysSoAndKeepsTheOldOne) {
  Begin(Interception::kTproxy);
  // A port that the gateway cannot open, since another program has it.
  auto other = Process::Start({.command = {ProgramPath("whence-echo"), "--http", "8088"},
                               .netns = lab_->Space("gateway").path(),
                               .output = lab_->directory() + "/other"});
  ASSERT_TRUE(other.ok());
  ASSERT_TRUE(WaitUntil([&] { return other->Output().find("ready") != std::string::npos; }));
  const CommandResult applied = mesh_->Ctl({"apply", "-f", "-"}, R"(
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: second, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 8088, name: http, protocol: HTTP}
    hosts: ["*"]
)");
  ASSERT_TRUE(applied.ok()) << applied.err;
  std::string error;
  EXPECT_TRUE(WaitUntil([&] {
    for (const auto& agent : mesh_->Agents()) {
      for (const auto& resource : agent.value("resources", nlohmann::json::array())) {
        error = resource.value("error", "");
        if (!error.empty()) return true;
      }
    }
    return false;
  }));
  EXPECT_NE(error.find("8088"), std::string::npos) << error;
  const CommandResult table = mesh_->Ctl({"agents"});
  EXPECT_NE(table.out.find("istio-ingressgateway refused"), std::string::npos) << table.out;
  // The last good configuration goes on.
  EXPECT_EQ(Status("/still"), 200);
}

// Everything in the echo pod that an installation may touch.
std::string Snapshot(const Namespace& pod) {
  std::string all;
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"nft", "list", "ruleset"},
                                             {"ip", "rule"},
                                             {"ip", "-6", "rule"},
                                             {"ip", "route", "show", "table", "133"},
                                             {"ip", "-6", "route", "show", "table", "133"},
                                             {"ip", "address"},
                                             {"sysctl", "-a", "--pattern", "fwmark|rp_filter"}}) {
    all += pod.Run(command).out;
  }
  return all;
}

TEST_F(MeshTest, AKilledAgentMeansNoConnectionsUntilItIsBackOrTheRulesAreGone) {
  Begin(Interception::kTproxy);
  const Namespace pod = lab_->Space("echo");
  const std::string agent = ProgramPath("whence-agent");
  const auto reach = [&](std::chrono::milliseconds patience) {
    return Ask(lab_->Space("sleep"), kEcho.v4, 8080, {.target = "/killed"}, patience).status();
  };
  ASSERT_EQ(reach(kPatience), absl::OkStatus());
  mesh_->sidecar().Kill();
  // Silence: neither the application nor a refusal. The SYN's first repetition, after a second, is
  // within this.
  EXPECT_EQ(reach(std::chrono::milliseconds(1500)).code(), absl::StatusCode::kDeadlineExceeded);
  const CommandResult check = lab::Run({agent, "intercept", "check", "--netns", pod.name()});
  EXPECT_EQ(check.exit_code, 1);
  EXPECT_NE(check.out.find("nobody listens on port 15006"), std::string::npos) << check.out;
  ASSERT_EQ(mesh_->StartSidecar(Interception::kTproxy), absl::OkStatus());
  EXPECT_EQ(reach(kPatience), absl::OkStatus());
  EXPECT_EQ(lab::Run({agent, "intercept", "check", "--netns", pod.name()}).exit_code, 0);

  mesh_->sidecar().Kill();
  const std::vector<std::string> install = {agent, "intercept", "install", "--netns", pod.name()};
  const std::vector<std::string> remove = {agent, "intercept", "remove", "--netns", pod.name()};
  ASSERT_EQ(RunOk(remove), absl::OkStatus());
  const std::string before = Snapshot(pod);
  EXPECT_EQ(before.find("table inet whence"), std::string::npos);
  EXPECT_NE(before.find("net.ipv4.tcp_fwmark_accept = 0"), std::string::npos) << before;
  ASSERT_EQ(RunOk(install), absl::OkStatus());
  const std::string once = Snapshot(pod);
  ASSERT_EQ(RunOk(install), absl::OkStatus());
  EXPECT_EQ(Snapshot(pod), once);
  ASSERT_EQ(RunOk(remove), absl::OkStatus());
  EXPECT_EQ(Snapshot(pod), before);
  // Without rules the application is an application like any other.
  EXPECT_EQ(reach(kPatience), absl::OkStatus());
}

// The opposite choice: without the agent the application is reachable, directly and without policy.
TEST_F(MeshTest, AKilledAgentMeansNoPolicyWhereBypassWasChosen) {
  Begin(Interception::kTproxy);
  const Namespace pod = lab_->Space("echo");
  ASSERT_EQ(mesh_->Apply(R"(
apiVersion: whence.dev/v1
kind: IpPolicy
metadata: {name: no-sleep, namespace: default}
spec:
  selector: {matchLabels: {app: echo}}
  action: DENY
  rules: [{from: [{source: {ipBlocks: [10.32.3.202, "fd00:10:32:3::202"]}}]}]
)"),
            absl::OkStatus());
  // "403" by the agent, or the peer that the application sees.
  const auto seen = [&](Family family) {
    const auto answer =
        Ask(lab_->Space("sleep"), kEcho.address(family), 8080, {.target = "/bypass"}, kPatience);
    if (!answer.ok()) return std::string(answer.status().message());
    if (answer->status != 200) return absl::StrCat(answer->status);
    const auto echoed = ParseSeen(*answer);
    return echoed.ok() ? echoed->peer : answer->body;
  };
  ASSERT_EQ(RunOk({ProgramPath("whence-agent"), "intercept", "install", "--netns", pod.name(),
                   "--on-exit", "bypass"}),
            absl::OkStatus());
  EXPECT_EQ(seen(Family::kIpv4), "403");
  mesh_->sidecar().Kill();
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    EXPECT_EQ(seen(family), kSleep.address(family));
  }
  ASSERT_EQ(mesh_->StartSidecar(Interception::kTproxy), absl::OkStatus());
  EXPECT_EQ(seen(Family::kIpv4), "403");
}

TEST_F(MeshTest, ServesAgentsOverMutualTlsAndRefusesOneWithAnothersCertificate) {
  Begin(Interception::kTproxy, /*mutual_tls=*/true);
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(Status("/secured"), 200);
  // Operators: one may look, the other may change things, over the same port as the agents.
  auto as = [this](const std::string& who, std::vector<std::string> args, const std::string& in) {
    std::vector<std::string> command = {ProgramPath("whencectl"), "--control-plane",
                                        mesh_->control_address()};
    const std::vector<std::string> tls = mesh_->TlsFlags(who);
    command.insert(command.end(), tls.begin(), tls.end());
    command.insert(command.end(), args.begin(), args.end());
    return lab_->Space(kControl.name).Run(command, in);
  };
  const std::string set =
      "apiVersion: whence.dev/v1\nkind: IpSet\nmetadata: {name: s}\nspec: {cidrs: [10.9.0.0/16]}\n";
  const CommandResult viewer = as("operator-ana", {"apply", "-f", "-"}, set);
  EXPECT_EQ(viewer.exit_code, 1);
  EXPECT_NE(viewer.err.find("is for editors"), std::string::npos) << viewer.err;
  EXPECT_EQ(as("operator-eve", {"apply", "-f", "-"}, set).exit_code, 0);
  // The sidecar again, with a certificate that is good, but another workload's.
  mesh_->sidecar().Stop();
  std::vector<std::string> command = {ProgramPath("whence-agent"),
                                      "run",
                                      "--control-plane",
                                      mesh_->control_address(),
                                      "--namespace",
                                      "default",
                                      "--name",
                                      "echo",
                                      "--labels",
                                      "app=echo",
                                      "--workers",
                                      "1"};
  const std::vector<std::string> tls = mesh_->TlsFlags("agent-default-other");
  command.insert(command.end(), tls.begin(), tls.end());
  auto impostor = Process::Start({.command = command,
                                  .netns = lab_->Space(kEcho.name).path(),
                                  .output = lab_->directory() + "/impostor.log"});
  ASSERT_TRUE(impostor.ok()) << impostor.status();
  std::string refusals;
  EXPECT_TRUE(WaitUntil([&] {
    refusals = as("operator-ana", {"refusals"}, "").out;
    return refusals.find("node.id is \"default/echo\"") != std::string::npos;
  })) << refusals
      << impostor->Output();
  EXPECT_NE(refusals.find("spiffe://whence.local/ns/default/workload/other"), std::string::npos);
  EXPECT_NE(refusals.find("is for editors"), std::string::npos) << refusals;
  for (const auto& agent : mesh_->Agents()) EXPECT_NE(agent["name"], "echo") << agent;
}

}  // namespace
}  // namespace whence::lab
