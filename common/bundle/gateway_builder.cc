#include "common/bundle/gateway_builder.h"

#include <map>
#include <set>

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
          AddVirtualService(name, server, service_name, document->virtual_service(), &listener);
        }
      }
    }
  }

  void Finish(v1::WorkloadBundle* bundle) {
    for (auto& [port, listener] : listeners_) {
      for (auto& [domain, host] : listener.hosts) {
        *listener.resource.add_virtual_hosts() = std::move(host);
      }
      *bundle->add_listeners() = std::move(listener.resource);
    }
    for (auto& [name, cluster] : clusters_) *bundle->add_clusters() = std::move(cluster);
  }

 private:
  struct Listener {
    v1::ListenerResource resource;
    std::map<std::string, v1::VirtualHost> hosts;  // by domain
    // (domain, VirtualService) that have been added: two servers on one port may share both.
    std::set<std::pair<std::string, DocumentName>> added;
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

  void AddVirtualService(const DocumentName& gateway, const v1::GatewayServer& server,
                         const DocumentName& name, const v1::VirtualServiceSpec& service,
                         Listener* listener) {
    for (const std::string& text : server.hosts()) {
      const ServerHost server_host(text);
      if (!server_host.Admits(name.first, gateway.first)) continue;
      for (const std::string& host : service.hosts()) {
        const std::optional<std::string> domain = Intersection(server_host.host, host);
        if (!domain) continue;
        if (listener->resource.protocol() == v1::TCP) {
          AddTcp(server.port().number(), name.first, service, listener);
        } else if (listener->added.emplace(*domain, name).second) {
          AddHttp(*domain, name.first, service, listener);
        }
      }
    }
  }

  void AddHttp(const std::string& domain, const std::string& space,
               const v1::VirtualServiceSpec& service, Listener* listener) {
    if (service.http().empty()) return;
    v1::VirtualHost& host = listener->hosts[domain];
    if (host.domains().empty()) host.add_domains(domain);
    for (const v1::HttpRoute& route : service.http()) {
      if (route.route().empty()) continue;
      const std::string cluster = AddCluster(route.route(0), space);
      v1::RouteResource resource;
      resource.set_name(route.name());
      resource.set_cluster(cluster);
      resource.set_prefix("/");
      if (route.match().empty()) *host.add_routes() = resource;
      for (const v1::HttpMatch& match : route.match()) {
        if (match.uri().has_exact()) {
          resource.set_exact(match.uri().exact());
        } else {
          resource.set_prefix(match.uri().has_prefix() ? match.uri().prefix() : "/");
        }
        *host.add_routes() = resource;
      }
    }
  }

  // The first route in order that takes the port; a TCP listener has one destination.
  void AddTcp(uint32_t port, const std::string& space, const v1::VirtualServiceSpec& service,
              Listener* listener) {
    for (const v1::TcpRoute& route : service.tcp()) {
      if (!listener->resource.cluster().empty()) return;
      bool matches = route.match().empty();
      for (const v1::TcpRoute::Match& match : route.match()) {
        matches = matches || match.port() == 0 || match.port() == port;
      }
      if (matches && !route.route().empty()) {
        listener->resource.set_cluster(AddCluster(route.route(0), space));
      }
    }
  }

  std::string AddCluster(const v1::RouteDestination& route, const std::string& space) {
    v1::ClusterResource cluster =
        BuildCluster(view_, inventory_, self_, ToLower(route.destination().host()),
                     route.destination().port().number(), space);
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
