// Which route a request takes.
#ifndef WHENCE_COMMON_SNAPSHOT_ROUTER_H_
#define WHENCE_COMMON_SNAPSHOT_ROUTER_H_

#include "common/snapshot/routed_request.h"
#include "common/snapshot/routing.h"

namespace whence::snapshot {

// The first route of the most specific virtual host that takes the request; null: 404.
//
// A virtual host that matches ends the search even if none of its routes takes the request: it
// never falls through to a less specific host (as Envoy has it; otherwise adding a host to "*"
// would silently widen every other one). The host's port is ignored, as is the query for the path.
//
// Pure; safe from any thread; does not allocate.
const Route* Match(const Listener& listener, const RoutedRequest& request);

// The first TCP route of the listener that takes the client; null: refuse.
const TcpRoute* MatchTcp(const Listener& listener, const net::TrustedClient& client);

}  // namespace whence::snapshot

#endif  // WHENCE_COMMON_SNAPSHOT_ROUTER_H_
