// Gateway, VirtualService and Service.
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "common/document/check.h"
#include "common/document/check_routes.h"
#include "common/document/edit_distance.h"
#include "common/net/ip_address.h"

namespace whence::document {
namespace {

// "host", or "namespace/host" where the namespace may be "." (its own) or "*" (any).
Complaint CheckServerHost(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return CheckHostPattern(text);
  const std::string_view space = text.substr(0, slash);
  if (space != "." && space != "*") {
    if (Complaint complaint = CheckLabelName(space)) return complaint;
  }
  return CheckHostPattern(text.substr(slash + 1));
}

void CheckServerProtocol(const std::string& protocol, const std::string& path,
                         CheckContext& context) {
  if (protocol == "HTTP" || protocol == "TCP") return;
  if (protocol.empty()) return context.Fault(path, "is missing: HTTP or TCP");
  for (const std::string_view other : {"HTTPS", "GRPC", "GRPC-WEB", "HTTP2", "MONGO", "TLS"}) {
    if (EqualsIgnoreCase(protocol, other)) {
      return context.Unsupported(
          path,
          absl::StrCat(ToAbsl(other), " is an Istio protocol that Whence does not act on yet"),
          "nothing listens for this server");
    }
  }
  const std::string nearest = Nearest(protocol, {"HTTP", "TCP"});
  context.Fault(path, absl::StrCat("must be HTTP or TCP, not \"", protocol, "\"",
                                   nearest.empty() ? "" : "; did you mean " + nearest + "?"));
}

void CheckWeights(const google::protobuf::RepeatedPtrField<v1::RouteDestination>& route,
                  const std::string& path, CheckContext& context) {
  if (route.size() < 2) return;
  uint64_t sum = 0;
  for (const v1::RouteDestination& one : route) sum += one.weight();
  if (sum == 0) {
    context.Fault(
        Item(path, 0) + ".weight",
        "is missing: of several destinations each has a weight, and one at least is not 0");
  } else if (sum > UINT32_MAX) {
    context.Fault(path, absl::StrCat("the weights sum up to ", sum, "; at most ", UINT32_MAX));
  }
}

void CheckTcpRoute(const v1::TcpRoute& route, const std::string& path, CheckContext& context) {
  for (int m = 0; m < route.match_size(); ++m) {
    const std::string at = Item(path + ".match", m);
    const uint32_t port = route.match(m).port();
    if (port != 0) context.Expect(CheckPort(port), at + ".port");
    CheckMatchGateways(route.match(m).gateways(), at + ".gateways", context);
    context.CheckCidrs(route.match(m).source_cidrs(), at + ".sourceCidrs");
  }
  CheckDestinations(route.route(), path + ".route", context);
  for (int i = 0; i < route.route_size(); ++i) {
    if (route.route(i).has_headers()) {
      context.Fault(Item(path + ".route", i) + ".headers", "TCP has no headers");
    }
  }
}

}  // namespace

// A host name as a destination: a Service's name, or the address of something outside.
Complaint CheckDestinationHost(std::string_view text) {
  if (net::IpAddress::Parse(text)) return std::nullopt;
  if (text.substr(0, 1) == "*") return "a destination cannot be a wildcard";
  return CheckHostPattern(text);
}

void CheckDestinations(const google::protobuf::RepeatedPtrField<v1::RouteDestination>& route,
                       const std::string& path, CheckContext& context) {
  if (route.empty()) return context.Fault(path, "is missing: name a destination");
  CheckWeights(route, path, context);
  for (int i = 0; i < route.size(); ++i) {
    const auto& destination = route[i].destination();
    const std::string at = Item(path, i) + ".destination";
    if (destination.host().empty()) {
      context.Fault(at + ".host", "is missing");
    } else {
      context.Expect(CheckDestinationHost(destination.host()), at + ".host");
    }
    if (!destination.subset().empty()) {
      context.Expect(CheckLabelName(destination.subset()), at + ".subset");
    }
    if (destination.has_port()) {
      context.Expect(CheckPort(destination.port().number()), at + ".port.number");
    } else if (net::IpAddress::Parse(destination.host())) {
      context.Fault(at + ".port", "is missing: an address has no declared ports");
    }
  }
}

void CheckMatchGateways(const google::protobuf::RepeatedPtrField<std::string>& gateways,
                        const std::string& path, CheckContext& context) {
  for (int i = 0; i < gateways.size(); ++i) {
    if (gateways[i] == "mesh") {
      context.Unsupported(Item(path, i),
                          "\"mesh\" means the sidecars of clients; Whence routes at gateways only");
    } else {
      context.Expect(CheckReference(gateways[i]), Item(path, i));
    }
  }
}

void CheckGateway(const v1::GatewaySpec& spec, CheckContext& context) {
  if (spec.selector().empty()) {
    context.Fault("spec.selector", "is missing: give the labels of the gateway's workload");
  }
  context.CheckSelector(spec.selector(), "spec.selector");
  if (spec.servers().empty()) {
    context.MissingUnlessLeftOut("spec.servers", "is missing: name at least one port",
                                 "no server is left: nothing listens");
  }
  std::map<uint32_t, std::string> protocols;
  for (int i = 0; i < spec.servers_size(); ++i) {
    const v1::GatewayServer& server = spec.servers(i);
    const std::string path = Item("spec.servers", i);
    context.Expect(CheckPort(server.port().number()), path + ".port.number");
    if (server.port().target_port() != 0) {
      context.Expect(CheckPort(server.port().target_port()), path + ".port.targetPort");
    }
    CheckServerProtocol(server.port().protocol(), path + ".port.protocol", context);
    if (server.hosts().empty()) {
      context.Fault(path + ".hosts", "is missing; for every host write [\"*\"]");
    }
    context.CheckEach(server.hosts(), path + ".hosts", CheckServerHost);
    const auto [known, is_new] =
        protocols.emplace(server.port().number(), server.port().protocol());
    if (!is_new && known->second != server.port().protocol()) {
      context.Fault(path + ".port.protocol",
                    absl::StrCat("port ", server.port().number(), " is ", known->second,
                                 " in an earlier server; one port speaks one protocol"));
    }
  }
}

void CheckVirtualService(const v1::VirtualServiceSpec& spec, CheckContext& context) {
  if (spec.hosts().empty()) {
    context.Fault("spec.hosts", "is missing: name the hosts that clients ask for, or [\"*\"]");
  }
  context.CheckEach(spec.hosts(), "spec.hosts", CheckHostPattern);
  if (spec.gateways().empty()) {
    context.Unsupported("spec.gateways",
                        "is missing, which in Istio means the sidecars of clients; Whence routes "
                        "at gateways only",
                        "kept: routes nothing");
  }
  CheckMatchGateways(spec.gateways(), "spec.gateways", context);
  if (spec.http().empty() && spec.tcp().empty()) {
    context.MissingUnlessLeftOut("spec", "has no routes: give http or tcp",
                                 "no route is left: nothing is routed");
  }
  for (int i = 0; i < spec.http_size(); ++i) {
    CheckHttpRoute(spec.http(i), Item("spec.http", i), context);
  }
  for (int i = 0; i < spec.tcp_size(); ++i) {
    CheckTcpRoute(spec.tcp(i), Item("spec.tcp", i), context);
  }
}

namespace {

constexpr std::string_view kServiceTypes[] = {"ClusterIP", "NodePort", "LoadBalancer",
                                              "ExternalName"};
constexpr std::string_view kTrafficPolicies[] = {"Cluster", "Local"};
constexpr std::string_view kFamilies[] = {"IPv4", "IPv6"};
constexpr std::string_view kFamilyPolicies[] = {"SingleStack", "PreferDualStack",
                                                "RequireDualStack"};
constexpr std::string_view kAffinities[] = {"None", "ClientIP"};

Complaint CheckClusterIp(std::string_view text) {
  if (text.empty() || text == "None" || net::IpAddress::Parse(text)) return std::nullopt;
  return absl::StrCat("\"", ToAbsl(text), "\" is no IP address, and not None");
}

// RFC 6335: the name of a service.
bool IsPortName(std::string_view text) {
  bool has_letter = false;
  for (const char c : text) has_letter = has_letter || (c >= 'a' && c <= 'z');
  return text.size() <= 15 && has_letter && !CheckLabelName(text);
}

void CheckTargetPort(const std::string& text, const std::string& path, CheckContext& context) {
  if (text.empty() || !CheckPortText(text)) return;
  const std::string expected = absl::StrCat(
      "\"", text, "\" must be a number from 1 to 65535: port names are known to Kubernetes only");
  if (IsPortName(text)) {
    context.Unsupported(path, expected, "kept: the port has no endpoints");
  } else {
    context.Fault(path, expected);
  }
}

}  // namespace

void CheckService(const v1::ServiceSpec& spec, CheckContext& context) {
  context.CheckSelector(spec.selector(), "spec.selector");
  context.CheckOneOf(spec.type(), kServiceTypes, "spec.type");
  context.Expect(CheckClusterIp(spec.cluster_ip()), "spec.clusterIP");
  context.CheckEach(spec.cluster_ips(), "spec.clusterIPs", CheckClusterIp);
  context.CheckOneOf(spec.external_traffic_policy(), kTrafficPolicies,
                     "spec.externalTrafficPolicy");
  context.CheckOneOf(spec.internal_traffic_policy(), kTrafficPolicies,
                     "spec.internalTrafficPolicy");
  for (int i = 0; i < spec.ip_families_size(); ++i) {
    context.CheckOneOf(spec.ip_families(i), kFamilies, Item("spec.ipFamilies", i));
  }
  context.CheckOneOf(spec.ip_family_policy(), kFamilyPolicies, "spec.ipFamilyPolicy");
  context.CheckOneOf(spec.session_affinity(), kAffinities, "spec.sessionAffinity");
  if (spec.type() == "ExternalName") {
    context.Unsupported("spec.type", "ExternalName is a type that Whence does not act on yet",
                        "kept: the name it stands for is not followed");
  }
  std::set<std::pair<uint32_t, std::string>> ports;
  for (int i = 0; i < spec.ports_size(); ++i) {
    const v1::ServiceSpec::Port& port = spec.ports(i);
    const std::string path = Item("spec.ports", i);
    context.Expect(CheckPort(port.port()), path + ".port");
    CheckTargetPort(port.target_port(), path + ".targetPort", context);
    if (port.node_port() != 0) context.Expect(CheckPort(port.node_port()), path + ".nodePort");
    const std::string protocol = port.protocol().empty() ? "TCP" : port.protocol();
    if (protocol != "TCP" && protocol != "UDP" && protocol != "SCTP") {
      context.Fault(path + ".protocol", absl::StrCat("must be TCP, not \"", protocol, "\""));
    }
    if (!ports.emplace(port.port(), protocol).second) {
      context.Fault(path + ".port", absl::StrCat("port ", port.port(), " is given twice"));
    }
  }
}

}  // namespace whence::document
