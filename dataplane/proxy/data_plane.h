// The data path of an agent: worker threads that accept, judge and relay connections.
//
//   publisher ──snapshot──►  worker 0..N-1: epoll loop, listeners, connections  ──records──► rings
//
// A worker shares nothing with another: it has its own listening sockets (SO_REUSEPORT), its own
// connections and its own pointer to the current snapshot. See worker.h for the life of a
// connection.
#ifndef WHENCE_DATAPLANE_PROXY_DATA_PLANE_H_
#define WHENCE_DATAPLANE_PROXY_DATA_PLANE_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/net/socket_address.h"
#include "common/snapshot/snapshot.h"
#include "common/trust/topology.h"
#include "dataplane/access_log/ring.h"
#include "dataplane/proxy/counters.h"
#include "dataplane/proxy/limits.h"

namespace whence::proxy {

// How connections come to a sidecar's inbound port or to a node agent's node ports. A gateway
// listens on the snapshot's ports and ignores this.
enum class InterceptionMode : uint8_t { kTproxy, kRedirect, kNone };

// Packet marks; `whence-agent intercept` must install the same.
struct Marks {
  uint32_t listener =
      0x53b;  // accepted sockets carry it, so that they do not inherit `intercepted`
  uint32_t upstream = 0x53a;  // connections that leave with a client's address
};

// Where source ports of connections with a client's address come from: below every usual ephemeral
// range, so that they can hardly meet a port that the client itself uses (source_port.h).
struct PortRange {
  uint16_t low = 10'240;
  uint16_t high = 32'767;
};

struct DataPlaneOptions {
  trust::Role role = trust::Role::kSidecar;
  InterceptionMode interception = InterceptionMode::kTproxy;
  int workers = 1;
  uint16_t inbound_port = 15006;  // sidecars
  // Restricts where gateway listeners bind; empty: every address of both families.
  std::vector<net::IpAddress> listen_addresses;
  // This agent's own addresses (pod, host). Connections aimed at one of its own listeners are
  // loops.
  std::vector<net::IpAddress> own_addresses;
  // Of our networks: to them the kernel binds without a word, and sends from another address.
  std::vector<net::IpAddress> broadcast_addresses;
  Marks marks;
  PortRange upstream_ports;
  Limits limits;
};

class Worker;
struct ListenSpec;
struct SharedState;

// Thread-safe. Threads start in Start and are joined in Stop or the destructor.
class DataPlane {
 public:
  // Opens the listeners that `first` asks for and starts the workers: there is no data plane
  // without configuration (fail closed). `rings` has one ring per worker and outlives this object.
  // Errors name the call, the address and, for missing privileges, the capability.
  static absl::StatusOr<std::unique_ptr<DataPlane>> Start(
      const DataPlaneOptions& options, std::shared_ptr<const snapshot::Snapshot> first,
      std::span<access_log::Ring* const> rings);
  ~DataPlane();

  // Makes `next` the configuration of every worker. Returns once new listeners are open and the
  // pointer is posted; then it may be acknowledged. If a listener cannot be opened nothing changes,
  // the old snapshot stays, and the error is the reason for the NACK.
  absl::Status Publish(std::shared_ptr<const snapshot::Snapshot> next);

  // The newest published.
  std::shared_ptr<const snapshot::Snapshot> current() const;

  // Stops accepting, asks for `Connection: close` with every response, ends the connections that
  // stay idle, and waits until none is left or `deadline` has passed; what is then still open is
  // cut. A request that was on its way when the drain began is answered. Stop() is still to be
  // called.
  void Drain(std::chrono::milliseconds deadline);

  // Cuts every connection (each still leaves its record) and joins the workers. Idempotent.
  void Stop();

  Counters Collect() const;

 private:
  explicit DataPlane(const DataPlaneOptions& options);

  // Constant after Start.
  const DataPlaneOptions options_;
  const bool has_ipv6_;
  std::unique_ptr<SharedState> shared_;
  std::vector<std::unique_ptr<Worker>> workers_;

  mutable std::mutex mutex_;  // Publish, Drain and Stop one at a time; guards what follows
  std::shared_ptr<const snapshot::Snapshot> current_;
  std::vector<ListenSpec> listening_;  // sorted
  bool stopped_ = false;
};

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_DATA_PLANE_H_
