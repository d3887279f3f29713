#include "dataplane/discovery/node.h"

#include "absl/strings/str_cat.h"

namespace whence::discovery {
namespace {

const char* RoleText(trust::Role role) {
  switch (role) {
    case trust::Role::kSidecar:
      return "sidecar";
    case trust::Role::kGateway:
      return "gateway";
    case trust::Role::kNode:
      return "node";
  }
  return "";
}

}  // namespace

Node MakeNode(const bundle::Workload& self, const std::string& interception,
              const std::string& program_version) {
  Node node;
  node.set_id(absl::StrCat(self.namespace_, "/", self.name));
  node.set_user_agent_name("whence-agent");
  node.set_user_agent_version(program_version);
  auto& fields = *node.mutable_metadata()->mutable_fields();
  fields["namespace"].set_string_value(self.namespace_);
  fields["name"].set_string_value(self.name);
  fields["role"].set_string_value(RoleText(self.role));
  fields["node"].set_string_value(self.node);
  fields["interception"].set_string_value(interception);
  fields["version"].set_string_value(program_version);
  auto& labels = *fields["labels"].mutable_struct_value()->mutable_fields();
  for (const auto& [key, value] : self.labels) labels[key].set_string_value(value);
  auto* addresses = fields["addresses"].mutable_list_value();
  for (const net::IpAddress& address : self.addresses)
    addresses->add_values()->set_string_value(address.ToString());
  const auto add_ports = [&fields](const char* key, const std::vector<uint16_t>& ports) {
    if (ports.empty()) return;
    auto* list = fields[key].mutable_list_value();
    for (const uint16_t port : ports) list->add_values()->set_number_value(port);
  };
  add_ports("includedPorts", self.included_ports);
  add_ports("excludedPorts", self.excluded_ports);
  return node;
}

}  // namespace whence::discovery
