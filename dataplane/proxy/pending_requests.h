// The requests of one worker that wait because their cluster has as many connections as it may.
//
// First come, first served, per cluster. A request that comes while others wait waits behind them.
// What a request leaves behind, kept open, serves the next one of this worker; where others wait in
// other workers as well, every other connection is closed for them. A connection that is kept for
// nobody, here or elsewhere, is closed before anybody waits for long. Loop-affine.
#ifndef WHENCE_DATAPLANE_PROXY_PENDING_REQUESTS_H_
#define WHENCE_DATAPLANE_PROXY_PENDING_REQUESTS_H_

#include <list>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/snapshot/snapshot.h"
#include "dataplane/loop/event_loop.h"
#include "dataplane/proxy/connection_quota.h"

namespace whence::proxy {

class UpstreamPool;

class PendingRequests final : public loop::EventHandler {
 public:
  class User {
   public:
    // A place may be free: take it and end the wait, or keep waiting.
    virtual void OnPlace() = 0;
    // It took too long (Wait::ArmTimer).
    virtual void OnWaitTimeout() = 0;

   protected:
    ~User() = default;
  };

  // One that waits, until it is destroyed.
  class Wait {
   public:
    Wait(PendingRequests& pending, std::shared_ptr<ConnectionQuota> quota, User& user);
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;
    ~Wait();
    void ArmTimer(std::chrono::milliseconds delay) { pending_.loop_.ArmAfter(timer_, delay); }

   private:
    friend class PendingRequests;
    PendingRequests& pending_;
    const std::shared_ptr<ConnectionQuota> quota_;
    User& user_;
    std::list<Wait*>::iterator place_;
    loop::Timer timer_;
  };

  PendingRequests(loop::EventLoop& loop, QuotaTable& table, int worker)
      : loop_(loop), table_(table), worker_(worker) {}
  PendingRequests(const PendingRequests&) = delete;
  PendingRequests& operator=(const PendingRequests&) = delete;
  ~PendingRequests() override { loop_.Unschedule(*this); }

  void Update(const snapshot::Snapshot& snapshot);
  // Of a cluster of that snapshot; null: it has no limit.
  const std::shared_ptr<ConnectionQuota>& QuotaOf(uint32_t cluster) const {
    return quotas_[cluster];
  }

  // A place of `quota`, if need be of a connection that `pool` keeps. False: there is none.
  bool Take(const std::shared_ptr<ConnectionQuota>& quota, UpstreamPool& pool,
            ConnectionPlace* place);
  // Null: too many wait already.
  std::unique_ptr<Wait> Join(const std::shared_ptr<ConnectionQuota>& quota, User& user);

  // Whether a connection that could be kept should be closed, for those who wait elsewhere.
  bool IsNeededElsewhere(const ConnectionPlace& place);
  // A connection is kept now, and is counted as idle: somebody may wait for just that.
  void Kept(const ConnectionPlace& place);

  // A place of `quota` may be free. `pool` gives up what it keeps, if others need it.
  void OnWake(const std::shared_ptr<ConnectionQuota>& quota, UpstreamPool& pool);
  void OnEvents(uint32_t events) override;  // scheduled

 private:
  void Run(ConnectionQuota* quota);

  loop::EventLoop& loop_;
  QuotaTable& table_;
  const int worker_;
  std::vector<std::shared_ptr<ConnectionQuota>> quotas_;  // as the snapshot's clusters
  // None is empty.
  absl::flat_hash_map<ConnectionQuota*, std::list<Wait*>> waiting_;
  bool gave_away_ = false;
};

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_PENDING_REQUESTS_H_
