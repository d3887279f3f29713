// What an admin call would do: pure. State and request in; mutations, or faults, out.
#ifndef WHENCE_CONTROLPLANE_ADMIN_PLAN_H_
#define WHENCE_CONTROLPLANE_ADMIN_PLAN_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/lint/lint.h"
#include "controlplane/model/config_state.h"
#include "controlplane/store/store.h"
#include "whence/v1/admin.pb.h"

namespace whence::admin {

// Larger documents are refused, IpSets excepted: every agent that a document concerns gets it
// whole, in one message.
constexpr size_t kMaxDocumentBytes = 512 << 10;

// A document that was changed since the value that the operator has in hand.
struct Conflict {
  store::DocumentKey key;
  std::string name;       // for people
  uint64_t based_on = 0;  // the revision of that value
  // What is there now; revision 0: nothing, as far as this configuration tells.
  uint64_t revision = 0;
  int64_t time_us = 0;
  std::string author;
  bool author_verified = false;
};

struct Plan {
  std::vector<store::Mutation> mutations;  // to be committed only if there are no faults
  std::vector<Conflict> conflicts;         // nor these
  std::vector<v1::Fault> faults;
  std::vector<v1::Fault> warnings;
  // A set's content came as a difference from what it no longer is; `faults` says so too.
  bool send_whole_sets = false;
};

// Parses every file, validates the configuration as it would be, and says what is hardly meant so.
// Collects all faults; with `strict` the warnings are faults.
Plan PlanApply(const model::ConfigState& state, const v1::ApplyRequest& request,
               const lint::Surroundings& surroundings = {});

// Makes the documents what `target`, of another revision, has: those that differ, come or go. They
// are read anew from their text, so that today's checks and warnings hold for them; with `strict`
// the warnings are faults.
Plan PlanRollback(const model::ConfigState& state, const store::Contents& target, bool strict,
                  const lint::Surroundings& surroundings = {});

// kInvalidArgument: no such kind. kNotFound: no such document; the message says where one of that
// name is. Faults: other documents need it.
absl::StatusOr<Plan> PlanDelete(const model::ConfigState& state, const v1::DeleteRequest& request);

// What `mutations` would change, one per mutation, without changing it.
std::vector<v1::Change> Preview(const model::ConfigState& state,
                                const std::vector<store::Mutation>& mutations);

// kNotFound: no such IpSet.
absl::StatusOr<v1::IpSetDescription> Describe(const model::ConfigState& state,
                                              const v1::DescribeIpSetRequest& request);

// Documents carry their resourceVersion. Errors as in PlanDelete; a kind without documents is no
// error.
absl::StatusOr<v1::GetResponse> Select(const model::ConfigState& state,
                                       const v1::GetRequest& request);

}  // namespace whence::admin

#endif  // WHENCE_CONTROLPLANE_ADMIN_PLAN_H_
