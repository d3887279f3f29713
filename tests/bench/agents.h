// Our own agent, in the variants that are measured.
#ifndef WHENCE_TESTS_BENCH_AGENTS_H_
#define WHENCE_TESTS_BENCH_AGENTS_H_

#include <string>

#include "absl/status/status.h"
#include "tests/bench/launch.h"
#include "tests/bench/peers.h"

namespace whence::bench {

struct AgentOptions {
  bool log = false;            // an access log file
  bool control_plane = false;  // configuration from, and access log to, a whence-control
  size_t denied = 0;           // so many ranges that may not enter
};

// Starts the agent in `peer`'s pod, on the proxies' core; its control plane runs on the load's.
absl::Status StartAgent(const std::string& directory, const Cores& cores,
                        const AgentOptions& options, Peer* peer);

// A program in the pod, as `spec` says.
absl::StatusOr<lab::Process> StartInPod(const Pod& pod, const std::string& output,
                                        const LaunchSpec& spec);

}  // namespace whence::bench

#endif  // WHENCE_TESTS_BENCH_AGENTS_H_
