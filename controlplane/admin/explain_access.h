// What an access to a workload would come to: the bundle that its agent would get, decoded and
// asked.
#ifndef WHENCE_CONTROLPLANE_ADMIN_EXPLAIN_ACCESS_H_
#define WHENCE_CONTROLPLANE_ADMIN_EXPLAIN_ACCESS_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/bundle/inventory.h"
#include "common/snapshot/snapshot.h"
#include "controlplane/model/config_state.h"
#include "whence/v1/admin.pb.h"
#include "whence/v1/resources.pb.h"

namespace whence::admin {

// The same builder, decoder and decisions as on the way to the agent and in it, so that an
// explanation cannot differ from what happens. Pure, but that it keeps what it has built for a
// workload: of many accesses the first pays. Thread-compatible; borrows.
class AccessExplainer {
 public:
  AccessExplainer(const model::ConfigState& state, const std::vector<bundle::Workload>& inventory)
      : state_(state), inventory_(inventory) {}

  // kFailedPrecondition: the workload is not connected and no labels describe it. kInvalidArgument:
  // the access described is none.
  // Aimed at the connected agent's own address, if it has one of the peer's family only and the
  // request names none.
  absl::StatusOr<v1::ExplainResponse> Explain(const v1::ExplainRequest& request, WallTime now);
  // Whether a policy of that workload looks at header fields other than those that make an access.
  bool LooksAtHeaders(const v1::ExplainRequest& request);

 private:
  struct Built {
    v1::WorkloadBundle bundle;
    std::shared_ptr<const snapshot::Snapshot> snapshot;
    bool looks_at_headers = false;
    std::vector<net::IpAddress> addresses;  // of the connected agent, if it is one only
  };
  absl::StatusOr<Built> Build(const v1::ExplainRequest& request) const;
  const absl::StatusOr<Built>& BuiltFor(const v1::ExplainRequest& request);

  const model::ConfigState& state_;
  const std::vector<bundle::Workload>& inventory_;
  std::map<std::string, absl::StatusOr<Built>> built_;  // of connected workloads, by their name
  absl::StatusOr<Built> described_;                     // of the one described last
};

// One access.
absl::StatusOr<v1::ExplainResponse> ExplainAccess(const model::ConfigState& state,
                                                  const std::vector<bundle::Workload>& inventory,
                                                  const v1::ExplainRequest& request, WallTime now);

}  // namespace whence::admin

#endif  // WHENCE_CONTROLPLANE_ADMIN_EXPLAIN_ACCESS_H_
