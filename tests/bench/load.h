// The loads: what a client does to a proxy, for a while.
#ifndef WHENCE_TESTS_BENCH_LOAD_H_
#define WHENCE_TESTS_BENCH_LOAD_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/bench/pod.h"

namespace whence::bench {

struct LoadResult {
  uint64_t units = 0;  // requests, connections or bytes
  std::chrono::nanoseconds elapsed{0};
  // Sorted, in microseconds; empty for streams.
  std::vector<uint32_t> latencies;

  uint32_t Percentile(double fraction) const;
};

// Thread-compatible; works in the client's namespace.
class Load {
 public:
  virtual ~Load() = default;
  // For that long. Fails on the first wrong answer or lost connection: a proxy that drops work is
  // not fast.
  virtual absl::StatusOr<LoadResult> Run(std::chrono::nanoseconds duration) = 0;
  // Whom the application saw, if an answer said so; empty otherwise.
  virtual std::string SeenPeer() const { return ""; }
};

// What the heads of small requests and answers have: hardly anything, or what a browser's request
// has behind a gateway, and the answer of an application that thinks of caches and cookies.
enum class Fields : uint8_t { kFew, kMany };

// N connections, each asking again as soon as it has its answer; or all together so many times per
// second (`rate`), when there is a free one.
absl::StatusOr<std::unique_ptr<Load>> OpenKeepAliveLoad(const Pod& pod, int connections,
                                                        Fields fields = Fields::kFew, int rate = 0);

// N at a time: connect, ask, read to the end, again. `close`: the application ends each connection
// as well, so that none can be kept for the next.
enum class Asking : uint8_t { kHttp, kHttpAndClose, kTcp };
std::unique_ptr<Load> MakeConnectLoad(const Pod& pod, int at_a_time, Asking asking, Fields fields);

// N connections on which the application sends without end.
enum class Carrier : uint8_t { kHttp, kTcp };
absl::StatusOr<std::unique_ptr<Load>> OpenStreamLoad(const Pod& pod, int streams, Carrier carrier);

// `lines`: of the head, each with its line break.
std::string RequestFor(const Pod& pod, const std::string& target, const std::string& lines = "");
// For a small answer: `path` below /few or /many (origin.h). `lines`: more.
std::string SmallRequest(const Pod& pod, Fields fields, const std::string& path,
                         const std::string& lines = "");

}  // namespace whence::bench

#endif  // WHENCE_TESTS_BENCH_LOAD_H_
