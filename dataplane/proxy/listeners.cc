#include "dataplane/proxy/listeners.h"

#include <algorithm>

namespace whence::proxy {
namespace {

bool HasEndpoint(const snapshot::Snapshot& snapshot, const snapshot::Listener& listener, bool v4) {
  for (const snapshot::TcpRoute& route : listener.tcp_routes) {
    for (const snapshot::Destination& destination : route.destinations) {
      for (const snapshot::Endpoint& endpoint : snapshot.clusters[destination.cluster].endpoints) {
        if (endpoint.address.ip.is_v4() == v4) return true;
      }
    }
  }
  return false;
}

net::IpAddress Loopback(bool v4) {
  return v4 ? net::IpAddress::FromV4({127, 0, 0, 1})
            : net::IpAddress::FromV6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
}

// Sorted by who calls.
std::vector<ListenSpec> PlanNodePorts(const snapshot::Snapshot& snapshot, bool has_ipv6) {
  std::vector<ListenSpec> specs;
  for (const snapshot::Listener& listener : snapshot.listeners) {
    for (const bool v4 : {true, false}) {
      if ((!v4 && !has_ipv6) || !HasEndpoint(snapshot, listener, v4)) continue;
      specs.push_back({{Loopback(v4), listener.port}, false, true});
    }
  }
  return specs;
}

}  // namespace

std::vector<ListenSpec> PlanListeners(const DataPlaneOptions& options,
                                      const snapshot::Snapshot& snapshot, bool has_ipv6) {
  std::vector<net::IpAddress> addresses = {net::IpAddress::FromV4(0)};
  if (has_ipv6) addresses.emplace_back();
  const bool inbound = options.role == trust::Role::kSidecar;
  if (!inbound && !options.listen_addresses.empty()) addresses = options.listen_addresses;

  const bool tproxy = options.interception == InterceptionMode::kTproxy;
  std::vector<ListenSpec> specs;
  if (options.role == trust::Role::kNode && tproxy) {
    specs = PlanNodePorts(snapshot, has_ipv6);
    addresses.clear();
  }
  for (const net::IpAddress& address : addresses) {
    if (inbound) {
      specs.push_back({{address, options.inbound_port}, true, tproxy});
      // After REDIRECT a packet does not say what it aimed at.
      if (tproxy) specs.push_back({{address, options.inbound_port}, true, true, true});
      continue;
    }
    for (const snapshot::Listener& listener : snapshot.listeners) {
      const bool speaking_first = listener.protocol == snapshot::Protocol::kHttp;
      specs.push_back({{address, listener.port}, false, false, speaking_first});
    }
  }
  std::sort(specs.begin(), specs.end());
  specs.erase(std::unique(specs.begin(), specs.end()), specs.end());
  return specs;
}

std::vector<uint16_t> PortsSpeakingFirst(const snapshot::Snapshot& snapshot) {
  std::vector<uint16_t> ports;
  for (const auto& [port, protocol] : snapshot.port_protocols) {
    if (protocol == snapshot::Protocol::kHttp) ports.push_back(port);
  }
  return ports;
}

const snapshot::Listener* FindListener(const snapshot::Snapshot& snapshot, uint16_t port) {
  for (const snapshot::Listener& listener : snapshot.listeners) {
    if (listener.port == port) return &listener;
  }
  return nullptr;
}

snapshot::Protocol ProtocolOf(const snapshot::Snapshot& snapshot, uint16_t listener_port,
                              const net::OriginalDestination& destination) {
  if (listener_port == 0) return snapshot.ProtocolOfPort(destination.address.port);
  const snapshot::Listener* listener = FindListener(snapshot, listener_port);
  return listener == nullptr ? snapshot::Protocol::kTcp : listener->protocol;
}

bool IsUnintercepted(const DataPlaneOptions& options, const ListenSpec& spec,
                     const net::SocketAddress& local) {
  if (spec.inbound) return local.port == options.inbound_port;
  return spec.transparent && local.ip.is_loopback();
}

bool IsOwnListener(const DataPlaneOptions& options, const snapshot::Snapshot& snapshot,
                   const net::SocketAddress& destination) {
  if (options.role == trust::Role::kSidecar) return destination.port == options.inbound_port;
  if (FindListener(snapshot, destination.port) == nullptr) return false;
  const auto& bound = options.listen_addresses;
  if (!bound.empty()) return std::find(bound.begin(), bound.end(), destination.ip) != bound.end();
  const auto& own = options.own_addresses;
  return destination.ip.is_loopback() ||
         std::find(own.begin(), own.end(), destination.ip) != own.end();
}

}  // namespace whence::proxy
