#include "controlplane/discovery/inventory.h"

#include <algorithm>
#include <utility>

namespace whence::discovery {
namespace {

// Most breaks are followed by a reconnect.
constexpr std::chrono::seconds kBriefBreak(3);
constexpr std::chrono::minutes kLostFor(10);
constexpr size_t kMaxLost = 1000;

int64_t Micros(WallTime time) { return time.time_since_epoch().count(); }

v1::ResourceState ToResourceState(const std::string& type, const std::string& name,
                                  const ResourceProgress& status) {
  v1::ResourceState state;
  state.set_type(type);
  state.set_name(name);
  state.set_sent_version(status.sent_version);
  state.set_acked_version(status.acked_version);
  state.set_refused_version(status.refused_version);
  state.set_error(status.error);
  return state;
}

}  // namespace

Inventory::Inventory(const Clock& clock, InventoryOptions options)
    : clock_(clock), options_(options), view_(std::make_shared<InventoryView>()) {}

void Inventory::Remember(std::vector<Agent> agents) {
  std::lock_guard lock(mutex_);
  SteadyTime now = clock_.SteadyNow();
  for (Agent& agent : agents) {
    Record& record = records_[agent.id];
    record.agent = std::move(agent);
    record.addresses_since = now;
    record.departed_at = now;
    record.leaves_at = now + options_.restart_grace;
  }
  Refresh();
}

Inventory::Session Inventory::Connect(Agent agent, Close close) {
  Close replaced;
  Session session;
  bool changed;
  {
    std::lock_guard lock(mutex_);
    session.id = next_session_++;
    Record& record = records_[agent.id];
    if (record.session != 0) {
      conflicts_.fetch_add(1, std::memory_order_relaxed);
      sessions_.erase(record.session);
      replaced = std::move(record.close);
    }
    if (record.agent.workload.addresses != agent.workload.addresses ||
        record.addresses_since == SteadyTime{}) {
      record.addresses_since = clock_.SteadyNow();
    }
    record.agent = std::move(agent);
    record.session = session.id;
    record.close = std::move(close);
    record.connected_since = clock_.Now();
    record.leaves_at.reset();
    record.departed_at.reset();
    record.progress = {};
    sessions_[session.id] = record.agent.id;
    lost_.erase(record.agent.id);
    changed = Refresh();
    session.generation = view_->generation;
  }
  if (changed) Notify();
  if (replaced) {
    replaced(absl::AbortedError("another stream with the same node id took the place of this one"));
  }
  return session;
}

void Inventory::Disconnect(uint64_t session, bool farewell) {
  {
    std::lock_guard lock(mutex_);
    auto live = sessions_.find(session);
    if (live == sessions_.end()) return;
    auto record = records_.find(live->second);
    sessions_.erase(live);
    if (farewell) {
      records_.erase(record);
    } else {
      record->second.session = 0;
      record->second.close = nullptr;
      record->second.departed_at = clock_.SteadyNow();
      record->second.leaves_at = *record->second.departed_at + options_.grace;
      if (lost_.size() < kMaxLost) lost_[record->second.agent.id] = clock_.SteadyNow();
    }
    Refresh();
  }
  // Always: a lingering agent changes no view, but there is a new expiry.
  Notify();
}

void Inventory::Report(uint64_t session, Progress progress) {
  std::lock_guard lock(mutex_);
  auto live = sessions_.find(session);
  if (live != sessions_.end()) records_[live->second].progress = std::move(progress);
}

bool Inventory::Refresh() {
  // Who claims which address since when, among those who are connected.
  std::map<net::IpAddress, SteadyTime> claimed;
  for (const auto& [id, record] : records_) {
    if (record.session == 0) continue;
    for (const net::IpAddress& address : record.agent.workload.addresses) {
      SteadyTime& since = claimed[address];
      since = std::max(since, record.addresses_since);
    }
  }
  auto view = std::make_shared<InventoryView>();
  for (const auto& [id, record] : records_) {
    bundle::Workload workload = record.agent.workload;
    if (record.departed_at) {
      std::erase_if(workload.addresses, [&](const net::IpAddress& address) {
        auto it = claimed.find(address);
        return it != claimed.end() && it->second > *record.departed_at;
      });
    }
    view->workloads.push_back(std::move(workload));
  }
  if (std::equal(view->workloads.begin(), view->workloads.end(), view_->workloads.begin(),
                 view_->workloads.end(), SameWorkload)) {
    return false;
  }
  view->generation = view_->generation + 1;
  view_ = std::move(view);
  return true;
}

void Inventory::Notify() const {
  if (listener_) listener_();
}

std::shared_ptr<const InventoryView> Inventory::View() const {
  std::lock_guard lock(mutex_);
  return view_;
}

std::vector<Agent> Inventory::Agents() const {
  std::lock_guard lock(mutex_);
  std::vector<Agent> agents;
  agents.reserve(records_.size());
  for (const auto& [id, record] : records_) agents.push_back(record.agent);
  return agents;
}

std::vector<v1::AgentState> Inventory::ListAgents() const {
  std::lock_guard lock(mutex_);
  SteadyTime now = clock_.SteadyNow();
  std::vector<v1::AgentState> agents;
  for (const auto& [id, record] : records_) {
    if (record.session == 0) continue;
    v1::AgentState state = ToAgentState(record.agent);
    state.set_connected_since_us(Micros(record.connected_since));
    for (const auto& [type, statuses] : record.progress.resources) {
      for (const auto& [name, status] : statuses) {
        *state.add_resources() = ToResourceState(type, name, status);
      }
    }
    state.set_sent_revision(record.progress.sent_revision);
    state.set_acked_revision(record.progress.acked_revision);
    if (record.progress.waiting_since) {
      auto lag = std::chrono::duration_cast<std::chrono::microseconds>(
          now - *record.progress.waiting_since);
      state.set_lag_us(std::max<int64_t>(lag.count(), 1));  // 0 would say that none is awaited
    }
    agents.push_back(std::move(state));
  }
  return agents;
}

std::vector<std::string> Inventory::Lost() const {
  std::lock_guard lock(mutex_);
  const SteadyTime now = clock_.SteadyNow();
  std::vector<std::string> lost;
  for (const auto& [id, since] : lost_) {
    if (now - since >= kBriefBreak && now - since < kLostFor) lost.push_back(id);
  }
  return lost;
}

void Inventory::Expire() {
  bool changed;
  {
    std::lock_guard lock(mutex_);
    SteadyTime now = clock_.SteadyNow();
    std::erase_if(lost_, [now](const auto& entry) { return now - entry.second >= kLostFor; });
    std::erase_if(records_, [now](const auto& entry) {
      return entry.second.leaves_at && *entry.second.leaves_at <= now;
    });
    changed = Refresh();
  }
  if (changed) Notify();
}

std::optional<SteadyTime> Inventory::NextExpiry() const {
  std::lock_guard lock(mutex_);
  std::optional<SteadyTime> next;
  for (const auto& [id, record] : records_) {
    if (record.leaves_at && (!next || *record.leaves_at < *next)) next = record.leaves_at;
  }
  return next;
}

uint64_t Inventory::connected() const {
  std::lock_guard lock(mutex_);
  return sessions_.size();
}

}  // namespace whence::discovery
