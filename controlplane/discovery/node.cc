#include "controlplane/discovery/node.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/names.h"
#include "common/base/strings.h"

namespace whence::discovery {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;

constexpr size_t kMaxNodeBytes = 64 * 1024;
constexpr size_t kMaxTextBytes = 1024;
constexpr int kMaxLabels = 256;
constexpr int kMaxPorts = 1024;
constexpr int kMaxAddresses = 256;  // a node agent names all of its host's

// Reads typed fields and remembers every fault.
class MetadataReader {
 public:
  explicit MetadataReader(const Struct& metadata) : metadata_(metadata) {}

  std::string Text(const char* key) {
    const Value* value = Find(key);
    if (value == nullptr) return "";
    if (value->kind_case() != Value::kStringValue) {
      Fault(key, "must be text");
      return "";
    }
    if (value->string_value().size() > kMaxTextBytes) Fault(key, "is too long");
    return value->string_value();
  }

  std::map<std::string, std::string> Labels(const char* key) {
    std::map<std::string, std::string> labels;
    const Value* value = Find(key);
    if (value == nullptr) return labels;
    if (value->kind_case() != Value::kStructValue) {
      Fault(key, "must be a map of text");
      return labels;
    }
    if (value->struct_value().fields_size() > kMaxLabels) Fault(key, "has too many entries");
    for (const auto& [name, label] : value->struct_value().fields()) {
      if (label.kind_case() != Value::kStringValue) Fault(key, "must be a map of text");
      labels[name] = label.string_value();
    }
    return labels;
  }

  std::vector<net::IpAddress> Addresses(const char* key) {
    std::vector<net::IpAddress> addresses;
    const Value* value = Find(key);
    if (value == nullptr) return addresses;
    if (value->kind_case() != Value::kListValue) {
      Fault(key, "must be a list of addresses");
      return addresses;
    }
    if (value->list_value().values_size() > kMaxAddresses) Fault(key, "has too many entries");
    for (const Value& entry : value->list_value().values()) {
      std::optional<net::IpAddress> address = net::IpAddress::Parse(entry.string_value());
      if (!address || !address->is_unicast()) {
        Fault(key, absl::StrCat("\"", entry.string_value(), "\" is no address of a workload"));
      } else if (std::find(addresses.begin(), addresses.end(), *address) == addresses.end()) {
        addresses.push_back(*address);
      }
    }
    return addresses;
  }

  std::vector<uint16_t> Ports(const char* key) {
    std::vector<uint16_t> ports;
    const Value* value = Find(key);
    if (value == nullptr) return ports;
    if (value->kind_case() != Value::kListValue) {
      Fault(key, "must be a list of ports");
      return ports;
    }
    if (value->list_value().values_size() > kMaxPorts) Fault(key, "has too many entries");
    for (const Value& entry : value->list_value().values()) {
      const double port = entry.number_value();
      if (port >= 1 && port <= 65535 && port == static_cast<uint16_t>(port)) {
        ports.push_back(static_cast<uint16_t>(port));
      } else {
        Fault(key, "must hold ports from 1 to 65535");
      }
    }
    return ports;
  }

  void Fault(const char* key, std::string_view what) {
    faults_.push_back(absl::StrCat("metadata.", key, " ", ToAbsl(what)));
  }
  const std::vector<std::string>& faults() const { return faults_; }

 private:
  // Null for absent and for JSON's null alike.
  const Value* Find(const char* key) const {
    auto it = metadata_.fields().find(key);
    if (it == metadata_.fields().end() || it->second.kind_case() == Value::kNullValue) {
      return nullptr;
    }
    return &it->second;
  }

  const Struct& metadata_;
  std::vector<std::string> faults_;
};

void ReadRole(MetadataReader* reader, Agent* agent) {
  std::string role = reader->Text("role");
  if (role.empty() || role == "sidecar") {
    agent->workload.role = trust::Role::kSidecar;
  } else if (role == "gateway") {
    agent->workload.role = trust::Role::kGateway;
  } else if (role == "node") {
    agent->workload.role = trust::Role::kNode;
  } else {
    reader->Fault("role", absl::StrCat("\"", role, "\" must be sidecar, gateway or node"));
  }
}

}  // namespace

absl::StatusOr<Agent> ReadNode(const envoy::config::core::v3::Node& node) {
  if (node.ByteSizeLong() > kMaxNodeBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("node is larger than ", kMaxNodeBytes, " bytes"));
  }
  if (node.id().empty()) {
    return absl::InvalidArgumentError("node.id is missing in the first request of the stream");
  }
  std::string_view id = node.id();
  size_t slash = id.find('/');
  if (slash == id.npos || !IsName(id.substr(0, slash)) || !IsName(id.substr(slash + 1))) {
    return absl::InvalidArgumentError("node.id must be \"namespace/name\"");
  }
  Agent agent;
  agent.id = node.id();
  agent.workload.namespace_ = id.substr(0, slash);
  agent.workload.name = id.substr(slash + 1);
  MetadataReader reader(node.metadata());
  if (std::string given = reader.Text("namespace");
      !given.empty() && given != agent.workload.namespace_) {
    reader.Fault("namespace", "differs from node.id");
  }
  if (std::string given = reader.Text("name"); !given.empty() && given != agent.workload.name) {
    reader.Fault("name", "differs from node.id");
  }
  ReadRole(&reader, &agent);
  agent.workload.labels = reader.Labels("labels");
  agent.workload.addresses = reader.Addresses("addresses");
  agent.workload.node = reader.Text("node");
  agent.interception = reader.Text("interception");
  agent.workload.included_ports = reader.Ports("includedPorts");
  agent.workload.excluded_ports = reader.Ports("excludedPorts");
  agent.version = reader.Text("version");
  if (agent.version.empty()) agent.version = node.user_agent_version();
  agent.workload.has_sidecar = agent.workload.role == trust::Role::kSidecar &&
                               !agent.interception.empty() && agent.interception != "none";
  if (!reader.faults().empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("node \"", agent.id, "\": ", absl::StrJoin(reader.faults(), "; ")));
  }
  agent.node_bytes = node.SerializeAsString();
  return agent;
}

void Believe(const v1::AgentProof& proof, Agent* agent) {
  agent->proof = proof;
  bundle::Workload& workload = agent->workload;
  std::set<net::IpAddress> proven;
  for (const std::string& text : proof.addresses()) {
    if (const auto address = net::IpAddress::Parse(text)) proven.insert(*address);
  }
  workload.unproven_addresses.clear();
  for (const net::IpAddress& address : workload.addresses) {
    if (proven.count(address) == 0) workload.unproven_addresses.push_back(address);
  }
  workload.certified_labels.emplace();
  for (const auto& [name, value] : workload.labels) {
    const auto certified = proof.labels().find(name);
    if (certified == proof.labels().end() || certified->second != value) continue;
    workload.certified_labels->emplace(name, value);
  }
}

bool SameWorkload(const bundle::Workload& a, const bundle::Workload& b) {
  return a.namespace_ == b.namespace_ && a.name == b.name && a.labels == b.labels &&
         a.role == b.role && a.addresses == b.addresses &&
         a.unproven_addresses == b.unproven_addresses && a.certified_labels == b.certified_labels &&
         a.node == b.node && a.has_sidecar == b.has_sidecar &&
         a.included_ports == b.included_ports && a.excluded_ports == b.excluded_ports;
}

v1::AgentState ToAgentState(const Agent& agent) {
  v1::AgentState state;
  state.set_namespace_(agent.workload.namespace_);
  state.set_name(agent.workload.name);
  switch (agent.workload.role) {
    case trust::Role::kSidecar:
      state.set_role(v1::SIDECAR);
      break;
    case trust::Role::kGateway:
      state.set_role(v1::GATEWAY);
      break;
    case trust::Role::kNode:
      state.set_role(v1::NODE);
      break;
  }
  state.mutable_labels()->insert(agent.workload.labels.begin(), agent.workload.labels.end());
  for (const net::IpAddress& address : agent.workload.addresses) {
    state.add_addresses(address.ToString());
  }
  for (const net::IpAddress& address : agent.workload.unproven_addresses) {
    state.add_unproven_addresses(address.ToString());
  }
  state.set_node(agent.workload.node);
  state.set_interception(agent.interception);
  state.set_version(agent.version);
  if (agent.certificate_expires) {
    state.set_certificate_expires_us(agent.certificate_expires->time_since_epoch().count());
  }
  return state;
}

}  // namespace whence::discovery
