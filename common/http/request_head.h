// HTTP/1.x request heads, strict as RFC 9112.
//
// Every proxy in front of us and every application behind us must read the same bytes as the same
// request, or one client can write into another's request (request smuggling). So nothing ambiguous
// is repaired, all of it is refused: bare CR or LF, NUL and other control bytes, folded lines,
// blanks before the colon or inside the request line, two lengths, a length and a transfer coding,
// any transfer coding but `chunked`, no Host or two of them. RFC 9112 sections 2.2, 3, 5 and 6.
//
// Deliberate leniency, both from the RFC: one empty line before the request line is skipped (2.2);
// blanks around a field value are trimmed (5.1). Stricter than the RFC: TRACE is refused with 405
// (it echoes credentials), as is CONNECT unless enabled; absolute targets need a path when they
// have a query.
//
// Pure: reads only its arguments, allocates nothing, safe from any thread.
#ifndef WHENCE_COMMON_HTTP_REQUEST_HEAD_H_
#define WHENCE_COMMON_HTTP_REQUEST_HEAD_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "common/http/head.h"

namespace whence::http {

enum class TargetForm : uint8_t { kOrigin, kAbsolute, kAuthority, kAsterisk };

// All views are borrowed from the parsed bytes (or are static), the spans from the HeadStorage.
struct RequestHead {
  std::string_view method;
  // What goes upstream: path and query, also when an absolute target was received; "*"; for
  // CONNECT, the authority.
  std::string_view target;
  TargetForm target_form = TargetForm::kOrigin;
  int minor_version = 1;  // 0 or 1
  // With its port, as received. The authority of an absolute target takes the place of the Host
  // field (RFC 9112, 3.2.2): who forwards writes this and leaves the received Host field out. Empty
  // only for HTTP/1.0 without Host.
  std::string_view host;

  std::span<const HeaderField> fields;
  std::span<const FieldId> ids;  // parallel to `fields`
  FieldSet hop_by_hop;           // the fields that must not be forwarded, see hop_by_hop.h

  BodyFraming framing = BodyFraming::kNone;  // never kUntilClose
  uint64_t content_length = 0;               // kContentLength only
  size_t head_bytes = 0;                     // where the body begins

  bool keep_alive = true;        // the client may send another request
  bool expect_continue = false;  // an interim 100 is awaited before the body
  // `Connection: upgrade` with an Upgrade field that we pass (never h2c): then the received Upgrade
  // field is not in `hop_by_hop`, and who forwards adds `Connection: upgrade`. Empty otherwise.
  std::string_view upgrade;
};

// `bytes` begins with a request head and may end anywhere: within it or after it. kNeedMore: call
// again with more bytes after the same ones. The answer does not depend on how the bytes were
// split.
ParseResult ParseRequestHead(std::string_view bytes, const HeadLimits& limits, HeadStorage& storage,
                             RequestHead* out, HeadProgress* progress = nullptr);

}  // namespace whence::http

#endif  // WHENCE_COMMON_HTTP_REQUEST_HEAD_H_
