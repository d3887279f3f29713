#include "common/trust/topology.h"

namespace whence::trust {

bool AddressRanges::Contains(const net::IpAddress& address) const {
  if (cidrs.Contains(address)) return true;
  for (const auto& set : ip_sets) {
    if (set->Contains(address)) return true;
  }
  return false;
}

std::optional<net::Cidr> AddressRanges::LongestMatch(const net::IpAddress& address) const {
  std::optional<net::Cidr> longest = cidrs.LongestMatch(address);
  for (const auto& set : ip_sets) {
    const std::optional<net::Cidr> match = set->LongestMatch(address);
    if (match && (!longest || match->prefix_length() > longest->prefix_length())) longest = match;
  }
  return longest;
}

bool AddressRanges::empty() const {
  for (const auto& set : ip_sets) {
    if (!set->empty()) return false;
  }
  return cidrs.empty();
}

std::vector<net::Cidr> DefaultInternalCidrs() {
  std::vector<net::Cidr> cidrs;
  for (const char* text :
       {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7", "::1/128"}) {
    cidrs.push_back(*net::Cidr::Parse(text));
  }
  return cidrs;
}

Topology DefaultTopology(Role role) {
  Topology topology;
  topology.role = role;
  topology.internal = net::CidrSet(DefaultInternalCidrs());
  if (role == Role::kSidecar) {
    topology.trust_mesh_gateways = true;
    topology.forwarded_for = ForwardedForMode::kKeep;
  } else {
    topology.forwarded_for = ForwardedForMode::kAppend;
  }
  return topology;
}

ProxyHeaderRule ProxyHeaderRuleFor(const Topology& topology, const net::DirectPeer& peer) {
  const net::IpAddress& ip = peer.address.ip;
  const bool is_node_agent = topology.node_agents.Contains(ip);
  const bool is_sender =
      is_node_agent || topology.IsMeshAgent(ip) || topology.proxy_from.Contains(ip);
  switch (topology.proxy_accept) {
    case ProxyAccept::kOff:
      // Optional, since the node's address is also that of others: of what kube-proxy hides behind
      // it while its agent is away, and of probes.
      if (is_node_agent) return ProxyHeaderRule::kOptional;
      // Our own agents need no permission beyond being trusted. Where they may send one, nobody
      // else may: an application must not meet a stranger's header where it might expect ours.
      if (!topology.trust_mesh_gateways) return ProxyHeaderRule::kNotRead;
      return topology.IsMeshAgent(ip) ? ProxyHeaderRule::kOptional : ProxyHeaderRule::kForbidden;
    case ProxyAccept::kOptional:
      return is_sender ? ProxyHeaderRule::kOptional : ProxyHeaderRule::kForbidden;
    case ProxyAccept::kRequired:
      // A mesh agent sends the header before TCP only; before HTTP it sends x-whence-client.
      if (topology.IsMeshHop(ip)) return ProxyHeaderRule::kOptional;
      return is_sender ? ProxyHeaderRule::kRequired : ProxyHeaderRule::kRefusePeer;
  }
  return ProxyHeaderRule::kRefusePeer;
}

bool MaySendUnproven(const Topology& topology, const net::DirectPeer& peer) {
  return topology.proxy_accept != ProxyAccept::kOff &&
         topology.proxy_from.Contains(peer.address.ip);
}

ProxyVersion ProxyVersionToSend(const Topology& topology, bool endpoint_has_agent) {
  if (endpoint_has_agent) return ProxyVersion::kV2;
  switch (topology.proxy_send) {
    case ProxySend::kV1:
      return ProxyVersion::kV1;
    case ProxySend::kV2:
      return ProxyVersion::kV2;
    case ProxySend::kOff:
    case ProxySend::kAuto:
      return ProxyVersion::kNone;
  }
  return ProxyVersion::kNone;
}

}  // namespace whence::trust
