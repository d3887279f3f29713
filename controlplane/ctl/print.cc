#include "controlplane/ctl/print.h"

#include <google/protobuf/util/json_util.h>

#include "common/document/document.h"
#include "controlplane/ctl/text.h"

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

std::string FaultLine(const v1::Fault& fault) {
  // The place is ours and may hold any path; the rest came over the wire.
  return Escape(document::FaultText(fault)) + "\n";
}

std::string ActionName(v1::Change::Action action) {
  switch (action) {
    case v1::Change::CREATED:
      return "created";
    case v1::Change::UPDATED:
      return "updated";
    case v1::Change::DELETED:
      return "deleted";
    default:
      return "unchanged";
  }
}

std::string ChangeText(const v1::Change& change) {
  const std::string name =
      change.namespace_().empty() ? change.name() : change.namespace_() + "/" + change.name();
  return change.kind() + " " + name + " " + ActionName(change.action());
}

std::string AuthorText(const std::string& author, bool verified) {
  return verified ? author : author + " (unverified)";
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
