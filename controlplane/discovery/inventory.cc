#include "controlplane/discovery/inventory.h"

#include <algorithm>
#include <utility>

namespace whence::discovery {
namespace {

// Most breaks are followed by a reconnect.
constexpr std::chrono::seconds kBriefBreak(3);
constexpr std::chrono::minutes kLostFor(10);
constexpr size_t kMaxLost = 1000;

absl::Status Replaced() {
  return absl::AbortedError("another stream with the same node id took the place of this one");
}

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
    SetAgent(&record, std::move(agent));
    record.addresses_since = now;
    record.departed_at = now;
    SetLeaving(&record, now + options_.restart_grace);
    record.generation = generation_ + 1;
  }
  Touch();
}

Inventory::Session Inventory::Connect(Agent agent, Close close, Observe observe) {
  const std::string id = agent.id;
  Close replaced;
  Session session;
  bool changed;
  {
    std::lock_guard lock(mutex_);
    session.id = next_session_++;
    auto [found, is_new] = records_.try_emplace(agent.id);
    Record& record = found->second;
    if (record.session != 0) {
      conflicts_.fetch_add(1, std::memory_order_relaxed);
      sessions_.erase(record.session);
      replaced = std::move(record.close);
    }
    if (record.agent.workload.addresses != agent.workload.addresses ||
        record.addresses_since == SteadyTime{}) {
      record.addresses_since = clock_.SteadyNow();
    }
    const bool is_same = !is_new && SameWorkload(record.agent.workload, agent.workload);
    SetAgent(&record, std::move(agent));
    record.session = session.id;
    record.is_elsewhere = false;
    record.close = std::move(close);
    record.observe = std::move(observe);
    record.connected_since = clock_.Now();
    SetLeaving(&record, std::nullopt);
    record.departed_at.reset();
    sessions_[session.id] = record.agent.id;
    lost_.erase(record.agent.id);
    changed = !is_same ? Touch() : SharesAddress(record.agent) ? Compare() : false;
    // One that is back as it was need not wait for a view with all who come for the first time.
    if (changed) record.generation = generation_;
    session.generation = record.generation;
    if (!record.agent.workload.unproven_addresses.empty() && SharesAddress(record.agent)) {
      const std::set<net::IpAddress> proven = ProvenByOne();
      for (const net::IpAddress& address : record.agent.workload.unproven_addresses) {
        if (proven.count(address) > 0) session.disputed.push_back(address);
      }
    }
  }
  if (changed) Notify();
  NotifyLocal(id);
  if (replaced) replaced(Replaced());
  return session;
}

void Inventory::Disconnect(uint64_t session, bool farewell) {
  std::string id;
  {
    std::lock_guard lock(mutex_);
    auto live = sessions_.find(session);
    if (live == sessions_.end()) return;
    id = live->second;
    auto found = records_.find(id);
    sessions_.erase(live);
    if (farewell) {
      Erase(found);
      Touch();
    } else {
      Record& record = found->second;
      record.session = 0;
      record.close = nullptr;
      record.observe = nullptr;
      record.departed_at = clock_.SteadyNow();
      SetLeaving(&record, *record.departed_at + options_.grace);
      if (lost_.size() < kMaxLost) lost_[record.agent.id] = clock_.SteadyNow();
      if (SharesAddress(record.agent)) Compare();
    }
  }
  // Always: a lingering agent changes no view, but there is a new expiry.
  Notify();
  NotifyLocal(id);
}

void Inventory::ConnectElsewhere(Agent agent) {
  Close replaced;
  bool changed;
  {
    std::lock_guard lock(mutex_);
    auto [found, is_new] = records_.try_emplace(agent.id);
    Record& record = found->second;
    if (record.session != 0) {
      conflicts_.fetch_add(1, std::memory_order_relaxed);
      sessions_.erase(std::exchange(record.session, 0));
      replaced = std::exchange(record.close, nullptr);
      record.observe = nullptr;
    }
    if (is_new || record.agent.workload.addresses != agent.workload.addresses) {
      record.addresses_since = clock_.SteadyNow();
    }
    const bool is_same = !is_new && SameWorkload(record.agent.workload, agent.workload);
    lost_.erase(agent.id);
    SetAgent(&record, std::move(agent));
    record.is_elsewhere = true;
    SetLeaving(&record, std::nullopt);
    record.departed_at.reset();
    changed = !is_same ? Touch() : SharesAddress(record.agent) ? Compare() : false;
    if (changed) record.generation = generation_;
  }
  if (changed) Notify();
  if (replaced) replaced(Replaced());
}

void Inventory::BreakElsewhere(Agent agent, bool control_plane_is_gone) {
  {
    std::lock_guard lock(mutex_);
    const SteadyTime now = clock_.SteadyNow();
    auto [found, is_new] = records_.try_emplace(agent.id);
    Record& record = found->second;
    // Lingering already: what is heard of it again does not lengthen that.
    if (record.session != 0 || record.leaves_at) return;
    if (is_new) record.addresses_since = now;
    const bool is_same = !is_new && SameWorkload(record.agent.workload, agent.workload);
    SetAgent(&record, std::move(agent));
    record.is_elsewhere = true;
    record.departed_at = now;
    SetLeaving(&record, now + (control_plane_is_gone ? options_.restart_grace : options_.grace));
    const bool changed = !is_same ? Touch() : SharesAddress(record.agent) ? Compare() : false;
    if (changed) record.generation = generation_;
  }
  Notify();
}

void Inventory::LeaveElsewhere(const std::string& id) {
  {
    std::lock_guard lock(mutex_);
    auto found = records_.find(id);
    if (found == records_.end() || !found->second.is_elsewhere) return;
    Erase(found);
    Touch();
  }
  Notify();
}

LocalAgent Inventory::Local(const std::string& id) const {
  std::lock_guard lock(mutex_);
  auto record = records_.find(id);
  if (record == records_.end()) return {};
  using State = LocalAgent::State;
  const State state = record->second.is_elsewhere   ? State::kElsewhere
                      : record->second.session == 0 ? State::kBroken
                                                    : State::kConnected;
  return {state, record->second.agent.node_bytes, record->second.agent.proof};
}

bool Inventory::Touch() {
  if (!std::exchange(stale_, true)) ++generation_;
  return true;
}

bool Inventory::Compare() {
  if (stale_) return true;
  std::shared_ptr<InventoryView> view = MakeView();
  if (std::equal(view->workloads.begin(), view->workloads.end(), view_->workloads.begin(),
                 view_->workloads.end(), SameWorkload)) {
    return false;
  }
  view->generation = ++generation_;
  view_ = std::move(view);
  return true;
}

void Inventory::SetAgent(Record* record, Agent agent) {
  CountAddresses(record->agent, -1);
  record->agent = std::move(agent);
  CountAddresses(record->agent, 1);
}

void Inventory::SetLeaving(Record* record, std::optional<SteadyTime> at) {
  if (record->leaves_at) leaving_.erase({*record->leaves_at, record->agent.id});
  record->leaves_at = at;
  if (at) leaving_.insert({*at, record->agent.id});
}

void Inventory::Erase(std::map<std::string, Record>::iterator record) {
  SetLeaving(&record->second, std::nullopt);
  CountAddresses(record->second.agent, -1);
  records_.erase(record);
}

void Inventory::CountAddresses(const Agent& agent, int by) {
  for (const net::IpAddress& address : agent.workload.addresses) {
    auto holders = holders_.try_emplace(address, 0).first;
    if ((holders->second += by) == 0) holders_.erase(holders);
  }
}

bool Inventory::SharesAddress(const Agent& agent) const {
  return std::any_of(agent.workload.addresses.begin(), agent.workload.addresses.end(),
                     [this](const net::IpAddress& address) { return holders_.at(address) > 1; });
}

std::set<net::IpAddress> Inventory::ProvenByOne() const {
  std::set<net::IpAddress> proven;
  for (const auto& [id, record] : records_) {
    for (const net::IpAddress& address : record.agent.workload.addresses) {
      if (holders_.at(address) > 1 && record.agent.workload.IsProven(address)) {
        proven.insert(address);
      }
    }
  }
  return proven;
}

std::shared_ptr<InventoryView> Inventory::MakeView() const {
  const std::set<net::IpAddress> proven = ProvenByOne();
  const auto is_disputed = [&](const bundle::Workload& workload, const net::IpAddress& address) {
    return proven.count(address) > 0 && !workload.IsProven(address);
  };
  // Who claims which address since when, among those who are connected.
  std::map<net::IpAddress, SteadyTime> claimed;
  for (const auto& [id, record] : records_) {
    if (record.session == 0 && !(record.is_elsewhere && !record.departed_at)) continue;
    for (const net::IpAddress& address : record.agent.workload.addresses) {
      if (holders_.at(address) == 1 || is_disputed(record.agent.workload, address)) continue;
      SteadyTime& since = claimed[address];
      since = std::max(since, record.addresses_since);
    }
  }
  auto view = std::make_shared<InventoryView>();
  view->workloads.reserve(records_.size());
  for (const auto& [id, record] : records_) {
    bundle::Workload workload = record.agent.workload;
    std::erase_if(workload.addresses, [&](const net::IpAddress& address) {
      if (is_disputed(workload, address)) return true;
      auto it = claimed.find(address);
      return record.departed_at && it != claimed.end() && it->second > *record.departed_at;
    });
    std::erase_if(workload.unproven_addresses, [&](const net::IpAddress& address) {
      return std::find(workload.addresses.begin(), workload.addresses.end(), address) ==
             workload.addresses.end();
    });
    view->workloads.push_back(std::move(workload));
  }
  return view;
}

void Inventory::Notify() const {
  if (listener_) listener_();
}

void Inventory::NotifyLocal(const std::string& id) const {
  if (local_listener_) local_listener_(id);
}

std::shared_ptr<const InventoryView> Inventory::View() const {
  std::lock_guard lock(mutex_);
  if (std::exchange(stale_, false)) {
    std::shared_ptr<InventoryView> view = MakeView();
    view->generation = generation_;
    view_ = std::move(view);
  }
  return view_;
}

std::vector<Agent> Inventory::Agents() const {
  std::lock_guard lock(mutex_);
  std::vector<Agent> agents;
  agents.reserve(records_.size());
  for (const auto& [id, record] : records_) agents.push_back(record.agent);
  return agents;
}

std::vector<Inventory::Connected> Inventory::ListConnected() const {
  std::vector<Connected> connected;
  std::vector<Observe> observers;
  {
    std::lock_guard lock(mutex_);
    connected.reserve(sessions_.size());
    observers.reserve(sessions_.size());
    for (const auto& [id, record] : records_) {
      if (record.session == 0) continue;
      connected.push_back({record.agent, record.connected_since, {}});
      observers.push_back(record.observe);
    }
  }
  // Streams call us with their locks held.
  for (size_t i = 0; i < connected.size(); ++i) {
    if (observers[i]) connected[i].progress = observers[i]();
  }
  return connected;
}

std::vector<v1::AgentState> Inventory::ListAgents() const {
  const SteadyTime now = clock_.SteadyNow();
  std::vector<v1::AgentState> agents;
  for (const Connected& connected : ListConnected()) agents.push_back(Describe(connected, now));
  return agents;
}

v1::AgentState Inventory::Describe(const Connected& connected, SteadyTime now) {
  v1::AgentState state = ToAgentState(connected.agent);
  state.set_connected_since_us(Micros(connected.since));
  for (const TypeProgress& type : connected.progress.types) {
    for (const auto& [name, status] : type.resources) {
      *state.add_resources() = ToResourceState(type.short_name, name, status);
    }
  }
  state.set_sent_revision(connected.progress.sent_revision);
  state.set_acked_revision(connected.progress.acked_revision);
  if (connected.progress.waiting_since) {
    auto lag = std::chrono::duration_cast<std::chrono::microseconds>(
        now - *connected.progress.waiting_since);
    state.set_lag_us(std::max<int64_t>(lag.count(), 1));  // 0 would say that none is awaited
  }
  return state;
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
  std::vector<std::string> expired;
  bool changed = false;
  {
    std::lock_guard lock(mutex_);
    SteadyTime now = clock_.SteadyNow();
    std::erase_if(lost_, [now](const auto& entry) { return now - entry.second >= kLostFor; });
    while (!leaving_.empty() && leaving_.begin()->first <= now) {
      expired.push_back(leaving_.begin()->second);
      Erase(records_.find(expired.back()));
      changed = Touch();
    }
  }
  if (changed) Notify();
  for (const std::string& id : expired) NotifyLocal(id);
}

std::optional<SteadyTime> Inventory::NextExpiry() const {
  std::lock_guard lock(mutex_);
  if (leaving_.empty()) return std::nullopt;
  return leaving_.begin()->first;
}

uint64_t Inventory::connected() const {
  std::lock_guard lock(mutex_);
  return sessions_.size();
}

}  // namespace whence::discovery
