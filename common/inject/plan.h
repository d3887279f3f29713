// What makes a pod a workload of Whence, and what makes it none again.
//
// Added: an init container that installs the packet rules (NET_ADMIN, nothing else), the agent
// (NET_RAW, nothing else), their volumes, the sysctls of TPROXY, and one annotation,
// whence.dev/status, which remembers what was changed. Rewritten: the kubelet's probes (probes.h).
//
// Pure. Removal undoes exactly what status remembers; injection starts with a removal, so that
// injecting twice is injecting once, and injecting with other settings is an update.
#ifndef WHENCE_COMMON_INJECT_PLAN_H_
#define WHENCE_COMMON_INJECT_PLAN_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/inject/edit.h"
#include "common/inject/settings.h"

namespace whence::inject {

inline constexpr char kStatusAnnotation[] = "whence.dev/status";
inline constexpr char kInitContainer[] = "whence-init";
inline constexpr char kAgentContainer[] = "whence-agent";

struct Plan {
  std::vector<Edit> edits;  // paths from the pod, as `metadata` and `spec` hang there
  std::string skipped;      // why nothing is injected; empty: it is
  std::vector<std::string> warnings;
  Json trust_topology;  // see PodSettings
};

// The text of an entry as its author wrote it, to give it back by; empty: not known.
using OriginalText = std::function<std::string(const Path&)>;

// `pod`: an object with metadata and spec, not injected. Errors name what is wrong with it.
absl::StatusOr<Plan> PlanInjection(const Json& pod, const Settings& defaults,
                                   const OriginalText& original_text);

// Empty if `pod` was not injected.
absl::StatusOr<std::vector<Edit>> PlanRemoval(const Json& pod);

}  // namespace whence::inject

#endif  // WHENCE_COMMON_INJECT_PLAN_H_
