// Which endpoint of a cluster is next.
//
// What fails is left out until the first sweep after its time is over; sweeps are moments that come
// by the clock, and nothing happens at them.
//
// Each worker balances for itself: turns, requests under way and failures are its own, so that no
// two workers ever wait for each other. Maglev needs no memory, so that all workers, and all
// gateways, send a client to the same endpoint.
#ifndef WHENCE_DATAPLANE_PROXY_BALANCER_H_
#define WHENCE_DATAPLANE_PROXY_BALANCER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/node_hash_map.h"
#include "common/base/clock.h"
#include "common/snapshot/snapshot.h"
#include "dataplane/proxy/counters.h"
#include "dataplane/proxy/random.h"

namespace whence::proxy {

// What a worker knows of an endpoint whose cluster counts requests or failures.
struct EndpointState {
  uint32_t active = 0;          // requests and connections under way
  uint32_t failures = 0;        // 5xx or no answer, in a row
  uint32_t gateway_errors = 0;  // 502, 503, 504 or no answer, in a row
  uint32_t ejections = 0;       // how often: the next is as many times longer
  SteadyTime ejected_until = {};
  snapshot::OutlierDetection outlier = {};
  static constexpr uint32_t kGone = UINT32_MAX;
  uint32_t place = kGone;  // of its cluster in the newest snapshot
};

// Loop-affine.
class Balancer {
 public:
  explicit Balancer(WorkerCounters& counters, uint64_t seed) : counters_(counters), random_(seed) {}

  // Turns go on where they were: or frequent changes would send everything to the first endpoint.
  // What is known of endpoints that stay is kept.
  void Update(const snapshot::Snapshot& snapshot);

  struct Chosen {
    const snapshot::Endpoint* endpoint = nullptr;  // null: the cluster has none
    EndpointState* state = nullptr;                // null: nothing is counted
  };
  // `cluster`: index into the snapshot of the last Update. `hash`: LoadBalancing::HashOf.
  //
  // Of a workload with addresses of both families the one of the client's is taken: its sidecar may
  // be told to connect from the client's address, and can do so within one family only. Which
  // workload is next does not depend on it. Endpoints that are ejected are passed over unless all
  // are.
  Chosen Next(uint32_t cluster, const net::IpAddress& client, std::optional<uint64_t> hash,
              SteadyTime now);
  // Another one after `failed`, to which the same head may be sent: whether it has a sidecar
  // decides what the head says.
  Chosen Another(uint32_t cluster, const net::IpAddress& client, const net::SocketAddress& failed,
                 bool has_sidecar, SteadyTime now);

  // How it went. `status` 0: no answer.
  void Report(EndpointState& state, int status, SteadyTime now);

  uint32_t Random32() { return random_.Next32(); }
  uint64_t Random64() { return random_.Next64(); }

 private:
  using Key = std::pair<std::string, net::SocketAddress>;
  using States = absl::node_hash_map<Key, EndpointState>;
  struct Cluster {
    const snapshot::Cluster* known = nullptr;
    uint32_t turn = 0;
    std::vector<EndpointState*> states;  // parallel to the endpoints, or empty: nothing is counted
  };

  size_t Pick(Cluster& cluster, std::optional<uint64_t> hash, uint32_t attempt);
  Chosen Take(Cluster& cluster, const net::IpAddress& client, size_t index);
  void Eject(EndpointState& state, SteadyTime now);

  WorkerCounters& counters_;
  Random random_;
  std::vector<Cluster> clusters_;  // as in the snapshot
  // By cluster and address. Nodes: sessions hold pointers. One with something under way outlives
  // its place in the configuration.
  States states_;
};

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_BALANCER_H_
