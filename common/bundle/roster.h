// The inventory as bundles are built from it: put in order once, however many bundles there are.
#ifndef WHENCE_COMMON_BUNDLE_ROSTER_H_
#define WHENCE_COMMON_BUNDLE_ROSTER_H_

#include <vector>

#include "common/bundle/inventory.h"
#include "common/bundle/selection.h"

namespace whence::bundle {

// Immutable. `inventory` must outlive it.
class Roster {
 public:
  explicit Roster(const std::vector<Workload>& inventory) : all_(Sorted(inventory)) {
    for (const Workload* workload : all_) {
      if (workload->role != trust::Role::kSidecar) fronts_.push_back(workload);
    }
  }

  // By namespace and name.
  const std::vector<const Workload*>& all() const { return all_; }
  // Gateways and node agents, of which there are few: what others trust.
  const std::vector<const Workload*>& fronts() const { return fronts_; }

 private:
  std::vector<const Workload*> all_;
  std::vector<const Workload*> fronts_;
};

}  // namespace whence::bundle

#endif  // WHENCE_COMMON_BUNDLE_ROSTER_H_
