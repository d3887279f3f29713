// Who an agent says it is: the Node message of its first request, checked and bounded.
//
// Node.id is "namespace/name"; Node.metadata may hold namespace, name (both must agree with the
// id), role (sidecar, gateway, node), labels, addresses, node, interception (tproxy, redirect,
// none) and version. Foreign clients send an id only: a sidecar without addresses.
//
// A node is only a label: whoever connects with a certificate must be named by it the same
// (stream.h), and is trusted for those addresses and labels only that the two prove.
//
// Pure.
#ifndef WHENCE_CONTROLPLANE_DISCOVERY_NODE_H_
#define WHENCE_CONTROLPLANE_DISCOVERY_NODE_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/bundle/inventory.h"
#include "envoy/config/core/v3/base.pb.h"
#include "whence/v1/admin.pb.h"
#include "whence/v1/agent.pb.h"

namespace whence::discovery {

struct Agent {
  std::string id;  // "namespace/name"
  bundle::Workload workload;
  std::string interception;
  std::string version;                          // of the program
  std::optional<WallTime> certificate_expires;  // nullopt: it showed none
  // What is proven of it; nullopt: it showed no certificate, and its word is enough. See Believe.
  std::optional<v1::AgentProof> proof;
  // The message this was read from, to be read again after a restart of ours.
  std::string node_bytes;
};

// InvalidArgument names every field that is wrong.
absl::StatusOr<Agent> ReadNode(const envoy::config::core::v3::Node& node);

// Takes from the workload's word what `proof` does not say, as far as trust depends on it: which of
// its addresses are its own, and which labels somebody else gave it.
void Believe(const v1::AgentProof& proof, Agent* agent);

// Equal in all that configuration depends on (a new version of the program changes nothing).
bool SameWorkload(const bundle::Workload& a, const bundle::Workload& b);

// Identity only: no resources, no times.
v1::AgentState ToAgentState(const Agent& agent);

}  // namespace whence::discovery

#endif  // WHENCE_CONTROLPLANE_DISCOVERY_NODE_H_
