// How an agent names itself to the control plane.
#ifndef WHENCE_DATAPLANE_DISCOVERY_NODE_H_
#define WHENCE_DATAPLANE_DISCOVERY_NODE_H_

#include <string>

#include "common/bundle/inventory.h"
#include "dataplane/discovery/client_state.h"

namespace whence::discovery {

// Pure. The metadata: namespace, name, role, labels, addresses, node, interception,
// version; includedPorts and excludedPorts where packet rules leave something out.
Node MakeNode(const bundle::Workload& self, const std::string& interception,
              const std::string& program_version);

}  // namespace whence::discovery

#endif  // WHENCE_DATAPLANE_DISCOVERY_NODE_H_
