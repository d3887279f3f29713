// Configuration files of the peers, each the best that we know for it, and of our agent.
#ifndef WHENCE_TESTS_BENCH_PEER_CONFIGS_H_
#define WHENCE_TESTS_BENCH_PEER_CONFIGS_H_

#include <string>

#include "tests/bench/pod.h"

namespace whence::bench {

struct HaproxyOptions {
  bool log = false;     // a line per request on stdout
  bool splice = false;  // bodies by splice(2), always
  size_t denied = 0;    // so many ranges that may not enter, in `directory`/denied.txt
};
std::string HaproxyConfig(const Pod& pod, const std::string& directory,
                          const HaproxyOptions& options);

// `keepalive`: keeps idle upstream connections; fast, but its cache does not look at the source
// address: one client's request leaves from another's address.
std::string NginxConfig(const Pod& pod, const std::string& directory, bool keepalive);

std::string EnvoyConfig(const Pod& pod, const std::string& directory, bool log);

// A policy, a topology and the two ports' protocols, so that deciding is part of what is measured.
// `denied` > 0: also an IpSet of so many ranges from `denied.txt` beside it, and a policy that
// denies it.
std::string AgentDocuments(size_t denied);

// `count` ranges that hold no address of the bench, one a line.
std::string DeniedRanges(size_t count);

}  // namespace whence::bench

#endif  // WHENCE_TESTS_BENCH_PEER_CONFIGS_H_
