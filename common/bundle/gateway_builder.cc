#include "common/bundle/gateway_builder.h"

#include <algorithm>
#include <map>
#include <set>

#include "common/base/duration.h"
#include "common/base/strings.h"
#include "common/bundle/selection.h"
#include "common/bundle/service_names.h"
#include "common/document/values.h"

namespace whence::bundle {
namespace {

std::string ToLower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = ToLowerAscii(c);
  return out;
}

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

// A server's host with its namespace part: "ns/host", "./host", "*/host", or just "host".
struct ServerHost {
  std::string_view space = "*";
  std::string_view host;

  explicit ServerHost(std::string_view text) : host(text) {
    const size_t slash = text.find('/');
    if (slash == std::string_view::npos) return;
    space = text.substr(0, slash);
    host = text.substr(slash + 1);
  }
  bool Admits(const std::string& virtual_service_space, const std::string& gateway_space) const {
    if (space == "*") return true;
    return virtual_service_space == (space == "." ? std::string_view(gateway_space) : space);
  }
};

// A route's timeout as the wire has it: the longest of its type, 49 days, where more is asked for.
uint32_t ToMillis(const std::string& timeout) {
  const auto millis = ParseDuration(timeout).value_or(std::chrono::milliseconds(0));
  return static_cast<uint32_t>(std::min<int64_t>(millis.count(), UINT32_MAX));
}

bool IsServed(const v1::GatewayServer& server) {
  const std::string& protocol = server.port().protocol();
  return protocol == "HTTP" || protocol == "TCP";  // others were applied with a warning
}

uint32_t PortOf(const ConfigView& view, const Workload& self, const v1::GatewayServer& server) {
  return server.port().target_port() != 0 ? server.port().target_port()
                                          : ListeningPort(view, self, server.port().number());
}

bool Concerns(const v1::GatewaySpec& gateway, const Workload& workload) {
  return !gateway.selector().empty() && Selects(gateway.selector(), workload.labels);
}

// Through which server of which Gateway a VirtualService is reached.
struct Binding {
  std::string gateway;  // "namespace/name"
  uint32_t port;        // as the server declares it
  friend auto operator<=>(const Binding&, const Binding&) = default;
};
// The VirtualServices of one host, in the order of their names.
using Bindings = std::map<DocumentName, std::set<Binding>>;

// The part of a match that only the builder can decide.
template <typename Match>
bool Admits(const Match& match, const std::string& space, const std::set<Binding>& bindings) {
  for (const Binding& binding : bindings) {
    if (match.port() != 0 && match.port() != binding.port) continue;
    bool admits = match.gateways().empty();
    for (const std::string& written : match.gateways()) {
      admits = admits || document::QualifiedName(written, space) == binding.gateway;
    }
    if (admits) return true;
  }
  return false;
}

class ListenerBuilder {
 public:
  ListenerBuilder(const ConfigView& view, const std::vector<const Workload*>& inventory,
                  const Workload& self)
      : view_(view), inventory_(inventory), self_(self) {}

  void AddGateway(const DocumentName& name, const v1::GatewaySpec& gateway) {
    for (const v1::GatewayServer& server : gateway.servers()) {
      if (!IsServed(server)) continue;
      const uint32_t port = PortOf(view_, self_, server);
      Listener& listener = listeners_[port];
      const v1::ListenerProtocol wanted = server.port().protocol() == "HTTP" ? v1::HTTP : v1::TCP;
      // Two Service ports may lead to one: the first in order holds.
      if (listener.resource.protocol() == v1::LISTENER_PROTOCOL_UNSPECIFIED) {
        listener.resource.set_port(port);
        listener.resource.set_protocol(wanted);
      }
      if (listener.resource.protocol() != wanted) continue;
      for (const auto& [service_name, document] : view_.virtual_services()) {
        if (IsBound(document->virtual_service(), service_name.first, name)) {
          Bind(name, server, service_name, document->virtual_service(), &listener);
        }
      }
    }
  }

  void Finish(v1::WorkloadBundle* bundle) {
    for (auto& [port, listener] : listeners_) {
      for (const auto& [domain, bindings] : listener.hosts) {
        if (listener.resource.protocol() == v1::HTTP) {
          AddHost(domain, bindings, &listener.resource);
        } else {
          AddTcp(bindings, &listener.resource);
        }
      }
      *bundle->add_listeners() = std::move(listener.resource);
    }
    for (auto& [name, cluster] : clusters_) *bundle->add_clusters() = std::move(cluster);
  }

 private:
  struct Listener {
    v1::ListenerResource resource;
    std::map<std::string, Bindings> hosts;  // by domain; TCP knows none: ""
  };

  static bool IsBound(const v1::VirtualServiceSpec& service, const std::string& space,
                      const DocumentName& gateway) {
    for (const std::string& written : service.gateways()) {
      if (document::QualifiedName(written, space) == gateway.first + "/" + gateway.second) {
        return true;
      }
    }
    return false;
  }

  void Bind(const DocumentName& gateway, const v1::GatewayServer& server, const DocumentName& name,
            const v1::VirtualServiceSpec& service, Listener* listener) {
    const bool is_http = listener->resource.protocol() == v1::HTTP;
    if (is_http ? service.http().empty() : service.tcp().empty()) return;
    for (const std::string& text : server.hosts()) {
      const ServerHost server_host(text);
      if (!server_host.Admits(name.first, gateway.first)) continue;
      for (const std::string& host : service.hosts()) {
        const std::optional<std::string> domain = Intersection(server_host.host, host);
        if (!domain) continue;
        listener->hosts[is_http ? *domain : ""][name].insert(
            {gateway.first + "/" + gateway.second, server.port().number()});
      }
    }
  }

  // What takes everything goes behind the routes of all VirtualServices of the host, as in Istio:
  // or the names of documents would decide whether others are ever asked.
  void AddHost(const std::string& domain, const Bindings& bindings,
               v1::ListenerResource* listener) {
    v1::VirtualHost* host = listener->add_virtual_hosts();
    host->add_domains(domain);
    std::vector<v1::RouteResource> last;
    for (const auto& [name, reached_by] : bindings) {
      for (v1::RouteResource& route :
           RoutesOf(view_.virtual_services().at(name)->virtual_service(), name.first, reached_by)) {
        if (TakesEverything(route)) {
          last.push_back(std::move(route));
        } else {
          *host->add_routes() = std::move(route);
        }
      }
    }
    for (v1::RouteResource& route : last) *host->add_routes() = std::move(route);
  }

  static bool TakesEverything(const v1::RouteResource& route) {
    return route.prefix() == "/" && !route.has_conditions();
  }

  // In the document's order, up to one that takes everything: behind it none is ever asked.
  std::vector<v1::RouteResource> RoutesOf(const v1::VirtualServiceSpec& service,
                                          const std::string& space,
                                          const std::set<Binding>& reached_by) {
    std::vector<v1::RouteResource> routes;
    for (const v1::HttpRoute& route : service.http()) {
      const v1::RouteResource action = ActionOf(route, space);
      std::vector<v1::HttpMatch> matches(route.match().begin(), route.match().end());
      if (matches.empty()) matches.emplace_back();
      for (const v1::HttpMatch& match : matches) {
        if (!Admits(match, space, reached_by)) continue;
        routes.push_back(action);
        SetMatch(match, &routes.back());
        if (TakesEverything(routes.back())) return routes;
      }
    }
    return routes;
  }

  static void SetMatch(const v1::HttpMatch& match, v1::RouteResource* route) {
    if (match.uri().has_exact()) {
      route->set_exact(match.uri().exact());
    } else if (match.uri().has_regex()) {
      route->set_regex(match.uri().regex());
    } else {
      route->set_prefix(match.uri().has_prefix() ? match.uri().prefix() : "/");
    }
    route->set_ignore_case(match.ignore_uri_case());
    v1::HttpMatch rest = match;
    rest.clear_name();
    rest.clear_uri();
    rest.clear_ignore_uri_case();
    rest.clear_port();
    rest.clear_gateways();
    if (rest.ByteSizeLong() != 0) *route->mutable_conditions() = std::move(rest);
  }

  v1::RouteResource ActionOf(const v1::HttpRoute& route, const std::string& space) {
    v1::RouteResource resource;
    resource.set_name(route.name());
    if (route.has_redirect()) {
      *resource.mutable_redirect() = route.redirect();
    } else if (route.has_direct_response()) {
      *resource.mutable_direct_response() = route.direct_response();
    } else if (route.route_size() == 1 && !route.route(0).has_headers()) {
      resource.set_cluster(AddCluster(route.route(0), space));
    } else {
      AddShares(route.route(), space, resource.mutable_clusters());
    }
    if (route.has_rewrite()) *resource.mutable_rewrite() = route.rewrite();
    if (route.has_headers()) *resource.mutable_headers() = route.headers();
    if (route.has_retries()) *resource.mutable_retries() = route.retries();
    resource.set_timeout_ms(ToMillis(route.timeout()));
    return resource;
  }

  void AddShares(const google::protobuf::RepeatedPtrField<v1::RouteDestination>& route,
                 const std::string& space,
                 google::protobuf::RepeatedPtrField<v1::WeightedCluster>* clusters) {
    for (const v1::RouteDestination& one : route) {
      v1::WeightedCluster* cluster = clusters->Add();
      cluster->set_cluster(AddCluster(one, space));
      cluster->set_weight(one.weight());
      if (one.has_headers()) *cluster->mutable_headers() = one.headers();
    }
  }

  // In the order of the documents' names, up to one that takes everyone.
  void AddTcp(const Bindings& bindings, v1::ListenerResource* listener) {
    for (const auto& [name, reached_by] : bindings) {
      for (const v1::TcpRoute& route : view_.virtual_services().at(name)->virtual_service().tcp()) {
        std::vector<v1::TcpRoute::Match> matches(route.match().begin(), route.match().end());
        if (matches.empty()) matches.emplace_back();
        for (const v1::TcpRoute::Match& match : matches) {
          if (!Admits(match, name.first, reached_by)) continue;
          if (AddTcpRoute(route, match, name.first, listener)) return;
        }
      }
    }
  }

  // True: it takes everyone.
  bool AddTcpRoute(const v1::TcpRoute& route, const v1::TcpRoute::Match& match,
                   const std::string& space, v1::ListenerResource* listener) {
    const bool takes_everyone = match.source_cidrs().empty();
    if (takes_everyone && route.route_size() == 1) {
      listener->set_cluster(AddCluster(route.route(0), space));
      return true;
    }
    v1::TcpRouteResource* resource = listener->add_tcp_routes();
    *resource->mutable_source_cidrs() = match.source_cidrs();
    AddShares(route.route(), space, resource->mutable_clusters());
    return takes_everyone;
  }

  std::string AddCluster(const v1::RouteDestination& route, const std::string& space) {
    const v1::RouteDestination::Destination& to = route.destination();
    v1::ClusterResource cluster = BuildCluster(
        view_, inventory_, self_, {ToLower(to.host()), to.port().number(), space, to.subset()});
    std::string name = cluster.name();
    clusters_.emplace(name, std::move(cluster));
    return name;
  }

  const ConfigView& view_;
  const std::vector<const Workload*>& inventory_;
  const Workload& self_;
  std::map<uint32_t, Listener> listeners_;
  std::map<std::string, v1::ClusterResource> clusters_;
};

}  // namespace

std::optional<std::string> Intersection(std::string_view a, std::string_view b) {
  if (a == "*") return ToLower(b);
  if (b == "*") return ToLower(a);
  std::string narrow = ToLower(a), wide = ToLower(b);
  if (narrow == wide) return narrow;
  const auto is_wildcard = [](const std::string& text) { return text.rfind("*.", 0) == 0; };
  if (!is_wildcard(wide) || (is_wildcard(narrow) && narrow.size() < wide.size())) {
    std::swap(narrow, wide);
  }
  // "*.b" holds "a.b" and "*.a.b", which are longer than its ".b"; an exact name holds only itself.
  const bool holds = is_wildcard(wide) && EndsWith(narrow, std::string_view(wide).substr(1));
  return holds ? std::optional<std::string>(narrow) : std::nullopt;
}

void BuildListeners(const ConfigView& view, const std::vector<const Workload*>& inventory,
                    const Workload& self, v1::WorkloadBundle* bundle) {
  ListenerBuilder builder(view, inventory, self);
  for (const auto& [name, document] : view.gateways()) {
    if (Concerns(document->gateway(), self)) builder.AddGateway(name, document->gateway());
  }
  builder.Finish(bundle);
}

bool ListensOn(const ConfigView& view, const Workload& workload, uint32_t port) {
  for (const auto& [name, document] : view.gateways()) {
    if (!Concerns(document->gateway(), workload)) continue;
    for (const v1::GatewayServer& server : document->gateway().servers()) {
      if (IsServed(server) && PortOf(view, workload, server) == port) return true;
    }
  }
  return false;
}

}  // namespace whence::bundle
