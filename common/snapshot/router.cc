#include "common/snapshot/router.h"

namespace whence::snapshot {
namespace {

bool Takes(const Route& route, std::string_view path) {
  switch (route.match) {
    case Route::PathMatch::kExact:
      return path == route.path;
    case Route::PathMatch::kPrefix:
      return path.substr(0, route.path.size()) == route.path;
  }
  return false;
}

}  // namespace

const Route* Match(const Listener& listener, std::string_view host, std::string_view path) {
  const VirtualHost* found = listener.virtual_hosts.Find(host);
  if (found == nullptr) return nullptr;
  const std::string_view without_query = path.substr(0, path.find('?'));
  for (const Route& route : found->routes) {
    if (Takes(route, without_query)) return &route;
  }
  return nullptr;
}

}  // namespace whence::snapshot
