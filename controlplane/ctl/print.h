// What several commands print.
#ifndef WHENCE_CONTROLPLANE_CTL_PRINT_H_
#define WHENCE_CONTROLPLANE_CTL_PRINT_H_

#include <google/protobuf/message.h>

#include <string>

#include "whence/v1/admin.pb.h"
#include "whence/v1/resources.pb.h"

namespace whence::ctl {

// The message in protobuf's JSON mapping, indented, with a newline; fields at their default too, so
// that a script need not know the defaults.
std::string ToJson(const google::protobuf::Message& message);

// "policy.yaml:3:5: IpPolicy ns/name: spec.rules[0]: message" and a newline, safe to print.
std::string FaultLine(const v1::Fault& fault);

// "created", "updated", "deleted", "unchanged".
std::string ActionName(v1::Change::Action action);

// "IpPolicy shop/edge updated". Not escaped yet.
std::string ChangeText(const v1::Change& change);

// A name that no certificate vouches for says so. Not escaped yet.
std::string AuthorText(const std::string& author, bool verified);

// "sidecar", "gateway", "node", "unknown".
std::string RoleName(v1::AgentRole role);

}  // namespace whence::ctl

#endif  // WHENCE_CONTROLPLANE_CTL_PRINT_H_
