// v1::TrustResource -> trust::Topology, and path normalisation of the mesh.
#ifndef WHENCE_COMMON_WIRE_TRUST_H_
#define WHENCE_COMMON_WIRE_TRUST_H_

#include <optional>

#include "common/policy/path.h"
#include "common/trust/client_privacy.h"
#include "common/trust/topology.h"
#include "common/wire/faults.h"
#include "common/wire/ip_set.h"
#include "whence/v1/resources.pb.h"

namespace whence::wire {

// nullopt: none that we know.
std::optional<trust::Role> RoleOf(v1::AgentRole role);

// Fields that are not given take the role's defaults. What is wrong goes to `faults`; the result is
// of use only if nothing was added.
trust::Topology ToTopology(const v1::TrustResource& resource, v1::AgentRole role,
                           const IpSetMap& ip_sets, Faults* faults);

policy::PathNormalization ToPathNormalization(v1::PathNormalization value, Faults* faults);

trust::ClientPrivacy ToClientPrivacy(const v1::AccessLogSettings& settings, Faults* faults);

}  // namespace whence::wire

#endif  // WHENCE_COMMON_WIRE_TRUST_H_
