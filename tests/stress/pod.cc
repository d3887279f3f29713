#include "tests/stress/pod.h"

#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/lab/http.h"
#include "tests/lab/programs.h"

namespace whence::stress {
namespace {

constexpr char kPod[] = "10.32.1.205";
constexpr char kClient[] = "10.32.1.1";

// The port's protocol is declared, so that nobody waits to find it out.
constexpr char kService[] = R"(
apiVersion: v1
kind: Service
metadata: {name: app, namespace: default}
spec: {selector: {app: app}, ports: [{name: tcp, port: 9000, appProtocol: tcp}]}
)";
constexpr char kFallback[] = R"(
apiVersion: whence.dev/v1
kind: TrustTopology
metadata: {name: app, namespace: default}
spec:
  selector: {matchLabels: {app: app}}
  upstreamSource: {source: DIRECT_PEER, fallback: AGENT}
)";

}  // namespace

absl::StatusOr<std::unique_ptr<Pod>> Pod::Start(const std::string& source_ports) {
  auto lab = lab::Lab::Create(lab::Lab::UniqueName("ports"));
  if (!lab.ok()) return lab.status();
  std::unique_ptr<Pod> pod(new Pod(*std::move(lab)));
  absl::Status status = pod->Build();
  if (status.ok()) status = pod->StartAgent(source_ports);
  if (!status.ok()) return status;
  return pod;
}

absl::Status Pod::Build() {
  const lab::Namespace pod = lab_->Space("pod"), client = lab_->Space("client");
  absl::Status status = pod.Create(false);
  if (status.ok()) status = client.Create(false);
  if (status.ok()) status = lab::ConnectByVeth(pod, "eth0", client, "eth0");
  if (status.ok()) {
    status = pod.Ip(absl::StrCat("address add ", kPod, "/24 dev eth0\nlink set eth0 up\n"));
  }
  if (status.ok()) {
    status = client.Ip(absl::StrCat("address add ", kClient, "/24 dev eth0\nlink set eth0 up\n"));
  }
  return status;
}

absl::Status Pod::StartAgent(const std::string& source_ports) {
  const lab::Namespace pod = lab_->Space("pod");
  const std::string program = lab::ProgramPath("whence-agent");
  std::filesystem::create_directories(documents());
  absl::Status status = lab::WriteFile(documents() + "/service.yaml", kService);
  if (status.ok()) {
    status = lab::RunOk({program, "intercept", "install", "--netns", pod.name()});
  }
  if (!status.ok()) return status;
  auto agent =
      lab::Process::Start({.command = {program, "run", "--static", documents(), "--role", "sidecar",
                                       "--labels", "app=app", "--pod-ip", kPod, "--workers", "1",
                                       "--source-ports", source_ports, "--access-log", "/dev/null"},
                           .netns = pod.path(),
                           .output = lab_->directory() + "/agent.log"});
  if (!agent.ok()) return agent.status();
  agent_ = *std::move(agent);
  application_ = std::make_unique<Application>(pod.path());
  const bool is_ready = lab::WaitUntil([&] {
    if (!agent_->IsRunning()) return true;
    const auto answer = lab::Ask(pod, "127.0.0.1", 15021, {.target = "/healthz/ready"});
    return answer.ok() && answer->status == 200;
  });
  if (!application_->listens() || !is_ready || !agent_->IsRunning()) {
    return absl::UnavailableError("the pod did not come up: " + agent_->Output());
  }
  return absl::OkStatus();
}

net::SocketAddress Pod::application() const { return {*net::IpAddress::Parse(kPod), kAppPort}; }
net::IpAddress Pod::client() const { return *net::IpAddress::Parse(kClient); }

absl::Status Pod::AllowFallback() {
  absl::Status status = lab::WriteFile(documents() + "/fallback.yaml", kFallback);
  if (status.ok()) agent_->Signal(SIGHUP);
  return status;
}

double Pod::Metric(const std::string& name) const {
  const auto page = lab::Ask(lab_->Space("pod"), "127.0.0.1", 15020, {.target = "/metrics"});
  const std::string text = page.ok() ? "\n" + page->body : "";
  const size_t at = text.find("\n" + name + " ");
  return at == std::string::npos ? 0 : std::atof(text.c_str() + at + name.size() + 2);
}

uint64_t Pod::HalfOpenEnded() const {
  // A line of names and a line of values, both after "TcpExt:".
  const std::string text = lab_->Space("pod").Run({"cat", "/proc/net/netstat"}).out;
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  if (lines.size() < 2) return 0;
  const std::vector<std::string> names = absl::StrSplit(lines[0], ' ');
  const std::vector<std::string> values = absl::StrSplit(lines[1], ' ');
  const auto at = std::find(names.begin(), names.end(), "EmbryonicRsts") - names.begin();
  return static_cast<size_t>(at) < values.size() ? std::strtoull(values[at].c_str(), nullptr, 10)
                                                 : 0;
}

uint64_t Pod::RefusedByRule() const { return CountedIn("chain prerouting"); }
uint64_t Pod::RefusedToAgent() const { return CountedIn("chain loopback"); }

uint64_t Pod::CountedIn(const std::string& chain) const {
  const std::string rules = lab_->Space("pod").Run({"nft", "list", "table", "inet", "whence"}).out;
  constexpr char kCounter[] = " counter packets ";
  size_t at = rules.find(chain);
  if (at != std::string::npos) at = rules.find(" reject ", at);  // the counter stands before it
  if (at != std::string::npos) at = rules.rfind(kCounter, at);
  return at == std::string::npos
             ? 0
             : std::strtoull(rules.c_str() + at + sizeof(kCounter) - 1, nullptr, 10);
}

uint64_t Pod::AgentRssKib() const {
  std::ifstream status(absl::StrCat("/proc/", agent_->pid(), "/status"));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::strtoull(line.c_str() + 6, nullptr, 10);
  }
  return 0;
}

}  // namespace whence::stress
