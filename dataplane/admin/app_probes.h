// The kubelet's probes of the application, asked on its behalf.
//
// From the node's address a probe would be intercepted, judged by policy and recorded. Injection
// (common/inject/probes.h) has the kubelet ask our health port instead; we ask the application from
// inside the pod, which nothing intercepts, and pass the answer on.
#ifndef WHENCE_DATAPLANE_ADMIN_APP_PROBES_H_
#define WHENCE_DATAPLANE_ADMIN_APP_PROBES_H_

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/net/socket_address.h"
#include "dataplane/admin/http_server.h"

namespace whence::admin {

struct AppProbe {
  enum class Kind { kHttp, kTcp, kGrpc };
  Kind kind = Kind::kTcp;
  uint16_t port = 0;
  std::chrono::seconds timeout{1};
  std::string path = "/";                                    // kHttp
  std::vector<std::pair<std::string, std::string>> headers;  // kHttp
  std::string service;                                       // kGrpc
};

// By the path that the kubelet asks for: "/app-health/web/livez".
using AppProbes = std::map<std::string, AppProbe, std::less<>>;

// {"/app-health/web/livez": {"httpGet": {"path": "/", "port": 8080}, "timeoutSeconds": 1}}, the
// handlers as Kubernetes writes them. Errors name what is wrong.
absl::StatusOr<AppProbes> ParseAppProbes(std::string_view json);

// Asks the application at `ip`; at most `kMaxProbes` at a time. Thread-safe.
class AppProber {
 public:
  static constexpr int kMaxProbes = 32;

  // `ip`: the pod's, which is where the kubelet would ask.
  AppProber(AppProbes probes, net::IpAddress ip) : probes_(std::move(probes)), ip_(ip) {}
  ~AppProber();  // waits for what is under way, which its timeouts bound

  // False: not one of ours, and `reply` is not used. Otherwise it gets 200 or, with the reason, 503.
  bool Answer(std::string_view path, HttpServer::Reply reply);

 private:
  const AppProbes probes_;
  const net::IpAddress ip_;
  std::mutex mutex_;
  std::condition_variable idle_;
  int running_ = 0;
};

// One probe, in the caller's time. OK: the application is well.
absl::Status Ask(const AppProbe& probe, const net::IpAddress& ip);

}  // namespace whence::admin

#endif  // WHENCE_DATAPLANE_ADMIN_APP_PROBES_H_
