#include "controlplane/etcd/presence.h"

#include <google/protobuf/util/message_differencer.h>

#include <random>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "controlplane/discovery/node.h"

namespace whence::etcd {
namespace {

constexpr int64_t kLeaseSeconds = 10;
constexpr std::chrono::seconds kKeepAliveEvery(3);
constexpr std::chrono::seconds kRetry(1);
// etcd takes 128 operations in a transaction.
constexpr size_t kWritesAtOnce = 100;

std::string NewId() {
  std::random_device random;
  return absl::StrFormat("%08x%08x", random(), random());
}

}  // namespace

Presence::Presence(Client& client, discovery::Inventory& inventory, const Clock& clock,
                   const log::Logger& logger)
    : client_(client), inventory_(inventory), clock_(clock), logger_(logger), id_(NewId()) {
  inventory_.SetLocalListener([this](const std::string& id) {
    std::lock_guard lock(mutex_);
    dirty_.insert(id);
    changed_.notify_one();
  });
}

void Presence::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Presence::Stop() {
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
  if (lease_ != 0) (void)client_.Revoke(std::exchange(lease_, 0));
}

absl::Status Presence::Announce() {
  absl::StatusOr<int64_t> lease = client_.Grant(kLeaseSeconds);
  if (!lease.ok()) return lease.status();
  v1::Replica replica;
  replica.set_started_us(clock_.Now().time_since_epoch().count());
  etcdserverpb::TxnRequest txn;
  Put(ReplicaKey(), replica.SerializeAsString(), &txn, *lease);
  if (absl::StatusOr<etcdserverpb::TxnResponse> put = client_.Txn(txn); !put.ok()) {
    return put.status();
  }
  lease_ = *lease;
  return absl::OkStatus();
}

size_t Presence::replicas() const {
  std::lock_guard lock(mutex_);
  return replicas_.size();
}

// ---- From etcd to the inventory -----------------------------------------------------------------

Presence::Action Presence::ActionOf(const std::string& id,
                                    const v1::AgentPresence& presence) const {
  const bool is_lost = replicas_.count(presence.replica()) == 0;
  return {is_lost || presence.is_broken() ? Action::Kind::kBreak : Action::Kind::kConnect, id,
          presence.node(), presence.has_proof() ? std::optional(presence.proof()) : std::nullopt,
          is_lost};
}

void Presence::TakeReplica(const std::string& id, bool is_there, std::vector<Action>* actions) {
  if (is_there == (replicas_.count(id) > 0)) return;
  if (is_there) {
    replicas_.insert(id);
  } else {
    replicas_.erase(id);
  }
  if (id == id_) return;
  for (const auto& [agent, entry] : agents_) {
    if (entry.presence.replica() == id && !entry.presence.is_broken()) {
      actions->push_back(ActionOf(agent, entry.presence));
    }
  }
}

void Presence::TakeAgent(const std::string& id, const LiveChange& change,
                         std::vector<Action>* actions) {
  auto known = agents_.find(id);
  const bool is_known = known != agents_.end();
  // What we wrote ourselves is known before etcd tells it.
  if (is_known && change.mod_revision != 0 && change.mod_revision <= known->second.mod_revision) {
    return;
  }
  // A connection here that is not written yet will be the newest.
  const bool is_ours_first = dirty_.count(id) + writing_.count(id) > 0 &&
                             inventory_.Local(id).state == discovery::LocalAgent::State::kConnected;
  dirty_.insert(id);
  changed_.notify_one();
  if (!change.value) {
    const bool was_ours = is_known && known->second.presence.replica() == id_;
    if (is_known) agents_.erase(known);
    if (!was_ours && !is_ours_first) {
      actions->push_back({Action::Kind::kLeave, id, "", std::nullopt, false});
    }
    return;
  }
  Entry entry{{}, change.mod_revision};
  if (!entry.presence.ParseFromString(*change.value)) return;  // a newer program's, perhaps
  const bool is_ours = entry.presence.replica() == id_;
  if (!is_ours && !is_ours_first) actions->push_back(ActionOf(id, entry.presence));
  agents_[id] = std::move(entry);
}

void Presence::OnLive(const std::vector<LiveChange>& changes) {
  std::vector<Action> actions;
  {
    std::lock_guard lock(mutex_);
    // Replicas first: whether an agent is connected depends on whether its replica is there.
    for (const LiveChange& change : changes) {
      absl::string_view name = change.name;
      if (absl::ConsumePrefix(&name, "live/replica/")) {
        TakeReplica(std::string(name), change.value.has_value(), &actions);
      }
    }
    for (const LiveChange& change : changes) {
      absl::string_view name = change.name;
      if (absl::ConsumePrefix(&name, "live/agent/")) TakeAgent(std::string(name), change, &actions);
    }
  }
  CarryOut(actions);
}

void Presence::CarryOut(const std::vector<Action>& actions) {
  for (const Action& action : actions) {
    if (action.kind == Action::Kind::kLeave) {
      inventory_.LeaveElsewhere(action.id);
      continue;
    }
    envoy::config::core::v3::Node node;
    if (!node.ParseFromString(action.node)) continue;
    absl::StatusOr<discovery::Agent> agent = discovery::ReadNode(node);
    if (!agent.ok() || agent->id != action.id) continue;  // of another version of the program
    if (action.proof) discovery::Believe(*action.proof, &*agent);
    if (action.kind == Action::Kind::kConnect) {
      inventory_.ConnectElsewhere(*std::move(agent));
    } else {
      inventory_.BreakElsewhere(*std::move(agent), action.replica_is_lost);
    }
  }
}

// ---- From the inventory to etcd -----------------------------------------------------------------

std::optional<Presence::Write> Presence::WantedOf(const std::string& id) const {
  const discovery::LocalAgent local = inventory_.Local(id);
  auto known = agents_.find(id);
  const Entry* entry = known == agents_.end() ? nullptr : &known->second;
  const bool is_ours = entry && entry->presence.replica() == id_;
  using State = discovery::LocalAgent::State;
  if (local.state == State::kConnected) {
    v1::AgentPresence presence;
    presence.set_replica(id_);
    presence.set_node(local.node_bytes);
    if (local.proof) *presence.mutable_proof() = *local.proof;
    if (is_ours && google::protobuf::util::MessageDifferencer::Equals(entry->presence, presence)) {
      return std::nullopt;
    }
    return Write{id, std::move(presence), std::nullopt};
  }
  if (!entry) return std::nullopt;
  if (local.state == State::kBroken) {
    if (!is_ours || entry->presence.is_broken()) return std::nullopt;
    v1::AgentPresence presence = entry->presence;
    presence.set_is_broken(true);
    return Write{id, std::move(presence), entry->mod_revision};
  }
  if (local.state == State::kElsewhere && !is_ours) return std::nullopt;
  // Gone from here. Of another replica's agents only those that nobody speaks for any more.
  if (!is_ours && !entry->presence.is_broken() && replicas_.count(entry->presence.replica()) > 0) {
    return std::nullopt;
  }
  return Write{id, std::nullopt, entry->mod_revision};
}

absl::Status Presence::Send(const std::vector<Write>& writes) {
  etcdserverpb::TxnRequest txn;
  for (const Write& write : writes) {
    etcdserverpb::TxnRequest* one = txn.add_success()->mutable_request_txn();
    if (write.only_if) RequireUnchanged(AgentKey(write.id), *write.only_if, one);
    if (write.presence) {
      Put(AgentKey(write.id), write.presence->SerializeAsString(), one);
    } else {
      Delete(AgentKey(write.id), one);
    }
  }
  absl::StatusOr<etcdserverpb::TxnResponse> response = client_.Txn(txn);
  if (!response.ok()) return response.status();
  std::lock_guard lock(mutex_);
  for (size_t i = 0; i < writes.size(); ++i) {
    const int index = static_cast<int>(i);
    // Not carried out: somebody else changed it, and the watch tells what.
    if (index >= response->responses_size() ||
        !response->responses(index).response_txn().succeeded()) {
      continue;
    }
    if (writes[i].presence) {
      agents_[writes[i].id] = {*writes[i].presence, response->header().revision()};
    } else {
      agents_.erase(writes[i].id);
    }
  }
  return absl::OkStatus();
}

bool Presence::Flush() {
  while (true) {
    std::vector<Write> writes;
    {
      std::lock_guard lock(mutex_);
      while (!dirty_.empty() && writes.size() < kWritesAtOnce) {
        const std::string id = *dirty_.begin();
        dirty_.erase(dirty_.begin());
        if (std::optional<Write> write = WantedOf(id)) {
          writes.push_back(*std::move(write));
          writing_.insert(id);
        }
      }
    }
    if (writes.empty()) return true;
    const absl::Status status = Send(writes);
    std::lock_guard lock(mutex_);
    writing_.clear();
    if (status.ok()) continue;
    for (const Write& write : writes) dirty_.insert(write.id);
    return false;
  }
}

void Presence::KeepAlive() {
  absl::Status status = client_.KeepAlive(lease_);
  if (absl::IsNotFound(status)) {
    logger_.Warning("etcd was away for longer than this replica's lease; it is taken again");
    status = Announce();
  }
  if (!status.ok()) {
    logger_.Warning("the others may take this replica for gone",
                    {{"why", std::string(status.message())}});
  }
}

void Presence::Run() {
  SteadyTime next_keep_alive = clock_.SteadyNow() + kKeepAliveEvery;
  std::unique_lock lock(mutex_);
  while (!is_stopping_) {
    lock.unlock();
    const bool is_flushed = Flush();
    if (clock_.SteadyNow() >= next_keep_alive) {
      KeepAlive();
      next_keep_alive = clock_.SteadyNow() + kKeepAliveEvery;
    }
    lock.lock();
    const auto wait =
        is_flushed ? next_keep_alive - clock_.SteadyNow() : SteadyTime::duration(kRetry);
    changed_.wait_for(lock, wait, [&] { return is_stopping_ || (is_flushed && !dirty_.empty()); });
  }
}

}  // namespace whence::etcd
