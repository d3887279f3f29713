// What an access to a workload would come to: the bundle that its agent would get, decoded and
// asked.
#ifndef WHENCE_CONTROLPLANE_ADMIN_EXPLAIN_ACCESS_H_
#define WHENCE_CONTROLPLANE_ADMIN_EXPLAIN_ACCESS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/bundle/inventory.h"
#include "controlplane/model/config_state.h"
#include "whence/v1/admin.pb.h"

namespace whence::admin {

// Pure. The same builder, decoder and decisions as on the way to the agent and in it, so that an
// explanation cannot differ from what happens. kFailedPrecondition: the workload is not connected
// and no labels describe it. kInvalidArgument: the access described is none.
absl::StatusOr<v1::ExplainResponse> ExplainAccess(const model::ConfigState& state,
                                                  const std::vector<bundle::Workload>& inventory,
                                                  const v1::ExplainRequest& request, WallTime now);

}  // namespace whence::admin

#endif  // WHENCE_CONTROLPLANE_ADMIN_EXPLAIN_ACCESS_H_
