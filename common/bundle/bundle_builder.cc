#include "common/bundle/bundle_builder.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <openssl/sha.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "common/bundle/gateway_builder.h"
#include "common/bundle/node_builder.h"
#include "common/bundle/selection.h"
#include "common/bundle/service_names.h"
#include "common/document/dry_run.h"
#include "common/document/ip_set.h"
#include "common/document/values.h"
#include "common/net/cidr.h"
#include "common/proxy_protocol/handover.h"

namespace whence::bundle {
namespace {

using Names = google::protobuf::RepeatedPtrField<std::string>;

v1::AgentRole ToWire(trust::Role role) {
  switch (role) {
    case trust::Role::kSidecar:
      return v1::SIDECAR;
    case trust::Role::kGateway:
      return v1::GATEWAY;
    case trust::Role::kNode:
      return v1::NODE;
  }
  return v1::AGENT_ROLE_UNSPECIFIED;
}

// Writes names out as "namespace/name", so that an agent need not know whose document it was, and
// notes them as needed.
void Qualify(const std::string& space, Names* names, std::set<std::string>* needed) {
  for (std::string& name : *names) {
    name = document::QualifiedName(name, space);
    needed->insert(name);
  }
}

// Live addresses of what any of the selectors selects, as far as they are proven. A topology speaks
// for its own namespace; one of the root namespace for all.
std::set<net::IpAddress> AddressesOf(
    const ConfigView& view, const std::vector<const Workload*>& inventory, const std::string& space,
    const google::protobuf::RepeatedPtrField<v1::LabelSelector>& selectors) {
  std::set<net::IpAddress> addresses;
  for (const Workload* workload : inventory) {
    if (!InScope(view, space, workload->namespace_)) continue;
    for (const v1::LabelSelector& selector : selectors) {
      if (!TrustSelects(selector, workload->LabelsForTrust())) continue;
      std::copy_if(workload->addresses.begin(), workload->addresses.end(),
                   std::inserter(addresses, addresses.end()),
                   [&](const net::IpAddress& address) { return workload->IsProven(address); });
    }
  }
  return addresses;
}

void BuildTrust(const ConfigView& view, const Roster& inventory, const Workload& self,
                v1::TrustResource* trust, std::set<std::string>* ip_sets) {
  v1::TrustTopologySpec* spec = trust->mutable_spec();
  if (const v1::Document* document = TopologyFor(view, self)) {
    const std::string& space = document->metadata().namespace_();
    trust->set_source(absl::StrCat(space, "/", document->metadata().name()));
    *spec = document->trust_topology();
    if (spec->has_trusted_proxies()) {
      v1::AddressSources* trusted = spec->mutable_trusted_proxies();
      Qualify(space, trusted->mutable_ip_sets(), ip_sets);
      for (const net::IpAddress& address :
           AddressesOf(view, inventory.all(), space, trusted->workloads())) {
        trust->add_trusted_workloads(address.ToString());
      }
    }
    if (spec->proxy_protocol().has_from()) {
      // Live addresses join the ranges; there is no place of their own for them.
      v1::AddressSources* from = spec->mutable_proxy_protocol()->mutable_from();
      Qualify(space, from->mutable_ip_sets(), ip_sets);
      for (const net::IpAddress& address :
           AddressesOf(view, inventory.all(), space, from->workloads())) {
        from->add_cidrs(net::Cidr(address).ToString());
      }
    }
  }
  if (self.role == trust::Role::kGateway) {
    std::set<net::IpAddress> nodes;
    for (const Workload* workload : inventory.fronts()) {
      if (workload->role != trust::Role::kNode) continue;
      nodes.insert(workload->addresses.begin(), workload->addresses.end());
    }
    for (const net::IpAddress& address : nodes) trust->add_node_agents(address.ToString());
  }
  // Whoever does not trust them is not told, and not disturbed when they come and go.
  if (!TrustsMeshGateways(view, self)) return;
  // All that they claim, since it takes a proof of each connection to speak for one of them.
  // Whether somebody has proven it decides what it is where others name it.
  std::map<net::IpAddress, bool> gateways;
  for (const Workload* workload : inventory.fronts()) {
    if (IsSame(*workload, self)) continue;
    for (const net::IpAddress& address : workload->addresses) {
      gateways[address] |= workload->IsProven(address);
    }
  }
  for (const auto& [address, is_proven] : gateways) {
    trust->add_mesh_gateways(address.ToString());
    if (!is_proven) trust->add_unproven_gateways(address.ToString());
  }
}

void BuildPolicies(const ConfigView& view, const Workload& self, v1::WorkloadBundle* bundle,
                   std::set<std::string>* ip_sets) {
  for (const auto& [name, document] : view.policies()) {
    if (!InScope(view, name.first, self.namespace_) ||
        !Selects(document->ip_policy().selector().match_labels(), self.labels)) {
      continue;
    }
    // A node agent carries connections for gateways, which judge them by the same client. Policies
    // for everybody mean workloads; one that says so in its selector means the node.
    if (self.role == trust::Role::kNode &&
        document->ip_policy().selector().match_labels().empty()) {
      continue;
    }
    v1::PolicyResource* policy = bundle->add_policies();
    policy->set_namespace_(name.first);
    policy->set_name(name.second);
    *policy->mutable_spec() = document->ip_policy();
    policy->set_dry_run(document::IsDryRun(*document));
    for (v1::PolicyRule& rule : *policy->mutable_spec()->mutable_rules()) {
      for (v1::PolicyFrom& from : *rule.mutable_from()) {
        v1::PolicySource* source = from.mutable_source();
        Qualify(name.first, source->mutable_ip_sets(), ip_sets);
        Qualify(name.first, source->mutable_not_ip_sets(), ip_sets);
        Qualify(name.first, source->mutable_remote_ip_sets(), ip_sets);
        Qualify(name.first, source->mutable_not_remote_ip_sets(), ip_sets);
      }
    }
  }
}

void SetKey(std::string_view secret, std::string_view workload, std::string* out) {
  const proxy_protocol::HandoverKey key = proxy_protocol::DeriveKey(secret, workload);
  out->assign(key.begin(), key.end());
}

// Which endpoints take a hand-over: sidecars that take a verdict; gateways from node agents, and
// from other gateways where they are told to trust them.
void AddEndpointKeys(const ConfigView& view, const Roster& inventory, const Workload& self,
                     std::string_view secret, v1::WorkloadBundle* bundle) {
  std::set<std::string> gateways;
  for (const Workload* workload : inventory.fronts()) {
    if (workload->role == trust::Role::kGateway &&
        (self.role == trust::Role::kNode || TrustsMeshGateways(view, *workload))) {
      gateways.insert(absl::StrCat(workload->namespace_, "/", workload->name));
    }
  }
  for (v1::ClusterResource& cluster : *bundle->mutable_clusters()) {
    for (v1::EndpointResource& endpoint : *cluster.mutable_endpoints()) {
      if (!endpoint.has_sidecar() && gateways.count(endpoint.workload()) == 0) continue;
      SetKey(secret, endpoint.workload(), endpoint.mutable_handover_key());
    }
  }
}

// Maps otherwise come in an order that differs from process to process.
std::string Deterministic(const google::protobuf::Message& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return bytes;
}

std::string FirstDigits(const std::string& bytes) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest);
  constexpr size_t kShown = 8;
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<char*>(digest), kShown));
}

}  // namespace

v1::WorkloadBundle Build(const ConfigView& view, const std::vector<Workload>& inventory,
                         const Workload& self, std::string_view secret) {
  return Build(view, Roster(inventory), self, secret);
}

Workload CommonSelf(const Workload& self) {
  Workload common = self;
  if (self.role != trust::Role::kSidecar) return common;
  common.name.clear();
  common.addresses.clear();
  common.unproven_addresses.clear();
  common.certified_labels.reset();
  common.node.clear();
  return common;
}

v1::WorkloadBundle Build(const ConfigView& view, const Roster& inventory, const Workload& self,
                         std::string_view secret) {
  v1::WorkloadBundle bundle = BuildCommon(view, inventory, CommonSelf(self), secret);
  bundle.MergeFrom(BuildOwn(self, secret));
  return bundle;
}

v1::WorkloadBundle BuildOwn(const Workload& self, std::string_view secret) {
  v1::WorkloadBundle own;
  own.set_workload(self.name);
  if (!secret.empty()) {
    SetKey(secret, absl::StrCat(self.namespace_, "/", self.name), own.mutable_handover_key());
  }
  return own;
}

v1::WorkloadBundle BuildCommon(const ConfigView& view, const Roster& inventory,
                               const Workload& self, std::string_view secret) {
  v1::WorkloadBundle bundle;
  bundle.set_namespace_(self.namespace_);
  bundle.mutable_labels()->insert(self.labels.begin(), self.labels.end());
  bundle.set_role(ToWire(self.role));
  std::set<std::string> ip_sets;
  BuildTrust(view, inventory, self, bundle.mutable_trust(), &ip_sets);
  BuildPolicies(view, self, &bundle, &ip_sets);
  if (self.role == trust::Role::kGateway) BuildListeners(view, inventory.all(), self, &bundle);
  if (self.role == trust::Role::kNode) BuildNodePorts(view, inventory.all(), &bundle);
  if (self.role == trust::Role::kSidecar) {
    for (v1::PortSetting& setting : DeclaredPorts(view, self)) {
      *bundle.add_ports() = std::move(setting);
    }
  }
  if (!secret.empty()) AddEndpointKeys(view, inventory, self, secret, &bundle);
  v1::MeshSettings* mesh = bundle.mutable_mesh();
  mesh->set_path_normalization(view.mesh().path_normalization());
  *mesh->mutable_node_cidrs() = view.mesh().node_cidrs();
  *mesh->mutable_pod_cidrs() = view.mesh().pod_cidrs();
  if (view.mesh().has_access_log()) *mesh->mutable_access_log() = view.mesh().access_log();
  for (const std::string& name : ip_sets) bundle.add_ip_sets(name);
  return bundle;
}

std::vector<v1::IpSetResource> BuildIpSets(const ConfigView& view) {
  std::vector<v1::IpSetResource> resources;
  for (const auto& [name, document] : view.ip_sets()) {
    net::PackedCidrs content = document::ContentOf(document->ip_set());
    v1::IpSetResource& resource = resources.emplace_back();
    resource.set_name(absl::StrCat(name.first, "/", name.second));
    resource.set_v4(std::move(content.v4));
    resource.set_v6(std::move(content.v6));
  }
  return resources;
}

std::string ResourceVersion(const google::protobuf::Message& message) {
  return FirstDigits(Deterministic(message));
}

std::string BundleVersion(const std::string& common_version, const v1::WorkloadBundle& own) {
  return FirstDigits(common_version + Deterministic(own));
}

}  // namespace whence::bundle
