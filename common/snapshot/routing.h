// Where a gateway's requests go: listeners, virtual hosts, routes, clusters, endpoints.
//
// All are immutable values of one snapshot. They refer to each other by index into the snapshot
// (a route names its cluster by place), so that a worker follows them without a lookup by name.
#ifndef WHENCE_COMMON_SNAPSHOT_ROUTING_H_
#define WHENCE_COMMON_SNAPSHOT_ROUTING_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/net/cidr_set.h"
#include "common/snapshot/cluster.h"
#include "common/snapshot/conditions.h"
#include "common/snapshot/route_action.h"
#include "common/snapshot/text_match.h"

namespace whence::snapshot {

// What a port speaks. kDetect: look at the first bytes.
enum class Protocol : uint8_t { kDetect, kHttp, kTcp };

struct Route {
  enum class PathMatch : uint8_t { kPrefix, kExact, kRegex };

  std::string name;  // only for messages
  PathMatch match = PathMatch::kPrefix;
  std::string path = "/";    // kPrefix: plain text, "/echo" also takes "/echoes", as in Istio
  uint32_t cluster = 0;      // index into Snapshot::clusters; unless `action` says otherwise
  bool ignore_case = false;  // of kPrefix and kExact
  std::shared_ptr<const Regex> regex = {};            // kRegex
  std::shared_ptr<const Conditions> conditions = {};  // null: the path is all
  std::shared_ptr<const RouteAction> action = {};     // null: to `cluster`, as it is
};

struct VirtualHost {
  std::vector<std::string> domains;  // "host", "*.suffix" or "*", without port
  std::vector<Route> routes;         // the first match wins
};

// The virtual hosts of one listener, with an index over their domains, so that the cost of finding
// one grows with the length of the name asked for and not with the number of hosts.
//
// Immutable after construction; safe from any thread. Lookups do not allocate.
class VirtualHosts {
 public:
  VirtualHosts() = default;  // finds nothing
  // Domains are compared without regard to case. Of equal domains the first holds; wire::Decode
  // refuses such input, so that the order never decides.
  explicit VirtualHosts(std::vector<VirtualHost> hosts);

  // The exact name, else the longest "*.suffix" (which needs something before the dot), else "*".
  // `host` is as in the Host header: port and brackets are ignored, a trailing dot is not. Null:
  // none.
  const VirtualHost* Find(std::string_view host) const;

  const std::vector<VirtualHost>& all() const { return hosts_; }

 private:
  using Index = std::vector<std::pair<std::string, uint32_t>>;  // sorted by lower-case name
  static const uint32_t* Lookup(const Index& index, std::string_view name);

  std::vector<VirtualHost> hosts_;
  Index exact_;
  Index suffixes_;  // ".example.com" for "*.example.com"
  std::optional<uint32_t> any_;
};

// A TCP listener's way to an endpoint.
struct TcpRoute {
  std::optional<net::CidrSet> source_cidrs;  // one holds the trusted client; none: everyone's
  std::vector<Destination> destinations;     // at least one; without edits
  uint32_t shares = 1;                       // their sum

  uint32_t Pick(uint32_t random) const;  // index into Snapshot::clusters
};

// A declared port of a gateway.
struct Listener {
  uint16_t port = 0;
  Protocol protocol = Protocol::kHttp;
  VirtualHosts virtual_hosts;        // kHttp
  std::vector<TcpRoute> tcp_routes;  // kTcp: the first match wins; none: refuse
};

}  // namespace whence::snapshot

#endif  // WHENCE_COMMON_SNAPSHOT_ROUTING_H_
