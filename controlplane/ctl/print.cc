#include "controlplane/ctl/print.h"

#include <google/protobuf/util/json_util.h>

namespace whence::ctl {

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  std::string text;
  // Fails only on Any and timestamps out of range, of which our messages have none.
  (void)google::protobuf::util::MessageToJsonString(message, &text, options);
  return text;
}

std::string RoleName(v1::AgentRole role) {
  switch (role) {
    case v1::SIDECAR:
      return "sidecar";
    case v1::GATEWAY:
      return "gateway";
    case v1::NODE:
      return "node";
    default:
      return "unknown";
  }
}

}  // namespace whence::ctl
