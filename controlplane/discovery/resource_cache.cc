#include "controlplane/discovery/resource_cache.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/bundle/bundle_builder.h"
#include "common/bundle/roster.h"
#include "common/document/ip_set.h"
#include "controlplane/discovery/ip_set_steps.h"

namespace whence::discovery {
namespace {

CommonKey KeyOf(const bundle::Workload& self) {
  const bundle::Workload common = bundle::CommonSelf(self);
  return {common.namespace_,  common.name,           common.labels,
          common.has_sidecar, common.included_ports, common.excluded_ports};
}

// The bytes of before if the version is the same: they stay those that were hashed, and are in
// memory once.
CommonBundle BuildCommon(const model::ConfigState& config, const bundle::Roster& roster,
                         const bundle::Workload& self, std::string_view secret,
                         const ResourceMap& ip_sets, const CommonBundle* before) {
  v1::WorkloadBundle bundle =
      bundle::BuildCommon(*config.view, roster, bundle::CommonSelf(self), secret);
  for (const std::string& name : bundle.ip_sets()) {
    auto set = ip_sets.find(name);
    if (set == ip_sets.end()) continue;
    (*bundle.mutable_ip_set_versions())[name] = set->second.version;
  }
  CommonBundle common;
  common.version = bundle::ResourceVersion(bundle);
  if (before != nullptr && before->version == common.version) return *before;
  bundle.set_revision(config.revision);  // After the version: it is no part of it.
  common.bytes = std::make_shared<const std::string>(bundle.SerializeAsString());
  common.ip_sets.assign(bundle.ip_sets().begin(), bundle.ip_sets().end());
  return common;
}

const CommonBundle& CommonOf(const model::ConfigState& config, const bundle::Roster& roster,
                             const bundle::Workload& self, std::string_view secret,
                             const ResourceState* previous, ResourceState* state) {
  auto [found, is_new] = state->common.try_emplace(KeyOf(self));
  if (!is_new) return found->second;
  const CommonBundle* before = nullptr;
  if (previous) {
    auto it = previous->common.find(found->first);
    if (it != previous->common.end()) before = &it->second;
  }
  found->second = BuildCommon(config, roster, self, secret, state->ip_sets, before);
  return found->second;
}

ResourceMap BuildAllIpSets(const bundle::ConfigView& view, const ResourceState* previous) {
  ResourceMap sets;
  for (const auto& [name, document] : view.ip_sets()) {
    const std::string id = absl::StrCat(name.first, "/", name.second);
    std::shared_ptr<const IpSetSteps> before;
    if (previous) {
      auto it = previous->ip_sets.find(id);
      // Only sets are in that map.
      if (it != previous->ip_sets.end()) {
        before = std::static_pointer_cast<const IpSetSteps>(it->second.steps);
      }
    }
    auto steps = IpSetSteps::Make(id, document::ContentOf(document->ip_set()), before);
    sets[id] = {steps->version(), nullptr, steps};
  }
  return sets;
}

}  // namespace

std::shared_ptr<const ResourceState> BuildResourceState(const model::ConfigState& config,
                                                        const InventoryView& inventory,
                                                        const ResourceState* previous,
                                                        std::string_view handover_secret) {
  auto state = std::make_shared<ResourceState>();
  state->revision = config.revision;
  state->generation = inventory.generation;
  bool same_config = previous && previous->revision == config.revision;
  state->ip_sets = same_config ? previous->ip_sets : BuildAllIpSets(*config.view, previous);
  const bundle::Roster roster(inventory.workloads);
  for (const bundle::Workload& self : inventory.workloads) {
    const std::string id = absl::StrCat(self.namespace_, "/", self.name);
    const CommonBundle& common =
        CommonOf(config, roster, self, handover_secret, previous, state.get());
    WorkloadResources& resources = state->workloads[id];
    for (const std::string& name : common.ip_sets) {
      auto set = state->ip_sets.find(name);
      if (set != state->ip_sets.end()) resources.ip_sets.insert(*set);
    }
    const v1::WorkloadBundle own = bundle::BuildOwn(self, handover_secret);
    // Encoded messages one after the other are one message: that is what merging means.
    resources.bundles[id] = {bundle::BundleVersion(common.version, own), common.bytes, nullptr,
                             own.SerializeAsString()};
  }
  return state;
}

ResourceCache::ResourceCache(model::CurrentConfig& config, Inventory& inventory, const Clock& clock,
                             ResourceCacheOptions options, std::function<void()> on_state,
                             std::function<void(const std::vector<Agent>&)> on_inventory)
    : config_(config),
      inventory_(inventory),
      clock_(clock),
      handover_secret_(std::move(options.handover_secret)),
      on_state_(std::move(on_state)),
      on_inventory_(std::move(on_inventory)),
      debounce_(options.quiet, options.limit) {
  // A configuration that is there already is served from the first moment.
  if (auto loaded = config_.Get()) {
    state_ = BuildResourceState(*loaded, *inventory_.View(), nullptr, handover_secret_);
    ++builds_;
  }
  inventory_.SetListener([this] { Wake(); });
  config_.AddListener(this);
  thread_ = std::thread([this] { Run(); });
  Wake();  // What changed between the build and the listening, and the first expiry.
}

ResourceCache::~ResourceCache() {
  config_.RemoveListener(this);
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    wake_.notify_one();
  }
  thread_.join();
  inventory_.SetListener(nullptr);
}

std::shared_ptr<const ResourceState> ResourceCache::State() const {
  std::lock_guard lock(mutex_);
  return state_;
}

uint64_t ResourceCache::builds() const {
  std::lock_guard lock(mutex_);
  return builds_;
}

void ResourceCache::OnRevision(std::shared_ptr<const model::ConfigState>) { Wake(); }

void ResourceCache::Wake() {
  std::lock_guard lock(mutex_);
  woken_ = true;
  wake_.notify_one();
}

bool ResourceCache::OutOfDate() const {
  auto config = config_.Get();
  if (!config) return false;
  return !state_ || state_->revision != config->revision ||
         state_->generation != inventory_.View()->generation;
}

void ResourceCache::Run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (std::exchange(woken_, false) && OutOfDate()) debounce_.OnChange(clock_.SteadyNow());
    std::optional<SteadyTime> due = debounce_.Due();
    std::optional<SteadyTime> expiry = inventory_.NextExpiry();
    SteadyTime now = clock_.SteadyNow();
    if (due && *due <= now) {
      Rebuild(lock);
    } else if (expiry && *expiry <= now) {
      lock.unlock();
      inventory_.Expire();  // Wakes us if it changes anything.
      lock.lock();
    } else if (due || expiry) {
      auto until = !expiry || (due && *due < *expiry) ? *due : *expiry;
      wake_.wait_for(lock, until - now, [this] { return woken_ || stop_; });
    } else {
      wake_.wait(lock, [this] { return woken_ || stop_; });
    }
  }
}

void ResourceCache::Rebuild(std::unique_lock<std::mutex>& lock) {
  debounce_.Done();
  std::shared_ptr<const ResourceState> previous = state_;
  lock.unlock();
  std::shared_ptr<const InventoryView> inventory = inventory_.View();
  const bool other_agents = !previous || previous->generation != inventory->generation;
  auto state = BuildResourceState(*config_.Get(), *inventory, previous.get(), handover_secret_);
  previous.reset();
  lock.lock();
  state_ = std::move(state);
  ++builds_;
  lock.unlock();
  on_state_();
  // After the agents were served: it is for the next start.
  if (on_inventory_ && other_agents) on_inventory_(inventory_.Agents());
  lock.lock();
}

}  // namespace whence::discovery
