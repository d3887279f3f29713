// Which received fields end at this hop (RFC 9110, section 7.6.1).
//
// Connection, Keep-Alive, Proxy-Connection, Trailer, HTTP2-Settings, Upgrade (unless it is passed),
// TE (unless it says `trailers` and nothing else), every field that Connection nominates, and the
// underscore aliases of field_id.h. Content-Length, Transfer-Encoding and Host are not in the set:
// who forwards writes or keeps them as the framing asks.
//
// A nomination is also an attack: `Connection: close, X-Forwarded-For` asks us to remove the
// address that the proxy before us vouched for. Nominating framing, Host, the forwarded
// family or the request's id is refused.
#ifndef WHENCE_COMMON_HTTP_HOP_BY_HOP_H_
#define WHENCE_COMMON_HTTP_HOP_BY_HOP_H_

#include <span>
#include <string_view>

#include "common/http/field_id.h"
#include "common/http/field_set.h"
#include "common/http/header_field.h"

namespace whence::http {

// What the Connection fields of one head say.
struct ConnectionOptions {
  FieldSet drop;
  bool close = false;
  bool keep_alive = false;
  std::string_view upgrade;  // value of the Upgrade field, if nominated and not h2c
  std::string_view error;    // not empty: refuse the head, static text
  bool too_many = false;     // with `error`: too many nominations, 431 rather than 400
};

// More than anybody needs; bounds the work of matching nominations against fields.
inline constexpr int kMaxConnectionOptions = 1024;

// `ids` parallel to `fields`, at most FieldSet::kCapacity.
// `upgrade_may_pass`: false for HTTP/1.0 and for responses other than 101, whose Upgrade field
// always ends here.
ConnectionOptions ReadConnectionOptions(std::span<const HeaderField> fields,
                                        std::span<const FieldId> ids, bool upgrade_may_pass);

// Whether a trailer field may travel on after the body: not framing, routing, credentials, cookies,
// cache control, content metadata nor the forwarded family (RFC 9110, 6.5.1).
bool TrailerMayPass(std::string_view name);

}  // namespace whence::http

#endif  // WHENCE_COMMON_HTTP_HOP_BY_HOP_H_
