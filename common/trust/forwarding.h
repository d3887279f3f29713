// What goes upstream about the client: the received fields to leave out and the lines to add.
//
// All headers that speak of the client are judged together, or an application that reads another
// one of them is fooled while we look the other way:
//
//   x-forwarded-for, forwarded    kept, appended to or replaced, as the topology says
//   x-forwarded-proto             ours at a gateway whose peer is not trusted; else kept, set if
//                                 missing
//   x-forwarded-host, -port, x-real-ip, and the topology's own client header
//                                 dropped at a gateway whose peer is not trusted
//   x-envoy-external-address      a gateway's answer for external requests; an untrusted peer's is
//                                 dropped and counted
//   x-envoy-internal              always recomputed; an untrusted peer's is counted
//   x-envoy-retry-on, ...         control headers, dropped from external requests
//   x-request-id                  made or replaced at the edge
//   x-whence-client               always dropped; a gateway adds its own towards a sidecar; counted
//                                 when it was not to be believed
//
// Underscore aliases (X_Forwarded_For, field_id.h) are dropped and counted.
//
// A sidecar in KEEP mode passes x-forwarded-* of an untrusted peer on as text. Applications of one
// mesh send each other such headers, and without a proxy in between they would arrive.
#ifndef WHENCE_COMMON_TRUST_FORWARDING_H_
#define WHENCE_COMMON_TRUST_FORWARDING_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "common/http/field_set.h"
#include "common/http/header_field.h"
#include "common/trust/resolver.h"
#include "common/trust/topology.h"

namespace whence::trust {

struct ForwardingContext {
  bool downstream_tls = false;
  // The agent's own address, appended in place of a peer 127.0.0.1 or ::1.
  net::IpAddress own_address;
  // The endpoint is a workload with a sidecar, which takes our verdict.
  bool endpoint_has_sidecar = false;
  // Used if the request needs an id. Borrowed.
  std::string_view fresh_request_id;
};

enum class RequestIdFate : uint8_t { kKept, kReplaced, kGenerated };

// The plan for one request. Views are borrowed from the fields, the context and the memory that it
// was made with.
struct Forwarding {
  // The received fields that must not be copied, by index. Hop-by-hop fields are another set.
  http::FieldSet dropped;

  // Lines to write besides; names are lower case.
  std::array<http::HeaderField, 8> added;
  size_t added_count = 0;
  std::span<const http::HeaderField> Added() const { return {added.data(), added_count}; }

  // The request counts as internal: x-envoy-internal is among the added lines.
  bool is_internal = false;
  std::string_view external_address;  // x-envoy-external-address as it goes upstream, or empty
  std::string_view request_id;        // as it goes upstream
  RequestIdFate request_id_fate = RequestIdFate::kKept;
  // Received fields that claimed what their sender may not claim (whence_spoofed_headers_total).
  uint32_t spoof_attempts = 0;
};

// Memory that always suffices for a request head of that many bytes.
constexpr size_t ForwardingMemory(size_t head_bytes) { return head_bytes + 512; }

// Plans one request. `resolution` must come from Resolve with the same evidence and topology. No
// allocation. nullopt: more fields than FieldSet::kCapacity, or `memory` is too small for the
// rewritten lists, which cannot happen with ForwardingMemory(head bytes); answer 431.
std::optional<Forwarding> PlanForwarding(const Evidence& evidence, const Resolution& resolution,
                                         const Topology& topology, const ForwardingContext& context,
                                         std::span<char> memory);

}  // namespace whence::trust

#endif  // WHENCE_COMMON_TRUST_FORWARDING_H_
