// How one of our agents proves to another that a connection is its own.
//
// A gateway's address is no proof. Whoever opens a TCP connection through it writes the first bytes
// that arrive from that address, unless the gateway puts a header before them, and it does so only
// where it knows of an agent that takes it away. A node's address is the source of whatever
// kube-proxy hides behind it. So every connection between our agents begins with a PROXY protocol
// header of version 2 that carries a proof which nobody else can make:
//
//   TLV 0xe5:  what is spoken (1 byte) | tag (16 bytes)
//   tag:       HMAC-SHA256(the receiver's key, what is spoken | from | to | source), the first half
//
// `from` and `to` are the connection's own ends, so that a header which somebody has seen is of no
// use on another connection; `source` is the client that the header names. The receiver's key is
// known to its agent, to the control plane, which makes it, and to the gateways and node agents
// that have the receiver as an endpoint.
//
// Pure.
#ifndef WHENCE_COMMON_PROXY_PROTOCOL_HANDOVER_H_
#define WHENCE_COMMON_PROXY_PROTOCOL_HANDOVER_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "common/net/socket_address.h"
#include "common/proxy_protocol/tlv.h"

namespace whence::proxy_protocol {

// Of the range that the protocol text leaves to applications (0xe0 to 0xef).
inline constexpr uint8_t kTlvHandover = 0xe5;

using HandoverKey = std::array<uint8_t, 16>;

// Who wrote what follows the header.
enum class Spoken : uint8_t {
  kByClient = 1,  // relayed bytes of the client that the header names
  kByAgent = 2,   // the agent's own requests, each with its verdict; the header names the agent
};

struct Handover {
  Spoken spoken = Spoken::kByClient;
  net::SocketAddress from;    // the connection as the receiver sees it
  net::SocketAddress to;      // where it was aimed
  net::SocketAddress source;  // as the header says
};

// The TLV's value.
inline constexpr size_t kHandoverBytes = 17;
using HandoverProof = std::array<char, kHandoverBytes>;
HandoverProof Prove(const HandoverKey& key, const Handover& handover);

// What is spoken, if `tlvs` hold a proof of `handover` (whose own `spoken` is not read). nullopt:
// there is none, or it is wrong. Takes the same time wherever a wrong one differs.
std::optional<Spoken> Verify(const HandoverKey& key, const Handover& handover,
                             std::string_view tlvs);

// The key of the workload "namespace/name", from the secret that the control plane keeps.
HandoverKey DeriveKey(std::string_view secret, std::string_view workload);
// nullopt: not of a key's size.
std::optional<HandoverKey> KeyFromBytes(std::string_view bytes);

}  // namespace whence::proxy_protocol

#endif  // WHENCE_COMMON_PROXY_PROTOCOL_HANDOVER_H_
