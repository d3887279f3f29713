// What the data plane has counted, summed over its workers.
#ifndef WHENCE_DATAPLANE_PROXY_COUNTERS_H_
#define WHENCE_DATAPLANE_PROXY_COUNTERS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace whence::proxy {

enum class Counter : uint8_t {
  kConnectionsAccepted,
  kConnectionsActive,  // gauge
  kConnectionsHttp,    // by what was found in their first bytes
  kConnectionsTcp,
  kRequestsAllowed,
  kRequestsDenied,
  kRequestsDryRunDenied,
  kTcpAllowed,
  kTcpDenied,
  kTcpDryRunDenied,
  kPolicyClosed,  // open connections that a newer snapshot denied
  kSpoofedHeaders,
  kProxyTaken,        // PROXY protocol headers that named a client
  kProxyLocal,        // headers without one: LOCAL, UNKNOWN
  kProxyForbidden,    // sent by a peer that may not
  kProxyUnproven,     // sent from an agent's address, but not by the agent
  kProxyMalformed,    // or not complete before the end
  kProxyMissing,      // required, and something else came
  kProxyLate,         // did not come in time
  kProxyPeerRefused,  // required, and this peer may not send one
  kProxySent,         // sent to endpoints
  kLoops,
  kNotIntercepted,  // reached an interception port directly
  kOverLimit,       // refused by max_connections
  kAcceptPaused,    // out of file descriptors or memory
  kAcceptQueueFull,
  kConnectionsRecycled,  // ended by max_requests_per_connection
  kDetectionTimeouts,
  kKeepAliveTimeouts,
  kLingerTimeouts,
  kHeadsOverLimit,
  kBufferFullIn,  // reading from downstream stopped until upstream takes more
  kBufferFullOut,
  kBytesSpliced,  // of kBytesIn and kBytesOut
  kPipesShort,    // bytes were copied because no pipe was to be had
  kPoolIdleTimeouts,
  kPoolFull,
  kBadRequests,
  kHeaderTimeouts,
  kIdleTimeouts,
  kNoRoute,
  kNoEndpoint,
  kUpstreamConnects,
  kUpstreamReused,
  kUpstreamConnectFailed,
  kUpstreamConnectTimeouts,
  kUpstreamTimeouts,
  kUpstreamResets,
  kUpstreamProtocolErrors,
  kUpstreamRetries,     // requests sent again after a stale connection
  kEndpointsEjected,    // left out for a while after failures
  kRequestsPending,     // had to wait: their cluster has as many connections as it may
  kPendingOverflow,     // and could not: as many wait as may
  kConnectionOverflow,  // TCP, refused for the same reason
  kDownstreamResets,
  kSourcePortRetries,    // another source port was tried
  kSourcePortExhausted,  // no source port left: the access failed
  kSourceUnavailable,    // the source address could not be used (family, capability)
  kSourceFamily,         // the client is of another family than the application's address
  kSourceFallback,       // own address used instead, as configured
  kUpgrades,
  kBytesIn,    // from downstreams
  kBytesOut,   // to downstreams
  kSnapshots,  // snapshots taken up (by every worker)
  kCount,
};
inline constexpr size_t kCounterCount = static_cast<size_t>(Counter::kCount);

// How a counter is published: Prometheus name without the "whence_" prefix, with labels where
// several counters are one metric, and the help text.
struct CounterInfo {
  std::string_view metric;  // "requests_total"
  std::string_view labels;  // "decision=\"allow\"" or empty
  std::string_view help;
  bool gauge = false;
};
const CounterInfo& Info(Counter counter);

// A moment's values. Immutable-in-spirit value.
struct Counters {
  std::array<uint64_t, kCounterCount> values{};
  uint64_t operator[](Counter counter) const { return values[static_cast<size_t>(counter)]; }
};

// One worker's counters. Written by that worker only, hence no read-modify-write instruction; read
// from any thread.
class alignas(64) WorkerCounters {
 public:
  void Add(Counter counter, uint64_t n = 1) {
    auto& value = values_[static_cast<size_t>(counter)];
    value.store(value.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void Subtract(Counter gauge, uint64_t n = 1) { Add(gauge, -n); }
  uint64_t Get(Counter counter) const {
    return values_[static_cast<size_t>(counter)].load(std::memory_order_relaxed);
  }
  void AddTo(Counters& sum) const {
    for (size_t i = 0; i < kCounterCount; ++i) {
      sum.values[i] += values_[i].load(std::memory_order_relaxed);
    }
  }

 private:
  std::array<std::atomic<uint64_t>, kCounterCount> values_{};
};

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_COUNTERS_H_
