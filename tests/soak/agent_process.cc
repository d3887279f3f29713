#include "tests/soak/agent_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "dataplane/os/unique_fd.h"
#include "tests/support/free_port.h"

namespace whence::soak {
namespace {

constexpr auto kPatience = std::chrono::seconds(30);

constexpr char kDocuments[] = R"(
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: soak}
spec:
  selector: {app: gateway}
  servers: [{port: {number: %PORT%, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: app, namespace: soak}
spec:
  hosts: ["*"]
  gateways: [soak/edge]
  http:
  - match: [{uri: {prefix: /}}]
    route: [{destination: {host: app.soak.svc.cluster.local, port: {number: 80}}}]
---
apiVersion: v1
kind: Service
metadata: {name: app, namespace: soak}
spec:
  selector: {app: app}
  ports: [{name: http, port: 80, targetPort: %TARGET%, appProtocol: http}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: toggled, namespace: soak}
spec:
  action: DENY
  rules: [{to: [{operation: {paths: ["%DENIED%/*"]}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: revision-%REVISION%, namespace: soak}
spec:
  action: DENY
  rules: [{from: [{source: {remoteIpBlocks: ["203.0.113.%REVISION%/32"]}}]}]
)";

void Replace(std::string& text, const std::string& name, const std::string& value) {
  for (size_t at; (at = text.find(name)) != std::string::npos;)
    text.replace(at, name.size(), value);
}

}  // namespace

AgentProcess::AgentProcess(const std::string& program, uint16_t target)
    : port_(FreePort()), target_(target) {
  char folder[] = "/tmp/whence-soak-XXXXXX";
  folder_ = mkdtemp(folder);
  Write(0);
  pid_ = fork();
  if (pid_ != 0) return;
  const char* const arguments[] = {"whence-agent",
                                   "run",
                                   "--static",
                                   folder_.c_str(),
                                   "--role",
                                   "gateway",
                                   "--namespace",
                                   "soak",
                                   "--name",
                                   "gateway",
                                   "--labels",
                                   "app=gateway",
                                   "--static-workload",
                                   "soak/app@127.0.0.1;app=app",
                                   "--access-log",
                                   "/dev/null",
                                   "--admin",
                                   "off",
                                   "--metrics",
                                   "off",
                                   "--health",
                                   "off",
                                   "--workers",
                                   "2",
                                   "--log-level",
                                   "error",
                                   nullptr};
  execv(program.c_str(), const_cast<char* const*>(arguments));
  _exit(127);
}

AgentProcess::~AgentProcess() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void AgentProcess::Write(uint64_t revision) const {
  std::string text = kDocuments;
  Replace(text, "%PORT%", std::to_string(port_));
  Replace(text, "%TARGET%", std::to_string(target_));
  Replace(text, "%DENIED%", revision % 2 == 1 ? "/toggled" : "/nobody-asks");
  Replace(text, "%REVISION%", std::to_string(revision % 250));
  const std::string path = folder_ + "/all.yaml";
  std::ofstream(path + ".new") << text;
  std::filesystem::rename(path + ".new", path);
}

bool AgentProcess::AwaitReady() const {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port_);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  while (std::chrono::steady_clock::now() < until) {
    const os::UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));  // another process's affair
  }
  return false;
}

void AgentProcess::Change(uint64_t revision) {
  Write(revision);
  kill(pid_, SIGHUP);
}

Footprint AgentProcess::Look() const {
  Footprint footprint;
  const std::string proc = "/proc/" + std::to_string(pid_);
  std::ifstream status(proc + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:"))
      footprint.rss_kib = std::strtoull(line.c_str() + 6, nullptr, 10);
  }
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(proc + "/fd", error)) {
    (void)entry;
    ++footprint.descriptors;
  }
  // Fields 14 and 15: the name, which may hold blanks, ends with the last bracket.
  std::ifstream stat(proc + "/stat");
  std::string text;
  std::getline(stat, text);
  std::istringstream fields(text.substr(std::min(text.rfind(')') + 1, text.size())));
  std::string field;
  double user = 0, system = 0;
  for (int i = 3; i < 14 && fields >> field; ++i) continue;
  fields >> user >> system;
  footprint.cpu_seconds = (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
  return footprint;
}

void AgentProcess::Terminate() { kill(pid_, SIGTERM); }

int AgentProcess::Await() {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < until) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));  // another process's affair
  }
  return -1;
}

}  // namespace whence::soak
