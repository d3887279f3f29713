#include "common/bundle/service_names.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "common/bundle/destination_rules.h"
#include "common/bundle/selection.h"
#include "common/bundle/service_entries.h"
#include "common/document/service_port.h"

namespace whence::bundle {
namespace {

const v1::ServiceSpec::Port* FindPort(const v1::ServiceSpec& service, uint32_t port) {
  const v1::ServiceSpec::Port* only = nullptr;
  size_t count = 0;
  for (const v1::ServiceSpec::Port& candidate : service.ports()) {
    if (!IsTcp(candidate)) continue;
    if (candidate.port() == port) return &candidate;
    only = &candidate;
    ++count;
  }
  return port == 0 && count == 1 ? only : nullptr;
}

void AddEndpoints(const ConfigView& view, const v1::ServiceSpec& service, const std::string& space,
                  uint32_t target_port, const std::vector<const Workload*>& inventory,
                  const Workload& self, const LabelMap* labels, v1::ClusterResource* cluster) {
  if (target_port == 0) return;
  for (const Workload* workload : inventory) {
    // A node agent speaks for its node, not for a workload.
    if (workload->namespace_ != space || workload->role == trust::Role::kNode ||
        IsSame(*workload, self) || !Selects(service.selector(), workload->labels) ||
        (labels != nullptr && !Selects(*labels, workload->labels))) {
      continue;
    }
    const bool takes_verdict = TakesVerdict(view, *workload, target_port);
    for (const net::IpAddress& address : workload->addresses) {
      if (!IsFamilyOf(service, *workload, address)) continue;
      v1::EndpointResource* endpoint = cluster->add_endpoints();
      endpoint->set_address(address.ToString());
      endpoint->set_port(target_port);
      endpoint->set_workload(absl::StrCat(workload->namespace_, "/", workload->name));
      endpoint->set_has_sidecar(takes_verdict);
    }
  }
}

// A workload that is named by its address has its sidecar all the same, and the sidecar needs our
// verdict: without it, it would believe what the client wrote, since it trusts us.
void DescribeEndpoint(const ConfigView& view, const std::vector<const Workload*>& inventory,
                      const net::IpAddress& address, v1::EndpointResource* endpoint) {
  for (const Workload* workload : inventory) {
    if (workload->role == trust::Role::kNode ||
        std::find(workload->addresses.begin(), workload->addresses.end(), address) ==
            workload->addresses.end()) {
      continue;
    }
    endpoint->set_workload(absl::StrCat(workload->namespace_, "/", workload->name));
    endpoint->set_has_sidecar(TakesVerdict(view, *workload, endpoint->port()));
    return;
  }
}

v1::ListenerProtocol DeclaredProtocol(const v1::ServiceSpec::Port& port) {
  switch (document::SpokenAt(port)) {
    case document::Speaks::kHttp:
      return v1::HTTP;
    case document::Speaks::kTcp:
      return v1::TCP;
    case document::Speaks::kUndeclared:
      return v1::LISTENER_PROTOCOL_UNSPECIFIED;
  }
  return v1::LISTENER_PROTOCOL_UNSPECIFIED;
}

}  // namespace

bool TakesVerdict(const ConfigView& view, const Workload& workload, uint32_t port) {
  return workload.Intercepts(port) && TrustsMeshGateways(view, workload);
}

bool IsTcp(const v1::ServiceSpec::Port& port) {
  return port.protocol().empty() || port.protocol() == "TCP";
}

bool IsFamilyOf(const v1::ServiceSpec& service, const Workload& workload,
                const net::IpAddress& address) {
  if (service.ip_families().empty()) {
    return address.is_v4() == workload.addresses.front().is_v4();
  }
  const char* family = address.is_v4() ? "IPv4" : "IPv6";
  return std::find(service.ip_families().begin(), service.ip_families().end(), family) !=
         service.ip_families().end();
}

std::optional<DocumentName> ServiceName(const std::string& host, const std::string& space) {
  const size_t dot = host.find('.');
  if (dot == std::string::npos) return DocumentName(space, host);
  const std::string rest = host.substr(dot + 1);
  const size_t second = rest.find('.');
  const std::string domain = second == std::string::npos ? "svc" : rest.substr(second + 1);
  if (domain != "svc" && domain != "svc.cluster.local") return std::nullopt;
  return DocumentName(rest.substr(0, second), host.substr(0, dot));
}

uint32_t TargetPort(const v1::ServiceSpec::Port& port) {
  const std::string& text = port.target_port();
  if (text.empty()) return port.port();
  uint32_t target = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), target);
  return parsed.ptr == text.data() + text.size() ? target : 0;
}

const v1::Document* FindService(const ConfigView& view, const std::string& host,
                                const std::string& space) {
  const std::optional<DocumentName> name = ServiceName(host, space);
  if (!name) return nullptr;
  const auto found = view.services().find(*name);
  return found != view.services().end() ? found->second : nullptr;
}

namespace {

void AddDns(const std::string& host, uint32_t port, v1::ClusterResource* cluster) {
  if (port == 0) return;
  v1::DnsTarget* target = cluster->add_dns();
  target->set_host(host);
  target->set_port(port);
}

// The endpoints, and the name "host:port".
v1::ClusterResource FindEndpoints(const ConfigView& view,
                                  const std::vector<const Workload*>& inventory,
                                  const Workload& self, const DestinationName& destination,
                                  const LabelMap* labels) {
  v1::ClusterResource cluster;
  const auto& [host, wanted, space, subset] = destination;
  uint32_t port = wanted;
  if (const auto address = net::IpAddress::Parse(host)) {
    cluster.set_name(net::SocketAddress{*address, static_cast<uint16_t>(port)}.ToString());
    v1::EndpointResource* endpoint = cluster.add_endpoints();
    endpoint->set_address(address->ToString());
    endpoint->set_port(port);
    DescribeEndpoint(view, inventory, *address, endpoint);
    return cluster;
  }
  const v1::Document* service = FindService(view, host, space);
  if (service == nullptr) {
    // Short names are told apart by their namespace, so that two of them are never one cluster.
    const bool is_short = host.find('.') == std::string::npos;
    if (const auto* entry = FindServiceEntry(view, host)) {
      port = AddEntryEndpoints(*entry, host, port, labels, &cluster);
      for (v1::EndpointResource& endpoint : *cluster.mutable_endpoints()) {
        if (const auto address = net::IpAddress::Parse(endpoint.address())) {
          DescribeEndpoint(view, inventory, *address, &endpoint);
        }
      }
    } else {
      AddDns(is_short ? CanonicalHost(host, space) : host, port, &cluster);
    }
    cluster.set_name(absl::StrCat(host, is_short ? absl::StrCat(".", space) : "", ":", port));
    return cluster;
  }
  const std::string& service_space = service->metadata().namespace_();
  const std::string name =
      absl::StrCat(service->metadata().name(), ".", service_space, ".svc.cluster.local");
  const v1::ServiceSpec::Port* found = FindPort(service->service(), port);
  if (found != nullptr) port = found->port();
  cluster.set_name(absl::StrCat(name, ":", port));
  if (found == nullptr) return cluster;
  if (service->service().selector().empty()) {
    AddDns(name, port, &cluster);
  } else {
    AddEndpoints(view, service->service(), service_space, TargetPort(*found), inventory, self,
                 labels, &cluster);
  }
  return cluster;
}

}  // namespace

v1::ClusterResource BuildCluster(const ConfigView& view,
                                 const std::vector<const Workload*>& inventory,
                                 const Workload& self, const DestinationName& destination) {
  const v1::DestinationRuleSpec* rule =
      FindDestinationRule(view, destination.host, destination.space, self.namespace_);
  const LabelMap* labels = SubsetLabels(rule, destination.subset);
  v1::ClusterResource cluster = FindEndpoints(view, inventory, self, destination, labels);
  const std::string& name = cluster.name();
  uint32_t port = destination.port;
  const size_t colon = name.rfind(':');
  std::from_chars(name.data() + colon + 1, name.data() + name.size(), port);
  if (rule != nullptr) ApplyTrafficPolicy(*rule, destination.subset, port, &cluster);
  if (destination.subset.empty()) return cluster;
  cluster.set_name(absl::StrCat(name, "|", destination.subset));
  if (labels == nullptr) {  // nobody is in a subset that there is not
    cluster.clear_endpoints();
    cluster.clear_dns();
  }
  return cluster;
}

uint32_t ListeningPort(const ConfigView& view, const Workload& self, uint32_t port) {
  for (const auto& [name, document] : view.services()) {
    const v1::ServiceSpec& service = document->service();
    if (name.first != self.namespace_ || service.selector().empty() ||
        !Selects(service.selector(), self.labels)) {
      continue;
    }
    for (const v1::ServiceSpec::Port& candidate : service.ports()) {
      if (!IsTcp(candidate) || candidate.port() != port) continue;
      if (const uint32_t target = TargetPort(candidate); target != 0) return target;
    }
  }
  return port;
}

std::vector<v1::PortSetting> DeclaredPorts(const ConfigView& view, const Workload& self) {
  std::map<uint32_t, v1::ListenerProtocol> declared;
  for (const auto& [name, document] : view.services()) {
    const v1::ServiceSpec& service = document->service();
    if (name.first != self.namespace_ || service.selector().empty() ||
        !Selects(service.selector(), self.labels)) {
      continue;
    }
    for (const v1::ServiceSpec::Port& port : service.ports()) {
      const v1::ListenerProtocol protocol = DeclaredProtocol(port);
      const uint32_t target = TargetPort(port);
      if (!IsTcp(port) || protocol == v1::LISTENER_PROTOCOL_UNSPECIFIED || target == 0) continue;
      const auto [known, is_new] = declared.emplace(target, protocol);
      if (!is_new && known->second != protocol) {
        known->second = v1::LISTENER_PROTOCOL_UNSPECIFIED;
      }
    }
  }
  std::vector<v1::PortSetting> settings;
  for (const auto& [port, protocol] : declared) {
    if (protocol == v1::LISTENER_PROTOCOL_UNSPECIFIED) continue;
    v1::PortSetting& setting = settings.emplace_back();
    setting.set_port(port);
    setting.set_protocol(protocol);
  }
  return settings;
}

}  // namespace whence::bundle
