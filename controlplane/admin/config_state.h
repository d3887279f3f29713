// Documents -> a configuration as it is served.
#ifndef WHENCE_CONTROLPLANE_ADMIN_CONFIG_STATE_H_
#define WHENCE_CONTROLPLANE_ADMIN_CONFIG_STATE_H_

#include <memory>
#include <vector>

#include "controlplane/model/config_state.h"
#include "controlplane/store/store.h"

namespace whence::admin {

std::shared_ptr<const model::ConfigState> MakeState(store::Contents contents);

// The configuration as it would be with the mutations; its revision stays that of `state`.
std::shared_ptr<const model::ConfigState> WithMutations(
    const model::ConfigState& state, const std::vector<store::Mutation>& mutations);

}  // namespace whence::admin

#endif  // WHENCE_CONTROLPLANE_ADMIN_CONFIG_STATE_H_
