// What each connected agent has and has not, in the words of Envoy's client status discovery.
//
// Seen from here: an acknowledgement says that the agent runs a version. Per resource that it was
// sent or asked for:
//
//   SYNCED     it acknowledged the version that there is now
//   STALE      there is a newer one than it acknowledged: on its way, or waiting for an answer
//   NOT_SENT   it was sent none; if there is none for it, the client's status is DOES_NOT_EXIST
//   ERROR      it refused a version: which one and why is in error_state, beside what it still runs
//
// What is in a resource is not shown, as if exclude_resource_contents were always set: bundles hold the
// keys by which agents know each other, and who may look at the mesh may not act in it.
#ifndef WHENCE_CONTROLPLANE_DISCOVERY_CLIENT_STATUS_H_
#define WHENCE_CONTROLPLANE_DISCOVERY_CLIENT_STATUS_H_

#include "absl/status/statusor.h"
#include "controlplane/discovery/inventory.h"
#include "envoy/service/status/v3/csds.pb.h"

namespace whence::discovery {

// Pure. Those of `connected` that the request means. InvalidArgument: a matcher that is not known.
absl::StatusOr<envoy::service::status::v3::ClientStatusResponse> DescribeClients(
    const envoy::service::status::v3::ClientStatusRequest& request,
    const std::vector<Inventory::Connected>& connected);

}  // namespace whence::discovery

#endif  // WHENCE_CONTROLPLANE_DISCOVERY_CLIENT_STATUS_H_
