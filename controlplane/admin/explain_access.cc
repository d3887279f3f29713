#include "controlplane/admin/explain_access.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/bundle/bundle_builder.h"
#include "common/explain/explain.h"
#include "common/wire/ip_set.h"
#include "common/wire/snapshot_decoder.h"

namespace whence::admin {
namespace {

trust::Role RoleOf(v1::AgentRole role) {
  switch (role) {
    case v1::GATEWAY:
      return trust::Role::kGateway;
    case v1::NODE:
      return trust::Role::kNode;
    default:
      return trust::Role::kSidecar;
  }
}

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
  described.role = RoleOf(request.role());
  described.has_sidecar = true;
  return described;
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

}  // namespace

absl::StatusOr<v1::ExplainResponse> ExplainAccess(const model::ConfigState& state,
                                                  const std::vector<bundle::Workload>& inventory,
                                                  const v1::ExplainRequest& request, WallTime now) {
  absl::StatusOr<bundle::Workload> workload = Find(inventory, request);
  if (!workload.ok()) return workload.status();
  v1::WorkloadBundle bundle = bundle::Build(*state.view, inventory, *workload);
  bundle.set_revision(state.revision);
  absl::StatusOr<wire::IpSetMap> sets = SetsOf(bundle, *state.view);
  if (!sets.ok()) return sets.status();
  auto snapshot = wire::Decode(bundle, bundle::ResourceVersion(bundle), *sets);
  if (!snapshot.ok()) {
    // What was validated at apply cannot be decoded: the agents refuse it too, and say so.
    return absl::InternalError(
        absl::StrCat("agents would refuse this configuration: ", snapshot.status().message()));
  }
  absl::StatusOr<v1::ExplainResponse> response = explain::Explain(**snapshot, bundle, request, now);
  if (response.ok()) response->set_revision(state.revision);
  return response;
}

}  // namespace whence::admin
