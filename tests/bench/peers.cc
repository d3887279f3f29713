#include "tests/bench/peers.h"

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/bench/agents.h"
#include "tests/bench/load.h"
#include "tests/bench/peer_configs.h"
#include "tests/lab/process.h"

namespace whence::bench {
namespace {

absl::Status Keep(absl::StatusOr<lab::Process> process, Peer* peer) {
  if (!process.ok()) return process.status();
  peer->proxy = std::make_unique<lab::Process>(*std::move(process));
  return absl::OkStatus();
}

absl::Status StartHaproxy(const std::string& directory, int core, const HaproxyOptions& options,
                          Peer* peer) {
  const std::string file = directory + "/haproxy.cfg";
  absl::Status s = lab::WriteFile(file, HaproxyConfig(peer->pod, directory, options));
  if (s.ok()) s = lab::WriteFile(directory + "/denied.txt", DeniedRanges(options.denied));
  if (s.ok()) s = InterceptByTproxy(peer->pod, /*mark_spoofed=*/true);
  if (!s.ok()) return s;
  return Keep(
      StartInPod(peer->pod, directory + "/proxy.log", {core, true, {"haproxy", "-db", "-f", file}}),
      peer);
}

absl::Status StartNginx(const std::string& directory, int core, bool keepalive, Peer* peer) {
  const std::string file = directory + "/nginx.conf";
  absl::Status s = lab::WriteFile(file, NginxConfig(peer->pod, directory, keepalive));
  if (s.ok()) s = InterceptByTproxy(peer->pod, /*mark_spoofed=*/true);
  if (!s.ok()) return s;
  // Heap trimming between connections would cost it 20 microseconds for each request.
  return Keep(StartInPod(peer->pod, directory + "/proxy.log",
                         {core,
                          true,
                          {"env", absl::StrCat("NGINX=", kListenerFd, ";", kTcpListenerFd, ";"),
                           "MALLOC_TRIM_THRESHOLD_=1073741824", "nginx", "-c", file}}),
              peer);
}

absl::Status StartEnvoy(const std::string& directory, int core, bool log, Peer* peer) {
  const std::string file = directory + "/envoy.yaml";
  absl::Status s = lab::WriteFile(file, EnvoyConfig(peer->pod, directory, log));
  if (s.ok()) s = InterceptByTproxy(peer->pod, /*mark_spoofed=*/false);
  if (!s.ok()) return s;
  return Keep(StartInPod(peer->pod, directory + "/proxy.log",
                         {core,
                          false,
                          {"envoy", "-c", file, "--concurrency", "1", "--disable-hot-restart",
                           "--log-level", "error"}}),
              peer);
}

absl::Status StartProxy(const std::string& name, const std::string& directory, const Cores& cores,
                        Peer* peer) {
  const size_t denied = absl::EndsWith(name, "-1k")     ? 1'000
                        : absl::EndsWith(name, "-100k") ? 100'000
                        : absl::EndsWith(name, "-1m")   ? 1'000'000
                                                        : 0;
  const bool log = absl::EndsWith(name, "-log");
  if (name == "direct") return absl::OkStatus();
  if (absl::StartsWith(name, "haproxy")) {
    return StartHaproxy(directory, cores.proxy,
                        {.log = log, .splice = name == "haproxy-splice", .denied = denied}, peer);
  }
  if (absl::StartsWith(name, "nginx")) {
    return StartNginx(directory, cores.proxy, name == "nginx-keepalive", peer);
  }
  if (absl::StartsWith(name, "envoy")) return StartEnvoy(directory, cores.proxy, log, peer);
  return StartAgent(directory, cores,
                    {.log = log, .control_plane = name == "whence-control", .denied = denied},
                    peer);
}

// Answers over HTTP. Interception drops what opens before there is a listener, so an answer means
// that the proxy is up.
absl::Status Ask(const Pod& pod) {
  auto load = OpenKeepAliveLoad(pod, 1);
  if (!load.ok()) return load.status();
  return (*load)->Run(std::chrono::milliseconds(20)).status();
}

}  // namespace

const std::vector<PeerInfo>& PeerInfos() {
  static const std::vector<PeerInfo> infos = {
      {"direct", "no proxy at all"},
      {"haproxy", "a new upstream per client connection (http-reuse never)"},
      {"haproxy-log", "the same with a log line per request"},
      {"haproxy-splice", "the same with bodies by splice(2)"},
      {"haproxy-1m", "the same with 1,000,000 ranges denied"},
      {"nginx", "a new upstream per request"},
      {"nginx-keepalive", "shares upstreams between clients: fast, but wrong"},
      {"envoy", "transparent listener, original source"},
      {"envoy-log",
       "the same with the policy, request ids, access log and filters of Istio's sidecar"},
      {"whence", "a topology and a policy"},
      {"whence-log", "the same with an access log file"},
      {"whence-control", "the same, connected to a control plane that takes the access log"},
      {"whence-1k", "1,000 ranges denied"},
      {"whence-100k", "100,000 ranges denied"},
      {"whence-1m", "1,000,000 ranges denied"},
  };
  return infos;
}

absl::StatusOr<Peer> StartPeer(const lab::Lab& lab, const std::string& name, int number,
                               const Cores& cores, size_t body_bytes) {
  const std::string directory = lab.directory() + "/" + name;
  std::filesystem::create_directories(directory);
  const Pod pod = MakePod(lab, name, number);
  if (absl::Status s = BuildPod(pod); !s.ok()) return s;

  auto application =
      StartInPod(pod, directory + "/origin.log",
                 {cores.load,
                  false,
                  {"/proc/self/exe", "origin", "--body-bytes", std::to_string(body_bytes)}});
  if (!application.ok()) return application.status();
  Peer peer{name, pod, std::move(*application), nullptr, nullptr};
  if (absl::Status s = StartProxy(name, directory, cores, &peer); !s.ok()) return s;

  absl::Status last = absl::UnavailableError("never asked");
  // Reading a million ranges takes its time.
  const bool ready = lab::WaitUntil(
      [&] {
        if (peer.proxy != nullptr && !peer.proxy->IsRunning()) return true;
        last = Ask(pod);
        return last.ok();
      },
      std::chrono::seconds(60));
  if (ready && last.ok()) return peer;
  return absl::UnavailableError(absl::StrCat(
      name, " does not answer: ", last.message(),
      "; it says: ", peer.proxy == nullptr ? peer.origin.Output() : peer.proxy->Output()));
}

}  // namespace whence::bench
