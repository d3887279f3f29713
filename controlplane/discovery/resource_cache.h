// What every agent is to be served, now: built once for all streams, serialised once per version.
//
// Made anew, on a thread of its own, when the configuration or the inventory changes; a burst of
// changes makes one state (see debounce.h). Level-triggered: a state is always the latest of both,
// states in between are never built. Streams take the newest state whenever they can send.
#ifndef WHENCE_CONTROLPLANE_DISCOVERY_RESOURCE_CACHE_H_
#define WHENCE_CONTROLPLANE_DISCOVERY_RESOURCE_CACHE_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <vector>

#include "common/base/clock.h"
#include "controlplane/discovery/debounce.h"
#include "controlplane/discovery/inventory.h"
#include "controlplane/discovery/subscription.h"
#include "controlplane/model/current_config.h"

namespace whence::discovery {

// What one agent may see: its own bundle, and the IpSets that the bundle names.
struct WorkloadResources {
  ResourceMap bundles;
  ResourceMap ip_sets;
};

// The common part of a bundle, for all replicas of one workload.
struct CommonBundle {
  std::string version;
  std::shared_ptr<const std::string> bytes;
  std::vector<std::string> ip_sets;
};
// What makes agents share it: what bundle::CommonSelf leaves.
using CommonKey = std::tuple<std::string, std::string, std::map<std::string, std::string>, bool,
                             std::vector<uint16_t>, std::vector<uint16_t>>;

// Immutable. Unchanged resources are shared with the state before.
struct ResourceState {
  uint64_t revision = 0;
  uint64_t generation = 0;  // of the inventory
  ResourceMap ip_sets;
  std::map<CommonKey, CommonBundle> common;
  std::map<std::string, WorkloadResources> workloads;  // by "namespace/name"
};

// Pure. `previous` may be null; IpSets are taken from it if its revision is the same.
std::shared_ptr<const ResourceState> BuildResourceState(const model::ConfigState& config,
                                                        const InventoryView& inventory,
                                                        const ResourceState* previous,
                                                        std::string_view handover_secret = {});

struct ResourceCacheOptions {
  std::chrono::milliseconds quiet{50};
  std::chrono::milliseconds limit{1000};
  // What the keys are derived from with which agents prove themselves to each other.
  std::string handover_secret;
};

// Thread-safe.
class ResourceCache final : public model::ConfigListener {
 public:
  // `on_state` is called on the cache's thread with every new state; `on_inventory` (may be null)
  // when the workloads changed, for keeping them over a restart. The arguments outlive the cache.
  ResourceCache(model::CurrentConfig& config, Inventory& inventory, const Clock& clock,
                ResourceCacheOptions options, std::function<void()> on_state,
                std::function<void(const std::vector<Agent>&)> on_inventory);
  ~ResourceCache() override;

  // Null until the configuration was loaded.
  std::shared_ptr<const ResourceState> State() const;
  uint64_t builds() const;

  void OnRevision(std::shared_ptr<const model::ConfigState> state) override;

 private:
  void Wake();
  void Run();
  // One round of the thread. REQUIRES: `lock` held; gives it up while it builds.
  void Rebuild(std::unique_lock<std::mutex>& lock);
  bool OutOfDate() const;

  model::CurrentConfig& config_;
  Inventory& inventory_;
  const Clock& clock_;
  const std::string handover_secret_;
  const std::function<void()> on_state_;
  const std::function<void(const std::vector<Agent>&)> on_inventory_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  // By mutex_:
  Debounce debounce_;
  bool woken_ = false;
  bool stop_ = false;
  uint64_t builds_ = 0;
  std::shared_ptr<const ResourceState> state_;

  std::thread thread_;  // last: uses all of the above
};

}  // namespace whence::discovery

#endif  // WHENCE_CONTROLPLANE_DISCOVERY_RESOURCE_CACHE_H_
