// Who is selected by what.
#ifndef WHENCE_COMMON_BUNDLE_SELECTION_H_
#define WHENCE_COMMON_BUNDLE_SELECTION_H_

#include <map>
#include <string>
#include <vector>

#include "common/bundle/config_view.h"
#include "common/bundle/inventory.h"
#include "google/protobuf/map.h"

namespace whence::bundle {

// Every wanted label is there. An empty selector selects everything: where that must not be (a
// Service's, a Gateway's), the caller asks first.
bool Selects(const google::protobuf::Map<std::string, std::string>& wanted,
             const std::map<std::string, std::string>& labels);

// Whom a topology trusts or takes PROXY protocol from: an empty selector selects nobody.
bool TrustSelects(const v1::LabelSelector& selector,
                  const std::map<std::string, std::string>& labels);

// A topology that would trust a workload for a label or an address that it claims, and does not,
// since nothing but its agent's word is behind it.
struct Distrust {
  std::string topology;       // "namespace/name"
  bool is_of_labels = false;  // else only of addresses
};
std::vector<Distrust> DistrustedBy(const ConfigView& view, const Workload& workload);

// A document of `space` speaks of workloads of `workload_space`.
bool InScope(const ConfigView& view, const std::string& space, const std::string& workload_space);

// The topology that holds for `self`; null: the role's defaults.
const v1::Document* TopologyFor(const ConfigView& view, const Workload& self);

// Whether `self` believes connected gateways and node agents: its topology's word, or its role's.
bool TrustsMeshGateways(const ConfigView& view, const Workload& self);

// The inventory in an order of its own, since agents connect in any.
std::vector<const Workload*> Sorted(const std::vector<Workload>& inventory);

bool IsSame(const Workload& a, const Workload& b);

}  // namespace whence::bundle

#endif  // WHENCE_COMMON_BUNDLE_SELECTION_H_
