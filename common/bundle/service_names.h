// From a destination's host to a Service, and from a Service to live addresses.
#ifndef WHENCE_COMMON_BUNDLE_SERVICE_NAMES_H_
#define WHENCE_COMMON_BUNDLE_SERVICE_NAMES_H_

#include <optional>
#include <string>
#include <vector>

#include "common/bundle/config_view.h"
#include "common/bundle/inventory.h"
#include "whence/v1/resources.pb.h"

namespace whence::bundle {

// The Service that a host means: namespace and name; nullopt: it is no Service's.
std::optional<DocumentName> ServiceName(const std::string& host, const std::string& space);

// Names resolve as in Istio: "echo" is in the namespace of the document that says it; "echo.shop",
// "echo.shop.svc" and "echo.shop.svc.cluster.local" say it themselves. Null: no such Service.
const v1::Document* FindService(const ConfigView& view, const std::string& host,
                                const std::string& space);

// A destination of a route.
struct DestinationName {
  std::string host;   // lower case
  uint32_t port = 0;  // 0: the only one
  std::string space;  // of the document that names it
  std::string subset;
};

// The cluster behind it: a Service's workloads, an address, what a ServiceEntry says, else whatever
// DNS knows by that name; a Service without a selector stands for its own DNS name. Its
// DestinationRule applies. `inventory` sorted; `self` is never an endpoint, since a gateway that
// calls itself is a loop.
v1::ClusterResource BuildCluster(const ConfigView& view,
                                 const std::vector<const Workload*>& inventory,
                                 const Workload& self, const DestinationName& destination);

// Whether the agent of `workload` takes a gateway's verdict on what is sent to `port`. Where it does
// not, be it that the port is not intercepted or that it believes no gateway, a header of ours would
// reach the application.
bool TakesVerdict(const ConfigView& view, const Workload& workload, uint32_t port);

// Whether the agent of `workload` takes a gateway's verdict on what is sent to `port`. Where it does
// not, be it that the port is not intercepted or that it believes no gateway, a header of ours would
// reach the application.
bool TakesVerdict(const ConfigView& view, const Workload& workload, uint32_t port);

// Where a connection to `port` arrives in the pod; 0: at a port that has a name, which only
// Kubernetes knows.
uint32_t TargetPort(const v1::ServiceSpec::Port& port);
bool IsTcp(const v1::ServiceSpec::Port& port);

// As Kubernetes makes a Service single-stack unless told otherwise: the families that it names, or
// the one of the workload's primary address. A client's address can be kept towards an endpoint of
// its own family only, so a second family must not slip in.
bool IsFamilyOf(const v1::ServiceSpec& service, const Workload& workload,
                const net::IpAddress& address);

// The port on which `self` receives what is sent to `port` of a Service that selects it; `port`
// itself if no Service does. Gateways declare the Service's port, as in Istio.
uint32_t ListeningPort(const ConfigView& view, const Workload& self, uint32_t port);

// What Services that select `self` declare of its ports, by appProtocol or by a name such as "http"
// or "tcp-db". Ports of which they disagree are left out: the first bytes decide.
std::vector<v1::PortSetting> DeclaredPorts(const ConfigView& view, const Workload& self);

}  // namespace whence::bundle

#endif  // WHENCE_COMMON_BUNDLE_SERVICE_NAMES_H_
