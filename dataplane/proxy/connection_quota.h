// How many connections all workers together have to a cluster, where that is limited.
//
// One number for all workers, since a limit of one cannot be divided among them. It is changed when
// a connection begins and ends, not per request. Who finds no place waits in its own worker
// (pending_requests.h); a place that becomes free wakes the workers in which somebody waits:
//
//   to wait:   say that this worker waits, then look once more for a place
//   to return: make the place free, then look who waits
//
// Each does its first step before the other can miss it, so that nobody is left waiting beside a
// free place.
#ifndef WHENCE_DATAPLANE_PROXY_CONNECTION_QUOTA_H_
#define WHENCE_DATAPLANE_PROXY_CONNECTION_QUOTA_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace whence::proxy {

// Of one cluster. Thread-safe.
class ConnectionQuota : public std::enable_shared_from_this<ConnectionQuota> {
 public:
  // On any thread: tells worker `index` that a place may be free, or that others need one.
  using Wake = std::function<void(int index, std::shared_ptr<ConnectionQuota>)>;

  // `wake` outlives all quotas.
  ConnectionQuota(int workers, const Wake& wake)
      : workers_(workers), wake_(wake), waits_(new std::atomic<bool>[workers]()) {}

  // 0: no limit.
  void Set(uint32_t max_connections, uint32_t max_pending) {
    max_connections_.store(max_connections, std::memory_order_relaxed);
    max_pending_.store(max_pending, std::memory_order_relaxed);
  }

  bool TryTake();
  void Return();

  // False: as many wait already as may.
  bool TryWait();
  void EndWait() { waiting_.fetch_sub(1); }
  uint32_t waiting() const { return waiting_.load(std::memory_order_relaxed); }
  // Whether somebody in that worker waits; called by it when that changes.
  void SetWaits(int worker, bool waits) {
    waits_[worker].store(waits);
    waiting_workers_.fetch_add(waits ? 1 : -1);
  }
  // Somebody in another worker waits.
  bool IsWantedBesides(int worker) const {
    return waiting_workers_.load() > (waits_[worker].load() ? 1 : 0);
  }
  void Tell(int worker) { wake_(worker, shared_from_this()); }
  void TellOthers(int than_worker);

  // Connections that are kept for a next request: they hold places that others may need more.
  // Counted before it is asked who waits, as places are returned.
  void CountIdle(int by) { idle_.fetch_add(by); }
  bool has_idle() const { return idle_.load() > 0; }

 private:
  const int workers_;
  const Wake& wake_;
  std::atomic<uint32_t> max_connections_{0}, max_pending_{0};
  std::atomic<uint32_t> taken_{0}, waiting_{0};
  const std::unique_ptr<std::atomic<bool>[]> waits_;  // by worker
  std::atomic<int> waiting_workers_{0};
  std::atomic<int> idle_{0};
};

// One connection's place; of a cluster without limit there is none. Loop-affine.
class ConnectionPlace {
 public:
  ConnectionPlace() = default;
  // A place that was taken of `quota`.
  explicit ConnectionPlace(std::shared_ptr<ConnectionQuota> quota) : quota_(std::move(quota)) {}
  ConnectionPlace(ConnectionPlace&& other) noexcept
      : quota_(std::move(other.quota_)), is_idle_(std::exchange(other.is_idle_, false)) {}
  ConnectionPlace& operator=(ConnectionPlace&& other) noexcept {
    std::swap(quota_, other.quota_);
    std::swap(is_idle_, other.is_idle_);
    return *this;
  }
  ~ConnectionPlace() { Return(); }

  ConnectionQuota* quota() const { return quota_.get(); }
  void SetIdle(bool is_idle) {
    if (quota_ && is_idle != is_idle_) quota_->CountIdle(is_idle ? 1 : -1);
    is_idle_ = is_idle;
  }
  void Return() {
    if (!quota_) return;
    SetIdle(false);
    std::exchange(quota_, nullptr)->Return();
  }

 private:
  std::shared_ptr<ConnectionQuota> quota_;
  bool is_idle_ = false;
};

// The quotas of all clusters that have one, by name: the same for every worker. Thread-safe.
class QuotaTable {
 public:
  // Before workers run.
  void SetWorkers(int workers, ConnectionQuota::Wake wake) {
    workers_ = workers;
    wake_ = std::move(wake);
  }
  std::shared_ptr<ConnectionQuota> Find(const std::string& cluster);

 private:
  int workers_ = 0;
  ConnectionQuota::Wake wake_;
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<ConnectionQuota>> quotas_;  // by mutex_
};

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_CONNECTION_QUOTA_H_
