// Which route a request takes.
#ifndef WHENCE_COMMON_SNAPSHOT_ROUTER_H_
#define WHENCE_COMMON_SNAPSHOT_ROUTER_H_

#include <string_view>

#include "common/snapshot/routing.h"

namespace whence::snapshot {

// The first route of the most specific virtual host that takes `path`; null: 404.
//
// A virtual host that matches ends the search even if none of its routes takes the path: a request
// never falls through to a less specific host (as Envoy has it; otherwise adding a host to "*"
// would silently widen every other one). `host` as in the Host header, port ignored. `path` is the
// path as it will go upstream; a query in it is ignored.
//
// Pure; safe from any thread; does not allocate.
const Route* Match(const Listener& listener, std::string_view host, std::string_view path);

}  // namespace whence::snapshot

#endif  // WHENCE_COMMON_SNAPSHOT_ROUTER_H_
