// Who is trusted to speak for whom: one workload's trust topology, ready for the data path.
//
// This is the TrustTopology document after the control plane has resolved it: defaults filled
// in by role, ranges compiled, workloads replaced by their live addresses.
#ifndef WHENCE_COMMON_TRUST_TOPOLOGY_H_
#define WHENCE_COMMON_TRUST_TOPOLOGY_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/net/cidr_set.h"
#include "common/net/roles.h"

namespace whence::trust {

// kNode is an agent on a node's host network. It works below HTTP, and decides as a gateway does.
enum class Role { kSidecar, kGateway, kNode };

// Addresses from any of several places; the union counts. The shared sets are IpSets, which many
// topologies and policies use and which are too large to copy.
struct AddressRanges {
  net::CidrSet cidrs;
  std::vector<std::shared_ptr<const net::CidrSet>> ip_sets;  // none is null

  bool Contains(const net::IpAddress& address) const;
  // The most specific range that holds `address`, for explanations.
  std::optional<net::Cidr> LongestMatch(const net::IpAddress& address) const;
  bool empty() const;
};

// Which header carries the chain of hops.
enum class ClientAddressFrom {
  kForwardedFor,  // X-Forwarded-For
  kForwarded,     // RFC 7239
  kHeader,        // one address in `client_address_header`, such as cf-connecting-ip
};

enum class ForwardedForMode {
  kAppend,   // received list, then the nearest hop
  kKeep,     // as received
  kReplace,  // the trusted client alone
};

enum class ProxyAccept { kOff, kOptional, kRequired };
enum class ProxySend { kOff, kV1, kV2, kAuto };
enum class UpstreamSource { kDirectPeer, kTrustedClient, kAgent };
// What happens when the upstream source cannot be used: the connection fails, or, where the
// operator said so, the agent's own address is used, logged and counted.
enum class UpstreamFallback { kNone, kAgent };

// Immutable once built; shared by all workers through a snapshot. INVARIANT: at most one of
// `num_trusted_proxies` and `trusted_proxies` is set (who decodes a document refuses both).
struct Topology {
  Role role = Role::kSidecar;
  std::string source;  // "namespace/name" of the document; empty: the role's defaults

  // Hops in front of a gateway whose X-Forwarded-For entries are taken as true.
  std::optional<uint32_t> num_trusted_proxies;
  // Or: a hop is trusted when it is one of these.
  std::optional<AddressRanges> trusted_proxies;

  // Live addresses of connected gateways and node agents, and whether they are trusted hops.
  net::CidrSet mesh_gateways;
  bool trust_mesh_gateways = false;
  // Of mesh_gateways, those that nothing but their agents' word makes theirs. A proof makes up for
  // that on a connection, and nothing where others name such an address.
  net::CidrSet unproven_gateways;
  // Gateways: live addresses of connected node agents, which hand connections over with a PROXY
  // protocol header and say nothing else.
  net::CidrSet node_agents;

  ClientAddressFrom client_address_from = ClientAddressFrom::kForwardedFor;
  std::string client_address_header;  // lower case; for kHeader
  ForwardedForMode forwarded_for = ForwardedForMode::kKeep;
  // Clients that count as internal. Empty: none does, as in Envoy since CVE-2024-45806.
  net::CidrSet internal;
  // Further headers (lower case) that only internal requests may carry.
  std::vector<std::string> internal_only_headers;
  bool preserve_request_id = false;

  ProxyAccept proxy_accept = ProxyAccept::kOff;
  AddressRanges proxy_from;
  ProxySend proxy_send = ProxySend::kAuto;

  UpstreamSource upstream_source = UpstreamSource::kDirectPeer;
  UpstreamFallback upstream_fallback = UpstreamFallback::kNone;

  // Is this the address of a connected gateway or node agent whose word we take? That it is the
  // agent who speaks, and not somebody through it or behind its address, has to be proved for each
  // connection (proxy_protocol/handover.h).
  bool IsMeshAgent(const net::IpAddress& address) const {
    return trust_mesh_gateways && mesh_gateways.Contains(address);
  }
  // The same where no proof can be asked for: of a hop in a forwarded list.
  bool IsMeshHop(const net::IpAddress& address) const {
    return IsMeshAgent(address) && !unproven_gateways.Contains(address);
  }
};

// Defaults without a document: a gateway counts no proxies and appends; a
// sidecar trusts mesh gateways and keeps the list as it is.
Topology DefaultTopology(Role role);

// The internal ranges of a document that names none: RFC 1918, RFC 4193 and loopback.
std::vector<net::Cidr> DefaultInternalCidrs();

// What a listener does about a PROXY protocol header from this peer. Senders are known by the
// kernel's address: bytes cannot vouch for bytes.
enum class ProxyHeaderRule {
  kNotRead,     // not looked for: the first byte is payload
  kForbidden,   // this peer may not send one: a header is a protocol error
  kOptional,    // read if present
  kRequired,    // without one the connection is refused
  kRefusePeer,  // every connection must carry one, and this peer may not send it
};
ProxyHeaderRule ProxyHeaderRuleFor(const Topology& topology, const net::DirectPeer& peer);

// Whether a header from this peer counts without a proof that one of our agents wrote it.
bool MaySendUnproven(const Topology& topology, const net::DirectPeer& peer);

// The PROXY protocol version to send to an endpoint; kNone sends no header.
//
// An agent always sends one to another agent: without it the client's bytes would arrive under the
// sender's address. So kOff, and V1, which has no room for a proof, hold for other endpoints only.
enum class ProxyVersion { kNone, kV1, kV2 };
ProxyVersion ProxyVersionToSend(const Topology& topology, bool endpoint_has_agent);

}  // namespace whence::trust

#endif  // WHENCE_COMMON_TRUST_TOPOLOGY_H_
