// What differs between two states of the configuration, document by document.
#ifndef WHENCE_CONTROLPLANE_ADMIN_DIFFERENCE_H_
#define WHENCE_CONTROLPLANE_ADMIN_DIFFERENCE_H_

#include "common/lint/lint.h"
#include "controlplane/model/config_state.h"
#include "controlplane/store/store.h"
#include "whence/v1/admin.pb.h"

namespace whence::admin {

// Pure. What is in force against what the request's files say: every document of theirs, in their
// order, and what Apply would warn of. With faults there are no documents.
v1::DiffResponse DiffFiles(const model::ConfigState& state, const v1::DiffRequest& request,
                           const lint::Surroundings& surroundings = {});

// Pure. The documents that differ, in the order of their keys.
v1::DiffResponse DiffRevisions(const store::Contents& from, const store::Contents& to);

}  // namespace whence::admin

#endif  // WHENCE_CONTROLPLANE_ADMIN_DIFFERENCE_H_
