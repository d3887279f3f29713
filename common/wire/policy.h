// v1::PolicyResource -> policy::PolicySpec.
#ifndef WHENCE_COMMON_WIRE_POLICY_H_
#define WHENCE_COMMON_WIRE_POLICY_H_

#include "absl/status/statusor.h"
#include "common/policy/policy_spec.h"
#include "whence/v1/resources.pb.h"

namespace whence::wire {

// InvalidArgument names the policy and every field that cannot be understood.
absl::StatusOr<policy::PolicySpec> ToPolicySpec(const v1::PolicyResource& resource);

}  // namespace whence::wire

#endif  // WHENCE_COMMON_WIRE_POLICY_H_
