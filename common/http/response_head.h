// HTTP/1.x response heads, strict as RFC 9112. Whatever is ambiguous becomes a 502: an origin that
// a client and we could read differently would let one response answer two requests (response
// splitting).
//
// Deliberate leniency: a status line without the blank before an empty reason; several
// Content-Length fields that are identical count as one (RFC 9112, 6.3), the later ones are put
// into `hop_by_hop`.
//
// Pure: reads only its arguments, allocates nothing, safe from any thread.
#ifndef WHENCE_COMMON_HTTP_RESPONSE_HEAD_H_
#define WHENCE_COMMON_HTTP_RESPONSE_HEAD_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "common/http/head.h"

namespace whence::http {

// The request that this response answers: framing depends on it.
struct ResponseContext {
  bool head = false;               // the method was HEAD
  bool connect = false;            // the method was CONNECT
  bool upgrade_requested = false;  // we forwarded an Upgrade field; else a 101 is refused
};

// All views are borrowed from the parsed bytes, the spans from the HeadStorage.
struct ResponseHead {
  int minor_version = 1;
  int status = 0;           // 100..999
  std::string_view reason;  // may be empty

  std::span<const HeaderField> fields;
  std::span<const FieldId> ids;  // parallel to `fields`
  FieldSet hop_by_hop;           // the fields that must not be forwarded, see hop_by_hop.h

  // kNone after HEAD and for 1xx, 204, 304; kUntilClose also for 101 and the 2xx of CONNECT, where
  // a tunnel begins.
  BodyFraming framing = BodyFraming::kNone;
  uint64_t content_length = 0;  // kContentLength only
  size_t head_bytes = 0;        // where the body begins

  bool keep_alive = true;  // the origin will take another request
  bool interim() const { return status < 200 && status != 101; }  // another head follows
  bool tunnel = false;                                            // 101, or 2xx to CONNECT
};

// As ParseRequestHead. A rejection always has http_status 502.
ParseResult ParseResponseHead(std::string_view bytes, const HeadLimits& limits,
                              const ResponseContext& context, HeadStorage& storage,
                              ResponseHead* out, HeadProgress* progress = nullptr);

}  // namespace whence::http

#endif  // WHENCE_COMMON_HTTP_RESPONSE_HEAD_H_
