#include "common/bundle/node_builder.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "common/bundle/gateway_builder.h"
#include "common/bundle/selection.h"
#include "common/bundle/service_names.h"

namespace whence::bundle {
namespace {

bool IsTakenAtNodes(const v1::ServiceSpec& service) {
  return (service.type() == "NodePort" || service.type() == "LoadBalancer") &&
         service.external_traffic_policy() != "Local" && service.session_affinity() != "ClientIP" &&
         !service.selector().empty();
}

v1::ClusterResource GatewaysBehind(const ConfigView& view,
                                   const std::vector<const Workload*>& inventory,
                                   const DocumentName& name, const v1::ServiceSpec& service,
                                   const v1::ServiceSpec::Port& port) {
  v1::ClusterResource cluster;
  cluster.set_name(absl::StrCat(name.second, ".", name.first, ".svc.cluster.local:", port.port()));
  for (const Workload* workload : inventory) {
    if (workload->role != trust::Role::kGateway || workload->namespace_ != name.first ||
        !Selects(service.selector(), workload->labels) ||
        !ListensOn(view, *workload, TargetPort(port))) {
      continue;
    }
    for (const net::IpAddress& address : workload->addresses) {
      if (!IsFamilyOf(service, *workload, address)) continue;
      v1::EndpointResource* endpoint = cluster.add_endpoints();
      endpoint->set_address(address.ToString());
      endpoint->set_port(TargetPort(port));
      endpoint->set_workload(absl::StrCat(workload->namespace_, "/", workload->name));
    }
  }
  return cluster;
}

}  // namespace

void BuildNodePorts(const ConfigView& view, const std::vector<const Workload*>& inventory,
                    v1::WorkloadBundle* bundle) {
  std::set<uint32_t> taken;
  for (const auto& [name, document] : view.services()) {
    const v1::ServiceSpec& service = document->service();
    if (!IsTakenAtNodes(service)) continue;
    for (const v1::ServiceSpec::Port& port : service.ports()) {
      if (!IsTcp(port) || port.node_port() == 0) continue;
      v1::ClusterResource cluster = GatewaysBehind(view, inventory, name, service, port);
      // A port is one Service's, as in Kubernetes; of two that claim it the first in order holds.
      if (cluster.endpoints().empty() || !taken.insert(port.node_port()).second) continue;
      v1::ListenerResource* listener = bundle->add_listeners();
      listener->set_port(port.node_port());
      listener->set_protocol(v1::TCP);
      listener->set_cluster(cluster.name());
      *bundle->add_clusters() = std::move(cluster);
    }
  }
}

}  // namespace whence::bundle
