#include "tests/bench/http/peers.h"

#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/bench/http/launch.h"
#include "tests/bench/http/load.h"
#include "tests/lab/programs.h"

namespace whence::bench {
namespace {

// `http-reuse never` keeps one upstream per client connection: with a spoofed source the shared
// pool finds no match and opens a new one for each request, which costs it threefold.
constexpr char kHaproxy[] = R"(global
  nbthread 1
  maxconn 8192
defaults
  mode http
  http-reuse never
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend in
  bind fd@%FD%
  default_backend application
backend application
  source 0.0.0.0 usesrc clientip
  server application %ADDRESS%:%PORT%
)";

// With a master process, although one worker needs none: without it 1.22 crashes on an inherited
// socket. Without `keepalive` every request opens an upstream connection. With it nginx is fast,
// but its cache of idle connections does not look at the source address: one client's request
// leaves from another's address.
constexpr char kNginx[] = R"(daemon off;
user root;
worker_processes 1;
pid %DIR%/nginx.pid;
error_log stderr error;
events { worker_connections 8192; }
http {
  access_log off;
  client_body_temp_path %DIR%/body;
  proxy_temp_path %DIR%/proxy;
  fastcgi_temp_path %DIR%/fastcgi;
  uwsgi_temp_path %DIR%/uwsgi;
  scgi_temp_path %DIR%/scgi;
  keepalive_requests 1000000000;
  upstream application {
    server %ADDRESS%:%PORT%;
    %KEEPALIVE%
  }
  server {
    listen 15006;
    location / {
      proxy_pass http://application;
      proxy_bind $remote_addr transparent;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
    }
  }
}
)";

// A policy and a topology, so that deciding is part of what is measured.
constexpr char kDocuments[] = R"(apiVersion: whence.dev/v1
kind: TrustTopology
metadata: {name: bench, namespace: bench}
spec:
  trustMeshGateways: true
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny-some, namespace: bench}
spec:
  action: DENY
  rules:
  - from:
    - source:
        remoteIpBlocks: ["203.0.113.0/24", "198.51.100.7"]
)";

std::string Filled(const char* text, const Pod& pod, const std::string& directory) {
  return absl::StrReplaceAll(text, {{"%FD%", absl::StrCat(kListenerFd)},
                                    {"%ADDRESS%", pod.address},
                                    {"%PORT%", absl::StrCat(kApplicationPort)},
                                    {"%DIR%", directory}});
}

absl::StatusOr<lab::Process> Start(const Pod& pod, const std::string& output,
                                   const LaunchSpec& spec) {
  std::vector<std::string> command = LaunchCommand(spec);
  command.insert(command.begin(), "/proc/self/exe");
  return lab::Process::Start({.command = command, .netns = pod.space.path(), .output = output});
}

absl::StatusOr<lab::Process> StartHaproxy(const Pod& pod, const std::string& directory, int core) {
  const std::string file = directory + "/haproxy.cfg";
  if (absl::Status s = lab::WriteFile(file, Filled(kHaproxy, pod, directory)); !s.ok()) return s;
  if (absl::Status s = InterceptByTproxy(pod, /*mark_spoofed=*/true); !s.ok()) return s;
  return Start(pod, directory + "/proxy.log", {core, true, {"haproxy", "-db", "-f", file}});
}

absl::StatusOr<lab::Process> StartNginx(const Pod& pod, const std::string& directory, int core,
                                        bool keepalive) {
  const std::string file = directory + "/nginx.conf";
  const std::string text = absl::StrReplaceAll(
      Filled(kNginx, pod, directory), {{"%KEEPALIVE%", keepalive ? "keepalive 128;" : ""}});
  if (absl::Status s = lab::WriteFile(file, text); !s.ok()) return s;
  if (absl::Status s = InterceptByTproxy(pod, /*mark_spoofed=*/true); !s.ok()) return s;
  // Heap trimming between connections would cost it 20 microseconds for each request.
  return Start(pod, directory + "/proxy.log",
               {core,
                true,
                {"env", absl::StrCat("NGINX=", kListenerFd, ";"),
                 "MALLOC_TRIM_THRESHOLD_=1073741824", "nginx", "-c", file}});
}

absl::StatusOr<lab::Process> StartAgent(const Pod& pod, const std::string& directory, int core,
                                        bool log) {
  const std::string agent = lab::ProgramPath("whence-agent");
  if (access(agent.c_str(), X_OK) != 0) return absl::NotFoundError(agent + " is not built");
  std::filesystem::create_directories(directory + "/documents");
  std::filesystem::create_directories(directory + "/state");
  if (absl::Status s = lab::WriteFile(directory + "/documents/bench.yaml", kDocuments); !s.ok()) {
    return s;
  }
  const std::vector<std::string> install = {agent, "intercept", "install", "--mode", "tproxy"};
  if (absl::Status s = lab::RunOk(install, pod.space.path()); !s.ok()) return s;
  LaunchSpec spec{
      core,
      false,
      {agent, "run", "--static", directory + "/documents", "--role", "sidecar", "--name", "bench",
       "--namespace", "bench", "--pod-ip", pod.address, "--interception", "tproxy", "--workers",
       "1", "--state-dir", directory + "/state"}};
  if (log) {
    spec.command.push_back("--access-log");
    spec.command.push_back(directory + "/access.jsonl");
  }
  return Start(pod, directory + "/proxy.log", spec);
}

absl::StatusOr<lab::Process> StartProxy(const std::string& name, const Pod& pod,
                                        const std::string& directory, int core) {
  if (name == "haproxy") return StartHaproxy(pod, directory, core);
  if (name == "nginx") return StartNginx(pod, directory, core, false);
  if (name == "nginx-keepalive") return StartNginx(pod, directory, core, true);
  if (name == "whence") return StartAgent(pod, directory, core, false);
  return StartAgent(pod, directory, core, true);
}

}  // namespace

const std::vector<std::string>& PeerNames() {
  static const std::vector<std::string> names = {"direct",          "haproxy", "nginx",
                                                 "nginx-keepalive", "whence",  "whence-log"};
  return names;
}

absl::StatusOr<Peer> StartPeer(const lab::Lab& lab, const std::string& name, int number,
                               const Cores& cores, size_t body_bytes) {
  const std::string directory = lab.directory() + "/" + name;
  std::filesystem::create_directories(directory);
  const Pod pod = MakePod(lab, name, number);
  if (absl::Status s = BuildPod(pod); !s.ok()) return s;

  LaunchSpec origin{
      cores.load, false, {"/proc/self/exe", "origin", "--body-bytes", std::to_string(body_bytes)}};
  auto application = Start(pod, directory + "/origin.log", origin);
  if (!application.ok()) return application.status();
  Peer peer{name, pod, std::move(*application), nullptr, name != "direct"};
  if (name != "direct") {
    auto proxy = StartProxy(name, pod, directory, cores.proxy);
    if (!proxy.ok()) return proxy.status();
    peer.proxy = std::make_unique<lab::Process>(std::move(*proxy));
  }
  // Interception drops what opens before there is a listener, so an answer means that the proxy is
  // up.
  absl::Status last = absl::UnavailableError("never asked");
  const bool ready = lab::WaitUntil([&] {
    if (peer.proxy != nullptr && !peer.proxy->IsRunning()) return true;
    auto load = Load::Open(pod, 1);
    last = load.ok() ? (*load)->SeenPeer().status() : load.status();
    return last.ok();
  });
  if (ready && last.ok()) return peer;
  return absl::UnavailableError(absl::StrCat(
      name, " does not answer: ", last.message(),
      "; it says: ", peer.proxy == nullptr ? peer.origin.Output() : peer.proxy->Output()));
}

}  // namespace whence::bench
