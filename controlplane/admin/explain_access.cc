#include "controlplane/admin/explain_access.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/bundle/bundle_builder.h"
#include "common/explain/explain.h"
#include "common/wire/ip_set.h"
#include "common/wire/snapshot_decoder.h"
#include "common/wire/trust.h"

namespace whence::admin {
namespace {

// The connected agent, or the workload that the request describes.
absl::StatusOr<bundle::Workload> Find(const std::vector<bundle::Workload>& inventory,
                                      const v1::ExplainRequest& request) {
  for (const bundle::Workload& workload : inventory) {
    if (workload.namespace_ + "/" + workload.name == request.workload()) return workload;
  }
  if (request.labels().empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("no agent \"", request.workload(),
                     "\" is connected: see the agents' list, or describe the workload by labels"));
  }
  bundle::Workload described;
  described.namespace_ = request.namespace_().empty() ? "default" : request.namespace_();
  described.name = "described";
  described.labels.insert(request.labels().begin(), request.labels().end());
  described.role = wire::RoleOf(request.role()).value_or(trust::Role::kSidecar);
  described.has_sidecar = true;
  return described;
}

// Of several agents with one name any could be meant.
std::vector<net::IpAddress> AddressesOf(const std::vector<bundle::Workload>& inventory,
                                        const std::string& name) {
  const bundle::Workload* found = nullptr;
  for (const bundle::Workload& workload : inventory) {
    if (workload.namespace_ + "/" + workload.name != name) continue;
    if (found != nullptr) return {};
    found = &workload;
  }
  return found != nullptr ? found->addresses : std::vector<net::IpAddress>();
}

// The one of them that a connection from `peer` can have been aimed at; empty: there are several,
// or none.
std::string OnlyOneFor(const std::vector<net::IpAddress>& addresses, const std::string& peer) {
  std::optional<net::IpAddress> ip = net::IpAddress::Parse(peer);
  if (const auto with_port = net::SocketAddress::Parse(peer); !ip && with_port) ip = with_port->ip;
  if (!ip) return "";
  std::string only;
  for (const net::IpAddress& address : addresses) {
    if (address.is_v4() != ip->is_v4()) continue;
    if (!only.empty()) return "";
    only = address.ToString();
  }
  return only;
}

absl::StatusOr<wire::IpSetMap> SetsOf(const v1::WorkloadBundle& bundle,
                                      const bundle::ConfigView& view) {
  wire::IpSetMap sets;
  if (bundle.ip_sets().empty()) return sets;
  for (const v1::IpSetResource& resource : bundle::BuildIpSets(view)) {
    bool needed = std::count(bundle.ip_sets().begin(), bundle.ip_sets().end(), resource.name()) > 0;
    if (!needed) continue;
    auto set = wire::DecodeIpSet(resource);
    if (!set.ok()) return set.status();
    sets[resource.name()] = std::move(*set);
  }
  return sets;
}

bool HasHeaderCondition(const v1::WorkloadBundle& bundle) {
  for (const v1::PolicyResource& policy : bundle.policies()) {
    for (const v1::PolicyRule& rule : policy.spec().rules()) {
      for (const v1::PolicyCondition& condition : rule.when()) {
        if (absl::StartsWith(condition.key(), "request.headers")) return true;
      }
    }
  }
  return false;
}

}  // namespace

absl::StatusOr<AccessExplainer::Built> AccessExplainer::Build(
    const v1::ExplainRequest& request) const {
  absl::StatusOr<bundle::Workload> workload = Find(inventory_, request);
  if (!workload.ok()) return workload.status();
  Built built;
  built.bundle = bundle::Build(*state_.view, inventory_, *workload);
  built.bundle.set_revision(state_.revision);
  built.looks_at_headers = HasHeaderCondition(built.bundle);
  built.addresses = AddressesOf(inventory_, request.workload());
  absl::StatusOr<wire::IpSetMap> sets = SetsOf(built.bundle, *state_.view);
  if (!sets.ok()) return sets.status();
  auto snapshot = wire::Decode(built.bundle, bundle::ResourceVersion(built.bundle), *sets);
  if (!snapshot.ok()) {
    // What was validated at apply cannot be decoded: the agents refuse it too, and say so.
    return absl::InternalError(
        absl::StrCat("agents would refuse this configuration: ", snapshot.status().message()));
  }
  built.snapshot = *std::move(snapshot);
  return built;
}

const absl::StatusOr<AccessExplainer::Built>& AccessExplainer::BuiltFor(
    const v1::ExplainRequest& request) {
  if (request.workload().empty()) return described_ = Build(request);
  auto [found, is_new] = built_.try_emplace(request.workload(), absl::UnknownError(""));
  if (is_new) found->second = Build(request);
  return found->second;
}

absl::StatusOr<v1::ExplainResponse> AccessExplainer::Explain(const v1::ExplainRequest& request,
                                                             WallTime now) {
  const absl::StatusOr<Built>& built = BuiltFor(request);
  if (!built.ok()) return built.status();
  v1::ExplainRequest aimed;
  if (request.destination().empty()) {
    aimed = request;
    aimed.set_destination(OnlyOneFor(built->addresses, request.peer()));
  }
  absl::StatusOr<v1::ExplainResponse> response = explain::Explain(
      *built->snapshot, built->bundle, request.destination().empty() ? aimed : request, now);
  if (response.ok()) response->set_revision(state_.revision);
  return response;
}

bool AccessExplainer::LooksAtHeaders(const v1::ExplainRequest& request) {
  const absl::StatusOr<Built>& built = BuiltFor(request);
  return built.ok() && built->looks_at_headers;
}

absl::StatusOr<v1::ExplainResponse> ExplainAccess(const model::ConfigState& state,
                                                  const std::vector<bundle::Workload>& inventory,
                                                  const v1::ExplainRequest& request, WallTime now) {
  return AccessExplainer(state, inventory).Explain(request, now);
}

}  // namespace whence::admin
