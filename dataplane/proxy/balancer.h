// Which endpoint of a cluster is next: round robin, per worker. Pure but for the cursor.
#ifndef WHENCE_DATAPLANE_PROXY_BALANCER_H_
#define WHENCE_DATAPLANE_PROXY_BALANCER_H_

#include <cstdint>
#include <vector>

#include "common/snapshot/routing.h"

namespace whence::proxy {

// Null: the cluster has none. `cursor` is moved on.
//
// Of a workload with addresses of both families the one of the client's is taken: its sidecar may
// be told to connect from the client's address, and can do so within one family only. Which
// workload is next does not depend on it.
const snapshot::Endpoint* NextEndpoint(const snapshot::Cluster& cluster, uint32_t& cursor,
                                       const net::IpAddress& client);

// Another one after `failed`, to which the same head may be sent: whether it has a sidecar decides
// what the head says. Null: there is none.
const snapshot::Endpoint* AnotherEndpoint(const snapshot::Cluster& cluster, uint32_t& cursor,
                                          const net::IpAddress& client,
                                          const net::SocketAddress& failed, bool has_sidecar);

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_BALANCER_H_
