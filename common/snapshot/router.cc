#include "common/snapshot/router.h"

#include "common/base/strings.h"

namespace whence::snapshot {
namespace {

bool TakesPath(const Route& route, std::string_view path) {
  switch (route.match) {
    case Route::PathMatch::kExact:
      return route.ignore_case ? EqualsIgnoreCase(path, route.path) : path == route.path;
    case Route::PathMatch::kPrefix:
      return route.ignore_case ? StartsWithIgnoreCase(path, route.path)
                               : path.substr(0, route.path.size()) == route.path;
    case Route::PathMatch::kRegex:
      return route.regex->MatchesWhole(path);
  }
  return false;
}

}  // namespace

const Route* Match(const Listener& listener, const RoutedRequest& request) {
  const VirtualHost* found = listener.virtual_hosts.Find(request.host);
  if (found == nullptr) return nullptr;
  const std::string_view path = request.Path();
  for (const Route& route : found->routes) {
    if (!TakesPath(route, path)) continue;
    if (route.conditions == nullptr || route.conditions->Hold(request)) return &route;
  }
  return nullptr;
}

const TcpRoute* MatchTcp(const Listener& listener, const net::TrustedClient& client) {
  for (const TcpRoute& route : listener.tcp_routes) {
    if (!route.source_cidrs || route.source_cidrs->Contains(client.ip())) return &route;
  }
  return nullptr;
}

}  // namespace whence::snapshot
