#include "dataplane/proxy/balancer.h"

namespace whence::proxy {
namespace {

// The bundle lists the addresses of one workload side by side.
const snapshot::Endpoint* InFamilyOf(const net::IpAddress& client, const snapshot::Cluster& cluster,
                                     size_t chosen) {
  const auto& endpoints = cluster.endpoints;
  const snapshot::Endpoint& wanted = endpoints[chosen];
  const auto is_sibling = [&](size_t at) {
    return at < endpoints.size() && !wanted.workload.empty() &&
           endpoints[at].workload == wanted.workload;
  };
  const auto fits = [&](size_t at) { return endpoints[at].address.ip.is_v4() == client.is_v4(); };
  if (fits(chosen)) return &wanted;
  for (size_t at = chosen + 1; is_sibling(at); ++at) {
    if (fits(at)) return &endpoints[at];
  }
  for (size_t at = chosen; at > 0 && is_sibling(at - 1); --at) {
    if (fits(at - 1)) return &endpoints[at - 1];
  }
  return &wanted;
}

}  // namespace

const snapshot::Endpoint* NextEndpoint(const snapshot::Cluster& cluster, uint32_t& cursor,
                                       const net::IpAddress& client) {
  if (cluster.endpoints.empty()) return nullptr;
  return InFamilyOf(client, cluster, cursor++ % cluster.endpoints.size());
}

const snapshot::Endpoint* AnotherEndpoint(const snapshot::Cluster& cluster, uint32_t& cursor,
                                          const net::IpAddress& client,
                                          const net::SocketAddress& failed, bool has_sidecar) {
  for (size_t i = 0; i < cluster.endpoints.size(); ++i) {
    const snapshot::Endpoint* endpoint = NextEndpoint(cluster, cursor, client);
    if (endpoint->address != failed && endpoint->has_sidecar == has_sidecar) return endpoint;
  }
  return nullptr;
}

}  // namespace whence::proxy
