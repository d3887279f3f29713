#include "controlplane/ctl/print.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>

#include "common/document/document.h"
#include "controlplane/ctl/text.h"

namespace whence::ctl {
namespace {

bool HasRefused(const v1::AgentState& agent) {
  return std::any_of(
      agent.resources().begin(), agent.resources().end(),
      [](const v1::ResourceState& state) { return !state.refused_version().empty(); });
}

}  // namespace

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

std::string AddressesOf(const v1::AgentState& agent) {
  const auto& unproven = agent.unproven_addresses();
  std::string text;
  for (const std::string& address : agent.addresses()) {
    text += (text.empty() ? "" : ",") + address;
    if (std::find(unproven.begin(), unproven.end(), address) != unproven.end()) text += "?";
  }
  return text;
}

std::string StateName(const v1::AgentState& agent) {
  if (HasRefused(agent)) return "refused";
  return agent.lag_us() > 0 ? "waiting" : "ok";
}

}  // namespace whence::ctl
