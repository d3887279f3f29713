// The load: N connections, each asking again as soon as it has its answer.
#ifndef WHENCE_TESTS_BENCH_HTTP_LOAD_H_
#define WHENCE_TESTS_BENCH_HTTP_LOAD_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dataplane/os/unique_fd.h"
#include "tests/bench/http/pod.h"

namespace whence::bench {

struct LoadResult {
  uint64_t requests = 0;
  std::chrono::nanoseconds elapsed{0};
  // Sorted, in microseconds.
  std::vector<uint32_t> latencies;

  uint32_t Percentile(double fraction) const;
};

// Keep-alive connections to the application of a pod, made from its client. Thread-compatible.
class Load {
 public:
  static absl::StatusOr<std::unique_ptr<Load>> Open(const Pod& pod, int connections);
  ~Load();

  // Asks for that long. Fails on the first answer that is not 200 or a lost connection: a proxy
  // that drops work is not fast.
  absl::StatusOr<LoadResult> Run(std::chrono::nanoseconds duration);

  // The X-Peer field of an answer: whom the application saw.
  absl::StatusOr<std::string> SeenPeer();

 private:
  struct Connection;
  Load();
  absl::Status Ask(Connection& connection);
  // True: an answer is complete.
  absl::StatusOr<bool> Read(Connection& connection);

  os::UniqueFd poller_;
  std::string request_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace whence::bench

#endif  // WHENCE_TESTS_BENCH_HTTP_LOAD_H_
