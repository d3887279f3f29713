// Documents and inventory -> what one agent receives.
//
// Selection, as in Istio: a policy or topology applies if its namespace is the workload's or the
// root namespace and every label of its selector is on the workload. All policies that apply do;
// of topologies the one with the most labels, and among equals the one of the workload's own
// namespace (ties within a namespace are refused at apply).
//
// Pure. Deterministic: equal documents and inventory give equal bytes, whatever order they came in.
// A bundle's version is a hash of it, and a restart must not re-send what did not change.
#ifndef WHENCE_COMMON_BUNDLE_BUNDLE_BUILDER_H_
#define WHENCE_COMMON_BUNDLE_BUNDLE_BUILDER_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/bundle/config_view.h"
#include "common/bundle/inventory.h"
#include "common/bundle/roster.h"
#include "google/protobuf/message.h"
#include "whence/v1/resources.pb.h"

namespace whence::bundle {

// `inventory` is every connected agent, `self` among them or not. `secret` is what the keys of
// hand-overs are derived from; without one nobody can prove a hand-over. `revision` is left 0: take the
// version first, then set it, since it is no part of the version.
v1::WorkloadBundle Build(const ConfigView& view, const Roster& inventory, const Workload& self,
                         std::string_view secret = {});
// For one bundle; a Roster is made for it alone.
v1::WorkloadBundle Build(const ConfigView& view, const std::vector<Workload>& inventory,
                         const Workload& self, std::string_view secret = {});

// A bundle has two parts, and Build puts them together. Thousands of agents are replicas of some
// hundred workloads, so the large part is built once for all who have it in common.
//
// What makes sidecars have it in common is all but name, addresses and node, which CommonSelf takes
// away: BuildCommon cannot depend on them. Agents of other roles are each their own.
Workload CommonSelf(const Workload& self);
v1::WorkloadBundle BuildCommon(const ConfigView& view, const Roster& inventory,
                               const Workload& common_self, std::string_view secret = {});
// The few fields that are the agent's alone.
v1::WorkloadBundle BuildOwn(const Workload& self, std::string_view secret = {});

// All IpSets, by name.
std::vector<v1::IpSetResource> BuildIpSets(const ConfigView& view);

// The first 16 hex digits of the SHA-256 of the message's deterministic serialisation.
std::string ResourceVersion(const google::protobuf::Message& message);
// Of a bundle: from its common part's ResourceVersion, and its own part.
std::string BundleVersion(const std::string& common_version, const v1::WorkloadBundle& own);

}  // namespace whence::bundle

#endif  // WHENCE_COMMON_BUNDLE_BUNDLE_BUILDER_H_
