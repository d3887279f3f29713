// From a policy as written to rules that can be evaluated, or to the list of what is wrong with it.
#ifndef WHENCE_COMMON_POLICY_COMPILER_H_
#define WHENCE_COMMON_POLICY_COMPILER_H_

#include <string>
#include <vector>

#include "common/policy/policy_set.h"
#include "common/policy/policy_spec.h"
#include "common/policy/rule.h"

namespace whence::policy {

struct CompiledPolicy {
  std::string name;  // "namespace/name"
  Action action = Action::kAllow;
  bool is_dry_run = false;
  std::vector<CompiledRule>
      rules;  // rule.policy is not set yet: the address of `name` is the set's
};

// Appends one text per fault to `faults`: `policy "foo/ip": spec.rules[0].to[1].operation.ports[0]:
// …`. With faults, the result is not to be used.
CompiledPolicy CompilePolicy(const PolicySpec& spec, const IpSetLookup& ip_sets,
                             std::vector<std::string>* faults);

}  // namespace whence::policy

#endif  // WHENCE_COMMON_POLICY_COMPILER_H_
