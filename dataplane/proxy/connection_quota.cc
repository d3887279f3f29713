#include "dataplane/proxy/connection_quota.h"

namespace whence::proxy {

bool ConnectionQuota::TryTake() {
  const uint32_t limit = max_connections_.load(std::memory_order_relaxed);
  uint32_t taken = taken_.load();
  do {
    if (limit != 0 && taken >= limit) return false;
  } while (!taken_.compare_exchange_weak(taken, taken + 1));
  return true;
}

void ConnectionQuota::Return() {
  taken_.fetch_sub(1);
  if (waiting_workers_.load() == 0) return;
  for (int i = 0; i < workers_; ++i) {
    if (waits_[i].load()) Tell(i);
  }
}

void ConnectionQuota::TellOthers(int than_worker) {
  for (int i = 0; i < workers_; ++i) {
    if (i != than_worker) Tell(i);
  }
}

bool ConnectionQuota::TryWait() {
  const uint32_t limit = max_pending_.load(std::memory_order_relaxed);
  uint32_t waiting = waiting_.load();
  do {
    if (limit != 0 && waiting >= limit) return false;
  } while (!waiting_.compare_exchange_weak(waiting, waiting + 1));
  return true;
}

std::shared_ptr<ConnectionQuota> QuotaTable::Find(const std::string& cluster) {
  const std::lock_guard lock(mutex_);
  std::erase_if(quotas_, [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<ConnectionQuota>& known = quotas_[cluster];
  std::shared_ptr<ConnectionQuota> quota = known.lock();
  if (quota == nullptr) known = quota = std::make_shared<ConnectionQuota>(workers_, wake_);
  return quota;
}

}  // namespace whence::proxy
