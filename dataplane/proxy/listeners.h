// Which sockets a worker listens on, and what comes through them. Pure.
#ifndef WHENCE_DATAPLANE_PROXY_LISTENERS_H_
#define WHENCE_DATAPLANE_PROXY_LISTENERS_H_

#include <compare>
#include <vector>

#include "common/net/roles.h"
#include "common/snapshot/snapshot.h"
#include "dataplane/proxy/data_plane.h"

namespace whence::proxy {

struct ListenSpec {
  net::SocketAddress address;
  bool inbound = false;      // a sidecar's interception port, else a declared port
  bool transparent = false;  // accepts for addresses that are not its own
  // For ports on which the client is known to speak first, by declaration: connections are accepted
  // with their first bytes. A sidecar has such a listener beside its ordinary one
  // (port_steering.h).
  bool speaking_first = false;
  friend auto operator<=>(const ListenSpec&, const ListenSpec&) = default;
};

// Sorted, without duplicates: one per family and port. A sidecar has its inbound port and nothing
// else, a gateway or node agent the ports of the snapshot.
//
// With TPROXY a node agent listens on the loopback addresses, where the packet rule looks for it:
// so nobody can connect to it but through the rule, and a port without a listener is kube-proxy's.
// It opens a port in a family only while an endpoint of that family is known.
std::vector<ListenSpec> PlanListeners(const DataPlaneOptions& options,
                                      const snapshot::Snapshot& snapshot, bool has_ipv6);

// The snapshot's listener of that port; null: a newer snapshot has none.
const snapshot::Listener* FindListener(const snapshot::Snapshot& snapshot, uint16_t port);

// The ports whose connections a sidecar accepts with their first bytes. Sorted.
std::vector<uint16_t> PortsSpeakingFirst(const snapshot::Snapshot& snapshot);

// What a new connection speaks. `listener_port` 0: it was intercepted.
snapshot::Protocol ProtocolOf(const snapshot::Snapshot& snapshot, uint16_t listener_port,
                              const net::OriginalDestination& destination);

// Whether a connection that was accepted with this local address was aimed at the agent itself: it
// did not come by interception, or aims at ourselves.
bool IsUnintercepted(const DataPlaneOptions& options, const ListenSpec& spec,
                     const net::SocketAddress& local);

// Whether connecting to `destination` would come back to this agent.
bool IsOwnListener(const DataPlaneOptions& options, const snapshot::Snapshot& snapshot,
                   const net::SocketAddress& destination);

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_LISTENERS_H_
