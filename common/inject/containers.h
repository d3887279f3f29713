// The containers that injection adds.
#ifndef WHENCE_COMMON_INJECT_CONTAINERS_H_
#define WHENCE_COMMON_INJECT_CONTAINERS_H_

#include <vector>

#include "common/inject/edit.h"
#include "common/inject/probes.h"
#include "common/inject/settings.h"

namespace whence::inject {

inline constexpr int kHealthPort = 15021;
inline constexpr int kMetricsPort = 15020;

// Runs `whence-agent intercept install`, and ends.
Json InitContainer(const Settings& settings);

// Runs `whence-agent run`. `labels`: the pod's.
Json AgentContainer(const Settings& settings, const Json& labels,
                    const std::vector<RewrittenProbe>& probes);

Json Volumes(const Settings& settings);

// What TPROXY needs, as a pod's securityContext.sysctls.
Json Sysctls(const Settings& settings);

}  // namespace whence::inject

#endif  // WHENCE_COMMON_INJECT_CONTAINERS_H_
