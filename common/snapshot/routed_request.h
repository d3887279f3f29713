// What of a request decides its way.
#ifndef WHENCE_COMMON_SNAPSHOT_ROUTED_REQUEST_H_
#define WHENCE_COMMON_SNAPSHOT_ROUTED_REQUEST_H_

#include <span>
#include <string_view>

#include "common/http/field_id.h"
#include "common/http/header_field.h"
#include "common/net/roles.h"

namespace whence::snapshot {

// Borrowed, all of it.
struct RoutedRequest {
  std::string_view host;    // as in the Host header
  std::string_view target;  // path and query, as they will go upstream
  std::string_view method = "GET";
  std::span<const http::HeaderField> fields = {};
  std::span<const http::FieldId> ids = {};  // parallel to `fields`
  // Whether the forwarded family is to be believed (trust::Resolution). If not, those fields count
  // as absent: upstream does not see them either.
  bool peer_is_trusted = false;
  const net::TrustedClient* client = nullptr;  // null: in no range

  std::string_view Path() const { return target.substr(0, target.find('?')); }
  std::string_view Query() const {
    const size_t mark = target.find('?');
    return mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
  }
  // How the client spoke to the outermost of us: a trusted proxy's x-forwarded-proto, else "http",
  // since our own listeners speak nothing else.
  std::string_view Scheme() const;
};

}  // namespace whence::snapshot

#endif  // WHENCE_COMMON_SNAPSHOT_ROUTED_REQUEST_H_
