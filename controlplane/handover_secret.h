// The secret of the mesh: from it the keys are derived with which agents prove hand-overs to each
// other (common/proxy_protocol/handover.h).
#ifndef WHENCE_CONTROLPLANE_HANDOVER_SECRET_H_
#define WHENCE_CONTROLPLANE_HANDOVER_SECRET_H_

#include <string>

#include "absl/status/statusor.h"

namespace whence::control {

// Reads it from `path`, or makes one there (0600) if there is none. Kept, so that a restart changes
// no key and sends nothing. Errors name the file: a secret that is cut short is refused, not
// replaced, since agents hold keys of the old one.
absl::StatusOr<std::string> LoadHandoverSecret(const std::string& path);

// Makes `secret` the one at `path` (0600), in one step.
absl::Status StoreHandoverSecret(const std::string& path, const std::string& secret);

// Whether `secret` may be one: from a short one keys could be guessed, and with none agents would
// go by addresses. kDataLoss, naming `where` it was read.
absl::Status CheckHandoverSecret(const std::string& secret, const std::string& where);

}  // namespace whence::control

#endif  // WHENCE_CONTROLPLANE_HANDOVER_SECRET_H_
