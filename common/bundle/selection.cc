#include "common/bundle/selection.h"

#include <algorithm>
#include <tuple>

namespace whence::bundle {

bool Selects(const google::protobuf::Map<std::string, std::string>& wanted,
             const std::map<std::string, std::string>& labels) {
  for (const auto& [key, value] : wanted) {
    const auto found = labels.find(key);
    if (found == labels.end() || found->second != value) return false;
  }
  return true;
}

bool TrustSelects(const v1::LabelSelector& selector,
                  const std::map<std::string, std::string>& labels) {
  return !selector.match_labels().empty() && Selects(selector.match_labels(), labels);
}

std::vector<Distrust> DistrustedBy(const ConfigView& view, const Workload& workload) {
  std::vector<Distrust> all;
  for (const auto& [name, document] : view.topologies()) {
    if (!InScope(view, name.first, workload.namespace_)) continue;
    const v1::TrustTopologySpec& spec = document->trust_topology();
    bool selects = false, trusts = false;
    for (const auto* sources : {&spec.trusted_proxies(), &spec.proxy_protocol().from()}) {
      for (const v1::LabelSelector& selector : sources->workloads()) {
        selects |= TrustSelects(selector, workload.labels);
        trusts |= TrustSelects(selector, workload.LabelsForTrust());
      }
    }
    if (selects && (!trusts || !workload.unproven_addresses.empty())) {
      all.push_back({name.first + "/" + name.second, !trusts});
    }
  }
  return all;
}

bool InScope(const ConfigView& view, const std::string& space, const std::string& workload_space) {
  return space == workload_space || space == view.root_namespace();
}

const v1::Document* TopologyFor(const ConfigView& view, const Workload& self) {
  const v1::Document* best = nullptr;
  // Number of labels, then whether it stands in the workload's own namespace.
  std::tuple<size_t, bool> best_rank;
  for (const auto& [name, document] : view.topologies()) {
    const auto& labels = document->trust_topology().selector().match_labels();
    if (!InScope(view, name.first, self.namespace_) || !Selects(labels, self.labels)) continue;
    const std::tuple<size_t, bool> rank(labels.size(), name.first == self.namespace_);
    if (best == nullptr || rank > best_rank) {
      best = document;
      best_rank = rank;
    }
  }
  return best;
}

bool TrustsMeshGateways(const ConfigView& view, const Workload& self) {
  const v1::Document* document = TopologyFor(view, self);
  if (document != nullptr && document->trust_topology().has_trust_mesh_gateways()) {
    return document->trust_topology().trust_mesh_gateways();
  }
  return self.role == trust::Role::kSidecar;
}

std::vector<const Workload*> Sorted(const std::vector<Workload>& inventory) {
  std::vector<const Workload*> sorted;
  sorted.reserve(inventory.size());
  for (const Workload& workload : inventory) sorted.push_back(&workload);
  std::sort(sorted.begin(), sorted.end(), [](const Workload* a, const Workload* b) {
    return std::tie(a->namespace_, a->name, a->addresses) <
           std::tie(b->namespace_, b->name, b->addresses);
  });
  return sorted;
}

bool IsSame(const Workload& a, const Workload& b) {
  return a.namespace_ == b.namespace_ && a.name == b.name;
}

}  // namespace whence::bundle
