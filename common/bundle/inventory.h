// What is known of a connected agent and the workload it stands beside.
#ifndef WHENCE_COMMON_BUNDLE_INVENTORY_H_
#define WHENCE_COMMON_BUNDLE_INVENTORY_H_

#include <map>
#include <string>
#include <vector>

#include "common/net/ip_address.h"
#include "common/trust/topology.h"

namespace whence::bundle {

struct Workload {
  std::string namespace_;
  std::string name;
  std::map<std::string, std::string> labels;
  trust::Role role = trust::Role::kSidecar;
  std::vector<net::IpAddress> addresses;  // the first is the primary one, as with a pod's IPs
  std::string node;
  // An agent intercepts what reaches it. A sidecar that intercepts nothing (interception "none")
  // removes no PROXY protocol header, so none may be sent to it.
  bool has_sidecar = false;
};

}  // namespace whence::bundle

#endif  // WHENCE_COMMON_BUNDLE_INVENTORY_H_
