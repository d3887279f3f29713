// What a change says, read as a careful colleague would: valid, but hardly meant so.
//
// Faults are for what cannot be done (common/document). These are warnings: a policy that denies
// IPv4 only while IPv6 is served, a rule that can never match, a list within which one range holds
// another. Each names the place to look at, and what it comes to.
//
// Quiet where it cannot know: a warning that is wrong once is read never again. So of two readings
// the harmless one is taken (an ALLOW for IPv4 only denies IPv6: closed, not open).
#ifndef WHENCE_COMMON_LINT_LINT_H_
#define WHENCE_COMMON_LINT_LINT_H_

#include <vector>

#include "common/base/clock.h"
#include "common/document/document.h"

namespace whence::lint {

// What documents do not say. The defaults are for who knows the documents only.
struct Surroundings {
  bool serves_ipv6 = false;        // a connected agent has an IPv6 address
  bool has_mesh_gateways = false;  // gateways or node agents are connected
  WallTime now = {};               // epoch: unknown, nothing has expired
};

// Pure. Warnings for the documents of `changed` only; `whole_result` is the configuration as it
// would be after the change. REQUIRES: both without faults.
std::vector<v1::Fault> Lint(const std::vector<document::ParsedDocument>& changed,
                            const std::vector<v1::Document>& whole_result,
                            const Surroundings& surroundings);

}  // namespace whence::lint

#endif  // WHENCE_COMMON_LINT_LINT_H_
