// A cluster: interchangeable endpoints, and how they share what is sent to them.
#ifndef WHENCE_COMMON_SNAPSHOT_CLUSTER_H_
#define WHENCE_COMMON_SNAPSHOT_CLUSTER_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/net/socket_address.h"
#include "common/proxy_protocol/handover.h"
#include "common/snapshot/maglev.h"
#include "common/snapshot/routed_request.h"

namespace whence::snapshot {

// One address of an upstream workload.
struct Endpoint {
  net::SocketAddress address;
  std::string workload;  // "namespace/name"
  // An agent intercepts what reaches it and believes gateways: it takes x-whence-client.
  bool has_sidecar = false;
  uint32_t weight = 1;
  // What to prove a hand-over with; none: no agent is there that takes one.
  std::optional<proxy_protocol::HandoverKey> handover_key = {};
};

struct LoadBalancing {
  enum class Policy : uint8_t { kRoundRobin, kRandom, kLeastRequest, kMaglev };
  enum class HashOn : uint8_t { kClient, kHeader, kCookie, kQuery };

  Policy policy = Policy::kRoundRobin;
  HashOn hash_on = HashOn::kClient;  // kMaglev
  std::string name;                  // of the header, cookie or parameter
  std::string cookie_path;
  std::optional<std::chrono::seconds> cookie_ttl;  // none: a missing cookie is not made
  uint32_t table_size = 0;

  // What is to be hashed; nullopt: the request has no such thing (TCP has a client only), and any
  // endpoint is as good as another.
  std::optional<uint64_t> HashOf(const RoutedRequest& request) const;
};

// Each 0: the agent's own.
struct KeepAlive {
  // What Linux takes.
  static constexpr uint32_t kMostProbes = 127;
  static constexpr std::chrono::seconds kLongest{32767};

  uint32_t probes = 0;
  std::chrono::seconds time{0};      // of silence, before the first probe
  std::chrono::seconds interval{0};  // between probes
};

struct ConnectionLimits {
  std::chrono::milliseconds connect_timeout{0};  // 0: the agent's own, as below
  std::chrono::milliseconds idle_timeout{0};
  uint32_t max_requests_per_connection = 0;  // 0: no limit, as below
  uint32_t max_connections = 0;              // of all workers together
  uint32_t max_pending_requests = 0;         // that wait because of max_connections
  std::optional<KeepAlive> keep_alive = {};  // none: the agent's own
};

// When an endpoint is left out for a while. A threshold of 0 never holds.
struct OutlierDetection {
  uint32_t consecutive_5xx = 0;
  uint32_t consecutive_gateway_errors = 0;
  // Between the sweeps, at which endpoints come back whose time is over, and at each of which one
  // that stays well is forgiven one ejection. More than nothing.
  std::chrono::milliseconds interval{10'000};
  std::chrono::milliseconds base_ejection_time{30'000};
  uint32_t max_ejection_percent = 10;

  bool enabled() const { return consecutive_5xx != 0 || consecutive_gateway_errors != 0; }
};

// Endpoints that the agent is to find.
struct DnsTarget {
  std::string host;
  uint16_t port = 0;
  uint32_t weight = 1;
  bool first_only = false;  // of the addresses
};

// What the weights of a cluster's endpoints and names may sum up to, one of 0 counting as 1. Leaves
// room for a name that turns out to have many addresses.
constexpr uint64_t kMaxWeights = UINT32_MAX / 64;

// May be empty: a service with no connected workload (answer 503).
struct Cluster {
  std::string name;  // "host:port", "host:port|subset"
  std::vector<Endpoint> endpoints;
  LoadBalancing balancing = {};
  ConnectionLimits limits = {};
  OutlierDetection outlier = {};
  std::vector<DnsTarget> dns = {};
  // Made of the endpoints by Finish.
  std::vector<uint32_t> upto = {};  // sums of weights up to each; empty: all weigh the same
  MaglevTable table = {};           // kMaglev

  // To be called whenever the endpoints have changed.
  void Finish();
  // The endpoint for a number that is uniform over all of 32 bits.
  size_t AtRandom(uint32_t random) const;
  // Whose turn it is, so that each has its share of any row of turns.
  size_t AtTurn(uint32_t turn) const;
};

}  // namespace whence::snapshot

#endif  // WHENCE_COMMON_SNAPSHOT_CLUSTER_H_
