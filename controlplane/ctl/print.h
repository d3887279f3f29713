// What several commands print.
#ifndef WHENCE_CONTROLPLANE_CTL_PRINT_H_
#define WHENCE_CONTROLPLANE_CTL_PRINT_H_

#include <google/protobuf/message.h>

#include <string>

#include "whence/v1/resources.pb.h"

namespace whence::ctl {

// The message in protobuf's JSON mapping, indented, with a newline; fields at their default too, so
// that a script need not know the defaults.
std::string ToJson(const google::protobuf::Message& message);

// "sidecar", "gateway", "node", "unknown".
std::string RoleName(v1::AgentRole role);

}  // namespace whence::ctl

#endif  // WHENCE_CONTROLPLANE_CTL_PRINT_H_
