#include "dataplane/proxy/balancer.h"

namespace whence::proxy {

const snapshot::Endpoint* AnotherEndpoint(const snapshot::Cluster& cluster, uint32_t& cursor,
                                          const net::SocketAddress& failed, bool has_sidecar) {
  for (size_t i = 0; i < cluster.endpoints.size(); ++i) {
    const snapshot::Endpoint* endpoint = NextEndpoint(cluster, cursor);
    if (endpoint->address != failed && endpoint->has_sidecar == has_sidecar) return endpoint;
  }
  return nullptr;
}

}  // namespace whence::proxy
