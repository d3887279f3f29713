// The proxies that are measured, each in the best configuration that we know for it.
#ifndef WHENCE_TESTS_BENCH_HTTP_PEERS_H_
#define WHENCE_TESTS_BENCH_HTTP_PEERS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/bench/http/pod.h"
#include "tests/lab/lab.h"
#include "tests/lab/process.h"

namespace whence::bench {

struct Cores {
  int proxy = 1;
  int load = 0;
};

// One proxy, running, with its pod and its application.
struct Peer {
  std::string name;
  Pod pod;
  lab::Process origin;
  std::unique_ptr<lab::Process>
      proxy;                 // null: no proxy at all, the client talks to the application
  bool shows_client = true;  // the application must see the client's address
};

// haproxy, nginx, nginx-keepalive (fast but wrong), whence, whence-log, direct.
const std::vector<std::string>& PeerNames();

// Builds the pod and starts everything in it; ready to be asked when this returns.
absl::StatusOr<Peer> StartPeer(const lab::Lab& lab, const std::string& name, int number,
                               const Cores& cores, size_t body_bytes);

}  // namespace whence::bench

#endif  // WHENCE_TESTS_BENCH_HTTP_PEERS_H_
