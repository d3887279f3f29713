#include "dataplane/proxy/pending_requests.h"

#include <algorithm>
#include <utility>

#include "dataplane/proxy/upstream_pool.h"

namespace whence::proxy {

PendingRequests::Wait::Wait(PendingRequests& pending, std::shared_ptr<ConnectionQuota> quota,
                            User& user)
    : pending_(pending),
      quota_(std::move(quota)),
      user_(user),
      timer_(
          +[](void* self) { static_cast<Wait*>(self)->user_.OnWaitTimeout(); }, this) {
  std::list<Wait*>& line = pending_.waiting_[quota_.get()];
  place_ = line.insert(line.end(), this);
  if (line.size() == 1) quota_->SetWaits(pending_.worker_, true);
}

PendingRequests::Wait::~Wait() {
  const auto line = pending_.waiting_.find(quota_.get());
  line->second.erase(place_);
  quota_->EndWait();
  if (line->second.empty()) {
    pending_.waiting_.erase(line);
    quota_->SetWaits(pending_.worker_, false);
  }
}

void PendingRequests::Update(const snapshot::Snapshot& snapshot) {
  const auto before = std::exchange(quotas_, {});
  quotas_.resize(snapshot.clusters.size());
  for (size_t i = 0; i < quotas_.size(); ++i) {
    const snapshot::ConnectionLimits& limits = snapshot.clusters[i].limits;
    if (limits.max_connections == 0) continue;
    quotas_[i] = table_.Find(snapshot.clusters[i].name);
    quotas_[i]->Set(limits.max_connections, limits.max_pending_requests);
  }
  // Whoever waits for a limit that is gone need not.
  for (const auto& quota : before) {
    if (quota && std::find(quotas_.begin(), quotas_.end(), quota) == quotas_.end()) {
      quota->Set(0, 0);
    }
  }
  if (!waiting_.empty()) loop_.Schedule(*this);
}

bool PendingRequests::Take(const std::shared_ptr<ConnectionQuota>& quota, UpstreamPool& pool,
                           ConnectionPlace* place) {
  if (!quota->TryTake() && !(pool.CloseOne(*quota) && quota->TryTake())) return false;
  *place = ConnectionPlace(quota);
  return true;
}

std::unique_ptr<PendingRequests::Wait> PendingRequests::Join(
    const std::shared_ptr<ConnectionQuota>& quota, User& user) {
  if (!quota->TryWait()) return nullptr;
  auto wait = std::make_unique<Wait>(*this, quota, user);
  loop_.Schedule(*this);  // looks once more: see ConnectionQuota
  if (quota->has_idle()) quota->TellOthers(worker_);
  return wait;
}

bool PendingRequests::IsNeededElsewhere(const ConnectionPlace& place) {
  ConnectionQuota* quota = place.quota();
  if (quota == nullptr || !quota->IsWantedBesides(worker_)) return false;
  if (!waiting_.contains(quota)) return true;
  return gave_away_ = !gave_away_;
}

void PendingRequests::Kept(const ConnectionPlace& place) {
  ConnectionQuota* quota = place.quota();
  if (quota == nullptr) return;
  if (waiting_.contains(quota)) {
    loop_.Schedule(*this);
  } else if (quota->IsWantedBesides(worker_)) {
    quota->Tell(worker_);  // since it was decided to keep it
  }
}

void PendingRequests::OnWake(const std::shared_ptr<ConnectionQuota>& quota, UpstreamPool& pool) {
  if (waiting_.contains(quota.get())) return Run(quota.get());
  if (quota->IsWantedBesides(worker_)) pool.CloseOne(*quota);
}

void PendingRequests::OnEvents(uint32_t) {
  std::vector<ConnectionQuota*> all;
  for (const auto& [quota, line] : waiting_) all.push_back(quota);
  for (ConnectionQuota* quota : all) Run(quota);
}

void PendingRequests::Run(ConnectionQuota* quota) {
  for (auto line = waiting_.find(quota); line != waiting_.end(); line = waiting_.find(quota)) {
    Wait* const first = line->second.front();
    first->user_.OnPlace();
    line = waiting_.find(quota);
    // No place for the first: nor for those behind.
    if (line == waiting_.end() || line->second.front() == first) return;
  }
}

}  // namespace whence::proxy
