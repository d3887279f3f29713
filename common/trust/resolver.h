// Finds the client a request really came from.
//
// The direct peer is the kernel's word. Everything else is text that somebody wrote, and it is
// worth what its writer is worth. A chain of hops is read from its near end (the right of
// X-Forwarded-For, RFC 7239 section 5.2 has the same order), since only the tail was written by
// someone we trust:
//
//   X-Forwarded-For: 6.6.6.6, 198.18.7.7, 192.0.2.33      direct peer 192.0.2.9
//                    ^^^^^^^  ^^^^^^^^^^  ^^^^^^^^^^                  ^^^^^^^^^
//                    a claim  the client  trusted proxy              trusted proxy
//
// Two ways to know where to stop. A gateway that counts N proxies takes the N-th entry from the
// right; a sidecar, whose trusted peer is one hop more, the (N+1)-th. With trusted ranges we step
// left while the hop at hand is in them, and the first that is not is the client. An entry that is
// needed and cannot be read ends the search with the nearest hop: taking a neighbour instead would
// let the sender choose who he is.
//
// Between our own agents nobody counts again: a sidecar takes a gateway's verdict from
// x-whence-client, or from the PROXY protocol header before TCP; either way on connections only that
// began with a proof.
#ifndef WHENCE_COMMON_TRUST_RESOLVER_H_
#define WHENCE_COMMON_TRUST_RESOLVER_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/http/field_id.h"
#include "common/http/header_field.h"
#include "common/net/roles.h"
#include "common/net/socket_address.h"
#include "common/trust/topology.h"

namespace whence::trust {

// What one of our agents has proved of the connection (proxy_protocol::Verify): whose the words on
// it are. Without a proof an agent's address is anybody's: TCP clients speak through it.
enum class AgentWord : uint8_t {
  kNone,
  kForClient,  // the PROXY protocol header is the agent's, what follows the client's
  kOwn,        // the agent speaks: its requests carry its verdicts
};

// What was claimed about a connection or request. Borrowed; all may be empty, as for plain TCP.
struct Evidence {
  // All header fields as received, in order, and what they are (http::IdentifyField), parallel. The
  // resolver finds the ones it reads by itself, so that no caller can overlook a second line.
  std::span<const http::HeaderField> fields = {};
  std::span<const http::FieldId> ids = {};
  // Source address in the PROXY protocol header, if one was received.
  std::optional<net::SocketAddress> proxy_source = {};
  AgentWord agent_word = AgentWord::kNone;
};

enum class Reason : uint8_t {
  kDirectPeer,        // nothing was forwarded, or nothing that concerns this role
  kProxyProtocol,     // the PROXY protocol header's source
  kHop,               // the entry at position `hop` from the right
  kTrustedRange,      // walked over trusted hops to the entry at position `hop`
  kHeader,            // the configured single-address header
  kGatewayVerdict,    // x-whence-client from a connected gateway
  kUntrustedPeer,     // something was forwarded by a hop we do not trust: the hop itself
  kTooShort,          // fewer entries than counted proxies: the nearest hop
  kMalformed,         // the entry needed is no client address: the nearest hop
  kMalformedVerdict,  // a gateway's x-whence-client is no client address: the nearest hop
};

// A total answer; lack of evidence is an answer too.
struct Resolution {
  net::TrustedClient client;
  Reason reason;
  ClientAddressFrom source;    // which chain `reason` speaks of
  uint16_t hop;                // 1 is the rightmost entry; 0 where no entry was taken; saturates
  bool peer_is_trusted;        // the nearest hop's forwarded headers were believed
  net::IpAddress nearest_hop;  // the direct peer, or the PROXY protocol's source in its place
};

// How the answer came about, hop by hop from the nearest.
struct TraceHop {
  std::string text;                       // as received
  std::optional<net::IpAddress> address;  // as understood; none if it is no client address
  std::string source;     // "peer", "proxy-protocol", "x-forwarded-for[2]" (second from the right)
  std::string judgement;  // why the walk went on or stopped here
};
struct Trace {
  std::vector<TraceHop> hops;
};

// Never fails. Safe from any thread; allocates only when `trace` is not null.
// The peer of a connection that has no IP address is "::", which is no client anyone trusts.
Resolution Resolve(const net::DirectPeer& peer, const Evidence& evidence, const Topology& topology,
                   Trace* trace = nullptr);

// "direct-peer", "proxy-protocol", "xff-hop-2", "xff-trusted-range", "forwarded-hop-1", "header",
// "gateway-verdict", "untrusted-peer", "xff-too-short", "xff-malformed", … These are the values of
// the access log's client_reason. `out` must hold kMaxReasonText; returns the length.
inline constexpr size_t kMaxReasonText = 32;
size_t FormatReason(const Resolution& resolution, char* out);
std::string ReasonText(const Resolution& resolution);

}  // namespace whence::trust

#endif  // WHENCE_COMMON_TRUST_RESOLVER_H_
