// The proxies that are measured, each in the best configuration that we know for it.
#ifndef WHENCE_TESTS_BENCH_PEERS_H_
#define WHENCE_TESTS_BENCH_PEERS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/bench/pod.h"
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
  std::unique_ptr<lab::Process> proxy;    // null: none, the client talks to the application
  std::unique_ptr<lab::Process> control;  // its control plane; not measured
};

struct PeerInfo {
  std::string name;
  std::string what;
};
const std::vector<PeerInfo>& PeerInfos();

// Builds the pod and starts everything in it; ready to be asked when this returns.
absl::StatusOr<Peer> StartPeer(const lab::Lab& lab, const std::string& name, int number,
                               const Cores& cores, size_t body_bytes);

}  // namespace whence::bench

#endif  // WHENCE_TESTS_BENCH_PEERS_H_
