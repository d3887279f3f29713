// What one access would come to, and why: the same code as the agent's, with its reasons shown.
#ifndef WHENCE_COMMON_EXPLAIN_EXPLAIN_H_
#define WHENCE_COMMON_EXPLAIN_EXPLAIN_H_

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/snapshot/snapshot.h"
#include "whence/v1/admin.pb.h"
#include "whence/v1/resources.pb.h"

namespace whence::explain {

// `snapshot` must have been decoded from `bundle`. `now` decides which policies have expired.
// InvalidArgument if the access described is none (a peer that is no address). Pure.
absl::StatusOr<v1::ExplainResponse> Explain(const snapshot::Snapshot& snapshot,
                                            const v1::WorkloadBundle& bundle,
                                            const v1::ExplainRequest& request, WallTime now);

}  // namespace whence::explain

#endif  // WHENCE_COMMON_EXPLAIN_EXPLAIN_H_
