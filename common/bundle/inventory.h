// What is known of a connected agent and the workload it stands beside.
#ifndef WHENCE_COMMON_BUNDLE_INVENTORY_H_
#define WHENCE_COMMON_BUNDLE_INVENTORY_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
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
  // Of `addresses`, those that are only its agent's word. They are endpoints like the others, and
  // nobody is trusted for having one.
  std::vector<net::IpAddress> unproven_addresses;
  // Of `labels`, those that its agent's certificate names: by these alone topologies may trust it.
  // nullopt: it needs no certificate here.
  std::optional<std::map<std::string, std::string>> certified_labels;
  std::string node;
  // An agent intercepts what reaches it. A sidecar that intercepts nothing (interception "none")
  // removes no PROXY protocol header, so none may be sent to it.
  bool has_sidecar = false;
  // What the packet rules leave out: a connection to such a port reaches the application itself.
  std::vector<uint16_t> included_ports;  // empty: every port
  std::vector<uint16_t> excluded_ports;

  bool IsProven(const net::IpAddress& address) const {
    return std::find(unproven_addresses.begin(), unproven_addresses.end(), address) ==
           unproven_addresses.end();
  }
  const std::map<std::string, std::string>& LabelsForTrust() const {
    return certified_labels ? *certified_labels : labels;
  }

  // Whether its agent takes what is sent to `port`.
  bool Intercepts(uint32_t port) const {
    const auto holds = [port](const std::vector<uint16_t>& ports) {
      return std::find(ports.begin(), ports.end(), port) != ports.end();
    };
    return has_sidecar && !holds(excluded_ports) &&
           (included_ports.empty() || holds(included_ports));
  }
};

}  // namespace whence::bundle

#endif  // WHENCE_COMMON_BUNDLE_INVENTORY_H_
