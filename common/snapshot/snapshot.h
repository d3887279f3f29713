// One version of everything an agent decides by.
#ifndef WHENCE_COMMON_SNAPSHOT_SNAPSHOT_H_
#define WHENCE_COMMON_SNAPSHOT_SNAPSHOT_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/policy/policy_set.h"
#include "common/snapshot/routing.h"
#include "common/trust/client_privacy.h"
#include "common/trust/topology.h"

namespace whence::snapshot {

// Immutable once built: wire::Decode makes it, workers share it through shared_ptr<const Snapshot>
// and read it without locks. A connection pins the snapshot that judged it.
//
// INVARIANTS: `policies` is not null; every cluster index in `listeners` is within `clusters`;
// `port_protocols` is sorted by port; listeners' ports differ.
struct Snapshot {
  std::string version;    // the bundle's resource version
  uint64_t revision = 0;  // of the store; for messages, since equal versions may span revisions
  std::string workload;   // its name, without namespace
  std::string workload_namespace;

  // What other agents prove their hand-overs with; none: nobody can.
  std::optional<proxy_protocol::HandoverKey> handover_key;

  trust::Topology topology;
  std::shared_ptr<const policy::PolicySet> policies;

  trust::ClientPrivacy privacy;  // of the access log
  bool keep_query = false;       // likewise

  std::vector<Listener> listeners;  // gateways
  std::vector<Cluster> clusters;
  // Sidecars: what a Service declares for a port of the workload.
  std::vector<std::pair<uint16_t, Protocol>> port_protocols;

  // kDetect unless declared.
  Protocol ProtocolOfPort(uint16_t port) const {
    const auto at =
        std::lower_bound(port_protocols.begin(), port_protocols.end(), port,
                         [](const auto& entry, uint16_t wanted) { return entry.first < wanted; });
    return at != port_protocols.end() && at->first == port ? at->second : Protocol::kDetect;
  }
};

}  // namespace whence::snapshot

#endif  // WHENCE_COMMON_SNAPSHOT_SNAPSHOT_H_
