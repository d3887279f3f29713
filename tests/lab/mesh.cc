#include "tests/lab/mesh.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/lab/documents.h"
#include "tests/lab/programs.h"

namespace whence::lab {
namespace {

using Json = nlohmann::json;

// What `kubectl apply` would be given, but for its image.
constexpr char kEchoPod[] = R"({"apiVersion": "v1", "kind": "Pod",
  "metadata": {"name": "echo", "namespace": "default", "labels": {"app": "echo"}},
  "spec": {"containers": [{"name": "echo", "image": "whence-echo"}]}})";

constexpr char kTproxyName[] = "tproxy";
constexpr char kRedirectName[] = "redirect";

const char* NameOf(Interception interception) {
  return interception == Interception::kTproxy ? kTproxyName : kRedirectName;
}

// 64-bit numbers are strings in protobuf's JSON.
uint64_t NumberOf(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return 0;
  if (found->is_number()) return *found;
  uint64_t number = 0;
  return absl::SimpleAtoi(found->get<std::string>(), &number) ? number : 0;
}

std::string TextOf(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

// The end of a log, for a message that has to explain why something did not come up.
std::string Tail(const std::string& text) {
  return text.size() <= 2000 ? text : "…" + text.substr(text.size() - 2000);
}

}  // namespace

absl::StatusOr<Process> Mesh::Launch(const std::string& name, const Host& host,
                                     const std::vector<std::string>& command) const {
  return Process::Start({.command = command,
                         .netns = lab_.Space(host.name).path(),
                         .output = lab_.directory() + "/" + name + ".log",
                         .detached = detached_});
}

absl::Status Mesh::UseMutualTls() {
  mutual_tls_ = true;
  const std::string dir = lab_.directory() + "/ca";
  const std::string ctl = ProgramPath("whencectl");
  absl::Status status = RunOk({ctl, "certs", "init", "--dir", dir});
  for (const std::vector<std::string>& who : std::vector<std::vector<std::string>>{
           {"control-plane", "main", "--address", kControl.v4},
           {"agent", "istio-system/istio-ingressgateway", "--role", "gateway"},
           {"agent", "default/echo"},
           {"agent", "default/other"},
           {"operator", "ana", "--access", "viewer"},
           {"operator", "eve", "--access", "editor"}}) {
    std::vector<std::string> command = {ctl, "certs", "issue", "--dir", dir};
    command.insert(command.end(), who.begin(), who.end());
    if (status.ok()) status = RunOk(command);
  }
  return status;
}

std::vector<std::string> Mesh::TlsFlags(const std::string& certificate) const {
  const std::string dir = lab_.directory() + "/ca/";
  return {"--ca",   dir + "ca.crt",
          "--cert", dir + certificate + ".crt",
          "--key",  dir + certificate + ".key"};
}

absl::Status Mesh::StartControlPlane() {
  std::vector<std::string> command = {ProgramPath("whence-control"),
                                      "--data-dir",
                                      lab_.directory() + "/control-plane",
                                      "--http",
                                      "127.0.0.1:15014",
                                      "--listen"};
  if (mutual_tls_) {
    const std::vector<std::string> tls = TlsFlags("control-plane-main");
    command.insert(command.end(), {"127.0.0.1:15010", "--listen-tls", ":15012"});
    command.insert(command.end(), tls.begin(), tls.end());
  } else {
    command.insert(command.end(), {"0.0.0.0:15010", "--insecure-bind"});
  }
  auto process = Launch("control-plane", kControl,
                        Contain(lab_.directory() + "/control-plane", 15010, {}, command));
  if (!process.ok()) return process.status();
  control_plane_ = *std::move(process);
  const bool up = WaitUntil([&] {
    if (!control_plane_->IsRunning()) return true;
    auto fd = lab_.Space(kControl.name)
                  .Connect(kControl.v4, mutual_tls_ ? 15012 : 15010, std::chrono::seconds(1));
    if (fd.ok()) close(*fd);
    return fd.ok();
  });
  if (!up || !control_plane_->IsRunning()) {
    return absl::UnavailableError("whence-control did not come up: " +
                                  Tail(control_plane_->Output()));
  }
  return absl::OkStatus();
}

absl::StatusOr<Process> Mesh::StartAgent(const std::string& name, const Host& host,
                                         const std::vector<std::string>& flags) const {
  const Host& node = host.node == nullptr                          ? host
                     : std::string_view(host.node) == kNode53.name ? kNode53
                                                                   : kNode54;
  std::vector<std::string> command = {ProgramPath("whence-agent"),
                                      "run",
                                      "--control-plane",
                                      control_address(),
                                      "--pod-ip",
                                      absl::StrCat(host.v4, ",", host.v6),
                                      "--host-ip",
                                      node.v4,
                                      "--state-dir",
                                      lab_.directory() + "/agent-" + name,
                                      "--workers",
                                      "1"};
  command.insert(command.end(), flags.begin(), flags.end());
  if (mutual_tls_) {
    const std::vector<std::string> tls = TlsFlags(
        name == "gateway" ? "agent-istio-system-istio-ingressgateway" : "agent-default-echo");
    command.insert(command.end(), tls.begin(), tls.end());
  }
  // As deploy/kubernetes has them: a gateway needs no capability, a node agent one that only root gets.
  const bool is_gateway = name == "gateway";
  command = Contain(lab_.directory() + "/agent-" + name, is_gateway ? 15010 : 0,
                    is_gateway ? std::vector<std::string>{} : std::vector<std::string>{"NET_RAW"},
                    command);
  return AwaitReady(Launch("agent-" + name, host, command), host);
}

absl::StatusOr<Process> Mesh::AwaitReady(absl::StatusOr<Process> process, const Host& host) const {
  if (!process.ok()) return process.status();
  const bool ready = WaitUntil([&] {
    if (!process->IsRunning()) return true;
    auto answer = Ask(lab_.Space(host.name), "127.0.0.1", 15021, {.target = "/healthz/ready"},
                      std::chrono::seconds(1));
    return answer.ok() && answer->status == 200;
  });
  if (!ready || !process->IsRunning()) {
    return absl::UnavailableError(
        absl::StrCat("the agent of ", host.name, " is not ready: ", Tail(process->Output())));
  }
  return process;
}

std::vector<std::string> Mesh::Contain(const std::string& state, int uid,
                                       const std::vector<std::string>& capabilities,
                                       const std::vector<std::string>& command) const {
  if (!containers_) return command;
  Container container{.args = {command.begin() + 1, command.end()},
                      .uid = uid,
                      .gid = 15010,
                      .capabilities = capabilities,
                      .has_tmp = state == lab_.directory() + "/control-plane"};
  std::replace(container.args.begin(), container.args.end(), state, std::string("/var/lib/whence"));
  return ContainerCommand(container, command[0], state + "-root", state);
}

absl::Status Mesh::Inject(Interception interception) {
  const CommandResult injected =
      Run({ProgramPath("whencectl"), "inject", "-f", "-", "--agent-control-plane",
           control_address(), "--certs-secret", "", "--mode", NameOf(interception)},
          "", kEchoPod);
  pod_ = Json::parse(injected.out, nullptr, /*allow_exceptions=*/false);
  if (!injected.ok() || !pod_.is_object()) {
    return absl::InternalError("whencectl inject: " + injected.err + injected.out);
  }
  // The kubelet's part.
  const Json sysctls = pod_["spec"].value("/securityContext/sysctls"_json_pointer, Json::array());
  for (const Json& sysctl : sysctls) {
    const absl::Status set = lab_.Space(kEcho.name).Sysctl(sysctl["name"], sysctl["value"]);
    if (!set.ok()) return set;
  }
  const auto init = InjectedContainer("whence-init");
  if (!init.ok()) return init.status();
  return RunOk(ContainerCommand(*init, ProgramPath("whence-agent"), lab_.directory() + "/root-init",
                                lab_.directory() + "/init"),
               lab_.Space(kEcho.name).path());
}

absl::StatusOr<Container> Mesh::InjectedContainer(const std::string& container) const {
  return ReadContainer(
      pod_, container,
      {{"metadata.name", "echo"},
       {"metadata.namespace", "default"},
       {"status.podIPs", absl::StrCat(kEcho.v4, ",", kEcho.v6)},
       {"status.hostIP", kEcho.node == nullptr                          ? ""
                         : std::string_view(kEcho.node) == kNode53.name ? kNode53.v4
                                                                        : kNode54.v4}});
}

absl::Status Mesh::StartGateway() {
  if (containers_) {
    const absl::Status set =
        lab_.Space(kGateway.name).Sysctl("net.ipv4.ip_unprivileged_port_start", "0");
    if (!set.ok()) return set;
  }
  auto process = StartAgent(
      "gateway", kGateway,
      {"--role", "gateway", "--namespace", "istio-system", "--name", "istio-ingressgateway",
       "--labels", "app=istio-ingressgateway,istio=ingressgateway", "--interception", "none"});
  if (!process.ok()) return process.status();
  gateway_ = *std::move(process);
  return absl::OkStatus();
}

absl::Status Mesh::StartNodeAgents() {
  for (const Host& node : {kNode53, kNode54}) {
    const Namespace space = lab_.Space(node.name);
    const std::vector<std::string> install =
        Contain(lab_.directory() + "/init-" + node.name, 0, {"NET_ADMIN"},
                {ProgramPath("whence-agent"), "intercept", "install", "--mode", "node"});
    if (absl::Status s = RunOk(install, space.path()); !s.ok()) return s;
    auto process = StartAgent(
        node.name, node, {"--role", "node", "--namespace", "whence-system", "--name", node.name});
    if (!process.ok()) return process.status();
    node_agents_.push_back(*std::move(process));
    const bool listens = WaitUntil([&] {
      const std::string sockets = space.Run({"ss", "-Hltn"}).out;
      for (const PublishedPort& port : kPublished) {
        for (const char* loopback : {"127.0.0.1:", "[::1]:"}) {
          if (sockets.find(absl::StrCat(loopback, port.node_port)) == std::string::npos)
            return false;
        }
      }
      return true;
    });
    if (!listens) {
      return absl::DeadlineExceededError(
          absl::StrCat("the agent of ", node.name,
                       " takes no node ports: ", Tail(node_agents_.back().Output())));
    }
  }
  return WaitForAgents(revision_, 4);
}

void Mesh::KillNodeAgents() {
  for (Process& agent : node_agents_) agent.Kill();
  node_agents_.clear();
}

absl::Status Mesh::StartSidecar(Interception interception) {
  if (containers_) {
    const auto container = InjectedContainer("whence-agent");
    if (!container.ok()) return container.status();
    auto process = AwaitReady(
        Launch("agent-echo", kEcho,
               ContainerCommand(*container, ProgramPath("whence-agent"),
                                lab_.directory() + "/root-echo", lab_.directory() + "/agent-echo")),
        kEcho);
    if (!process.ok()) return process.status();
    sidecar_ = *std::move(process);
    return absl::OkStatus();
  }
  auto process = StartAgent("echo", kEcho,
                            {"--role", "sidecar", "--namespace", "default", "--name", "echo",
                             "--labels", "app=echo", "--interception", NameOf(interception)});
  if (!process.ok()) return process.status();
  sidecar_ = *std::move(process);
  return absl::OkStatus();
}

absl::Status Mesh::Intercept(Interception interception, const std::vector<std::string>& flags) {
  if (sidecar_) sidecar_->Stop();
  const std::string netns = lab_.Space(kEcho.name).name();
  const std::string agent = ProgramPath("whence-agent");
  absl::Status status = RunOk({agent, "intercept", "remove", "--netns", netns});
  std::vector<std::string> install = {agent, "intercept", "install",           "--netns",
                                      netns, "--mode",    NameOf(interception)};
  install.insert(install.end(), flags.begin(), flags.end());
  if (status.ok()) status = containers_ ? Inject(interception) : RunOk(install);
  if (status.ok()) status = StartSidecar(interception);
  if (status.ok()) status = RunOk({agent, "intercept", "check", "--netns", netns});
  if (status.ok()) status = WaitForAgents(revision_);
  if (status.ok()) status = WaitForRoute();
  return status;
}

absl::Status Mesh::StartApplications() {
  auto echo =
      Launch("echo", kEcho, {ProgramPath("whence-echo"), "--http", "8080", "--tcp", "9000"});
  if (!echo.ok()) return echo.status();
  echo_ = *std::move(echo);
  const bool ready = WaitUntil([&] { return echo_->Output().find("ready") != std::string::npos; });
  return ready ? absl::OkStatus()
               : absl::UnavailableError("whence-echo did not come up: " + echo_->Output());
}

absl::Status Mesh::Start(Interception interception) {
  absl::Status status = StartApplications();
  if (status.ok()) status = StartControlPlane();
  if (!status.ok()) return status;
  // Before there are agents: they come up with routes, and `Apply` waits for none.
  const CommandResult applied = Ctl({"apply", "-f", "-", "-o", "json"}, kRouteDocuments);
  if (!applied.ok()) return absl::InternalError("whencectl apply: " + applied.err);
  status = StartGateway();
  if (status.ok()) status = Intercept(interception);
  return status;
}

CommandResult Mesh::Ctl(const std::vector<std::string>& args, const std::string& input) const {
  std::vector<std::string> command = {ProgramPath("whencectl"), "--control-plane",
                                      mutual_tls_ ? "127.0.0.1:15010" : control_address()};
  command.insert(command.end(), args.begin(), args.end());
  return lab_.Space(kControl.name).Run(command, input);
}

absl::Status Mesh::WaitForCommit(const CommandResult& result) {
  if (!result.ok()) return absl::InternalError("whencectl: " + result.err + result.out);
  const Json json = Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return absl::InternalError("whencectl: no JSON: " + result.out);
  const uint64_t revision = NumberOf(json, "revision");
  if (revision != 0) revision_ = revision;  // 0: there was nothing to change
  return WaitForAgents(revision_);
}

absl::Status Mesh::Apply(const std::string& yaml) {
  return WaitForCommit(Ctl({"apply", "-f", "-", "-o", "json"}, yaml));
}

absl::Status Mesh::Delete(const std::string& kind, const std::string& name_space,
                          const std::string& name) {
  return WaitForCommit(Ctl({"delete", kind, name, "-n", name_space, "-o", "json"}));
}

nlohmann::json Mesh::Agents() const {
  const CommandResult result = Ctl({"agents", "-o", "json"});
  const Json json = Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
  return result.ok() && json.contains("agents") ? json["agents"] : Json();
}

absl::Status Mesh::WaitForAgents(uint64_t revision, size_t count) const {
  Json agents;
  const bool settled = WaitUntil([&] {
    agents = Agents();
    if (!agents.is_array() || agents.size() < count) return false;
    for (const Json& agent : agents) {
      if (NumberOf(agent, "ackedRevision") < revision) return false;
    }
    return true;
  });
  return settled ? absl::OkStatus()
                 : absl::DeadlineExceededError(absl::StrCat("not every agent runs revision ",
                                                            revision, ": ", agents.dump()));
}

absl::Status Mesh::WaitForRoute() const {
  std::string last;
  const bool routed = WaitUntil([&] {
    const auto answer = Ask(lab_.Space(kClient.name), kLoadBalancer.v4, 80, {.target = "/probe"});
    last = answer.ok() ? absl::StrCat("status ", answer->status, ": ", answer->body)
                       : std::string(answer.status().message());
    return answer.ok() && answer->status == 200;
  });
  return routed ? absl::OkStatus()
                : absl::DeadlineExceededError("no request comes through the gateway: " + last);
}

CommandResult Mesh::Sql(const std::string& query, bool json) const {
  std::vector<std::string> command = {"sqlite3", "-cmd", ".timeout 5000"};
  if (json) command.push_back("-json");
  command.push_back(logs_db());
  command.push_back(query);
  return Run(command);
}

// Paths and addresses are ours and hold no quote.
absl::StatusOr<std::vector<LogRow>> Mesh::Logs(const std::string& path, size_t count) const {
  return LogsWhere(absl::StrCat("path = '", path, "'"), count);
}

std::string Mesh::Now() {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", absl::Now(), absl::UTCTimeZone());
}

absl::StatusOr<std::vector<LogRow>> Mesh::TcpLogs(const std::string& client,
                                                  const std::string& ports,
                                                  const std::string& since, size_t count) const {
  return LogsWhere(
      absl::StrCat("protocol = 'tcp' and client_address = '", client, "' and destination_port in (",
                   ports, ") and time >= '", since, "'"),
      count);
}

absl::StatusOr<std::vector<LogRow>> Mesh::LogsWhere(const std::string& condition,
                                                    size_t count) const {
  const std::string query = absl::StrCat(
      "select role, namespace || '/' || workload as workload, client_address, client_reason, "
      "direct_peer, status, decision, policy from access_log where ",
      condition, " order by role, time");
  std::string last;
  Json rows;
  const bool complete = WaitUntil([&] {
    const CommandResult result = Sql(query, /*json=*/true);
    last = result.out + result.err;
    rows = Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
    return result.ok() && rows.is_array() && rows.size() >= count;
  });
  if (!complete) {
    return absl::DeadlineExceededError(
        absl::StrCat("the access log has not ", count, " records with ", condition, ": ", last));
  }
  std::vector<LogRow> out;
  for (const Json& row : rows) {
    out.push_back({TextOf(row, "role"), TextOf(row, "workload"), TextOf(row, "client_address"),
                   TextOf(row, "client_reason"), TextOf(row, "direct_peer"),
                   TextOf(row, "decision"), TextOf(row, "policy"),
                   static_cast<int>(NumberOf(row, "status"))});
  }
  return out;
}

}  // namespace whence::lab
