// The world of one proxy under measurement: a client, and a pod with the proxy and the application.
//
//   client 10.250.N.1 ──veth── 10.250.N.2 pod: proxy :15006 (core P) ──lo── application (core L)
//                                                :15007                     :8080 HTTP, :9000 TCP
//
// Every proxy has a world of its own, so all of them stay up while the rounds go from one to the
// next. Proxies that need to be told what a connection speaks take TCP at a port of its own.
#ifndef WHENCE_TESTS_BENCH_POD_H_
#define WHENCE_TESTS_BENCH_POD_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "tests/lab/lab.h"

namespace whence::bench {

inline constexpr uint16_t kHttpPort = 8080;  // the application's
inline constexpr uint16_t kTcpPort = 9000;
inline constexpr uint16_t kProxyPort = 15006;
inline constexpr uint16_t kTcpProxyPort = 15007;
// As `whence-agent intercept` has them.
inline constexpr uint32_t kInterceptedMark = 0x539;
inline constexpr uint32_t kUpstreamMark = 0x53a;
inline constexpr uint32_t kListenerMark = 0x53b;

struct Pod {
  lab::Namespace client;
  lab::Namespace space;
  std::string client_address;
  std::string address;
};

Pod MakePod(const lab::Lab& lab, const std::string& name, int number);

// Creates the namespaces and the cable.
absl::Status BuildPod(const Pod& pod);

// Interception without connection tracking for a proxy that does not install it itself.
// `mark_spoofed`: also marks what leaves with a foreign source, for proxies that cannot mark their
// upstream sockets.
absl::Status InterceptByTproxy(const Pod& pod, bool mark_spoofed);

// The calling thread works inside a namespace for as long as this lives.
class Inside {
 public:
  explicit Inside(const lab::Namespace& space);
  ~Inside();
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  bool ok() const { return ok_; }

 private:
  const int home_;
  bool ok_;
};

}  // namespace whence::bench

#endif  // WHENCE_TESTS_BENCH_POD_H_
