// The little that workers share. Nothing of it is touched per request.
#ifndef WHENCE_DATAPLANE_PROXY_SHARED_STATE_H_
#define WHENCE_DATAPLANE_PROXY_SHARED_STATE_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <random>

#include "common/base/clock.h"
#include "dataplane/proxy/connection_quota.h"
#include "dataplane/proxy/source_port.h"

namespace whence::proxy {

// Counts open connections over all workers, so that Drain can wait for the last. Thread-safe.
class OpenConnections {
 public:
  void Opened() { count_.fetch_add(1, std::memory_order_relaxed); }
  void Closed() {
    if (count_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    const std::lock_guard lock(mutex_);  // or the waiter could miss it between test and wait
    none_.notify_all();
  }
  // False: some were still open at `deadline`.
  bool WaitForNone(std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    return none_.wait_until(lock, deadline,
                            [this] { return count_.load(std::memory_order_acquire) == 0; });
  }

 private:
  std::atomic<int64_t> count_ = 0;
  std::mutex mutex_;
  std::condition_variable none_;
};

struct SharedState {
  explicit SharedState(PortRange range) : tuples(range) {}

  SystemClock clock;
  TupleTable tuples;
  OpenConnections open;
  QuotaTable quotas;
  std::random_device random;        // at start only
  std::function<void()> make_room;  // constant once workers run; any thread (DownstreamOwner)
};

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_SHARED_STATE_H_
