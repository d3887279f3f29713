#include "common/document/service_port.h"

#include <string>
#include <string_view>

#include "common/base/strings.h"

namespace whence::document {

Speaks SpokenAt(const v1::ServiceSpec::Port& port) {
  const std::string declared = port.app_protocol().empty()
                                   ? port.name().substr(0, port.name().find('-'))
                                   : port.app_protocol();
  if (EqualsIgnoreCase(declared, "http")) return Speaks::kHttp;
  // These are not HTTP/1: relayed, and no time is lost on waiting for bytes that the server sends
  // first.
  for (const std::string_view tcp :
       {"tcp", "http2", "grpc", "https", "tls", "mongo", "mysql", "redis"}) {
    if (EqualsIgnoreCase(declared, tcp)) return Speaks::kTcp;
  }
  return Speaks::kUndeclared;
}

}  // namespace whence::document
