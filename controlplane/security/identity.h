// Who a certificate says somebody is.
//
// A certificate of ours carries exactly one URI, a SPIFFE ID:
//
//   spiffe://DOMAIN/ns/NAMESPACE/workload/NAME   a sidecar, for that workload and no other
//   spiffe://DOMAIN/ns/NAMESPACE/workloads/NAME  the sidecars of all pods of a Deployment (or the like)
//                                                of that name, who share a Secret
//   …/gateway/NAME, …/gateways/NAME              the same of gateways
//   …/node/NAME, …/nodes/NAME                    the same of node agents
//   spiffe://DOMAIN/operator/NAME/role/viewer    an operator who may look (or: editor, who may change)
//   spiffe://DOMAIN/control-plane/NAME           a control plane
//
// The role is the certificate's to say: a gateway or a node agent is believed by the mesh about who
// its clients are, and holds keys of other agents, which no workload's owner may choose to get.
//
// Pure. One spelling each: no empty segment, no escapes, no trailing slash, case as written; what is
// spelled otherwise is nobody.
//
// What `workloads`, `gateways` and `nodes` cover are NAME itself and NAME with the ending that Kubernetes gives to a pod:
//
//   -HASH-RANDOM      Deployment: the template's hash, 1 to 10 characters, and 5 random ones
//   -RANDOM           DaemonSet, Job, ReplicaSet
//   -MINUTES-RANDOM   CronJob: minutes since 1970, 8 digits
//   -ORDINAL          StatefulSet: a number without leading zeros
//
// HASH and RANDOM have letters of "bcdfghjklmnpqrstvwxz2456789" only (no vowels: no words), so `web`
// does not cover web-admin-0. It does cover the DaemonSet pod web-db-x7k2p, if somebody calls a
// DaemonSet of that namespace web-db: names alone cannot tell it from a pod of `web`. Names of more
// than 46 bytes are cut by Kubernetes before it appends; such pods are not covered.
#ifndef WHENCE_CONTROLPLANE_SECURITY_IDENTITY_H_
#define WHENCE_CONTROLPLANE_SECURITY_IDENTITY_H_

#include <optional>
#include <string>
#include <string_view>

#include "common/trust/topology.h"

namespace whence::security {

enum class Kind { kAgent, kWorkload, kViewer, kEditor, kControlPlane };

struct Identity {
  Kind kind = Kind::kViewer;
  std::string trust_domain;
  std::string namespace_name;  // kAgent and kWorkload only
  std::string name;
  trust::Role role = trust::Role::kSidecar;  // kAgent and kWorkload only

  // Is this the identity of the agent that calls itself `agent` ("namespace/name", as agents are
  // known everywhere else)? False for all but agents.
  bool Covers(std::string_view agent) const;
  friend bool operator==(const Identity&, const Identity&) = default;
};

// A DNS name in lower case: the part of the URI that says whose names these are.
bool IsTrustDomain(std::string_view text);

std::optional<Identity> ParseIdentity(std::string_view uri);
// ParseIdentity(ToUri(x)) == x.
std::string ToUri(const Identity& identity);

}  // namespace whence::security

#endif  // WHENCE_CONTROLPLANE_SECURITY_IDENTITY_H_
