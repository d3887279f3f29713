// Makes a namespace intercept, and makes it as it was before.
//
// Installing twice equals installing once. A step that fails undoes those before it. Removing
// restores rules, routes and sysctls to what they were at the first installation, in whichever
// process that was.
#ifndef WHENCE_DATAPLANE_INTERCEPT_INSTALLER_H_
#define WHENCE_DATAPLANE_INTERCEPT_INSTALLER_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dataplane/intercept/kernel.h"
#include "dataplane/intercept/rule_set.h"

namespace whence::intercept {

HostFacts ReadFacts(Kernel& kernel);

// What stands in the way: marks, table or nft table in use by someone else. One line each, with the
// way to mend it.
absl::StatusOr<std::vector<std::string>> FindConflicts(Kernel& kernel, const Intent& intent);

struct InstallResult {
  bool changed = false;
  bool has_ipv6 = true;
};

// FailedPrecondition with all conflicts, and nothing changed, when something else owns what the
// intent needs.
absl::StatusOr<InstallResult> Install(Kernel& kernel, const Intent& intent);

// Gives false when there was nothing to remove. Goes on after an error, so that as much as possible
// is restored, and returns the first.
absl::StatusOr<bool> Remove(Kernel& kernel);

// What the namespace says is installed; nothing when there is no table of ours.
absl::StatusOr<std::optional<Installed>> ReadInstalled(Kernel& kernel);

}  // namespace whence::intercept

#endif  // WHENCE_DATAPLANE_INTERCEPT_INSTALLER_H_
