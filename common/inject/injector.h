// Manifests in, manifests out: the same text, with every pod of it injected or freed again.
//
// Pods are found in Pod, Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController, Job,
// CronJob, and in any of these inside a List. Everything else passes through untouched.
#ifndef WHENCE_COMMON_INJECT_INJECTOR_H_
#define WHENCE_COMMON_INJECT_INJECTOR_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/inject/edit.h"
#include "common/inject/settings.h"

namespace whence::inject {

struct Result {
  std::string text;
  int changed = 0;  // pods
  // One line each: "Deployment shop/web: …".
  std::vector<std::string> notes;     // what was left alone, and why
  std::vector<std::string> warnings;  // what is done otherwise than its author may expect
  std::vector<std::string> faults;    // if there are any, `text` is not to be used
  // TrustTopology documents that annotations of Istio's stand for, for the operator to apply.
  std::vector<Json> trust_topologies;
};

// Injecting an injected manifest replaces the old injection: with the same settings nothing
// changes. Never fails otherwise than by `faults`.
Result Inject(std::string_view text, const Settings& defaults);

// Gives back what was before Inject: to the byte if the text has been left alone since.
Result Uninject(std::string_view text);

// For an admission webhook: the JSON Patch that injects `pod`; an empty array if nothing is to be
// done. `warnings` may be shown to the user.
absl::StatusOr<Json> PatchPod(const Json& pod, const Settings& defaults,
                              std::vector<std::string>* warnings);

}  // namespace whence::inject

#endif  // WHENCE_COMMON_INJECT_INJECTOR_H_
