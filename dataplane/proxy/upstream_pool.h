// Idle upstream connections of one worker, by source and destination: last in, first out, so that
// few stay warm and the rest time out. Where connections leave with the client's address, that is
// the source, so that no client ever gets another's. Loop-affine.
#ifndef WHENCE_DATAPLANE_PROXY_UPSTREAM_POOL_H_
#define WHENCE_DATAPLANE_PROXY_UPSTREAM_POOL_H_

#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "dataplane/proxy/counters.h"
#include "dataplane/proxy/limits.h"
#include "dataplane/proxy/upstream.h"

namespace whence::proxy {

class PendingRequests;

class UpstreamPool final : public UpstreamUser {
 public:
  // `pending` (may be null) is told what is kept.
  UpstreamPool(loop::EventLoop& loop, const Limits& limits, WorkerCounters& counters,
               PendingRequests* pending = nullptr)
      : loop_(loop), limits_(limits), counters_(counters), pending_(pending) {}
  ~UpstreamPool() = default;

  // Null: none idle. The new owner sets itself as the user.
  std::unique_ptr<Upstream> Take(const Upstream::Key& key);
  // Closes one that Take would give, if there is any: another takes its place.
  void Drop(const Upstream::Key& key);
  // Closes one that holds a place of `quota`. False: none does.
  bool CloseOne(const ConnectionQuota& quota);
  // Keeps it for the next Take, for `timeout` at most, or closes it if there are enough. REQUIRES:
  // nothing is in flight.
  void Give(std::unique_ptr<Upstream> idle, std::chrono::milliseconds timeout);

  // An idle connection has nothing to say: an end, an error or unasked bytes, all mean that it is
  // of no more use.
  void OnUpstream(Upstream& upstream) override;

  void Clear();

 private:
  loop::EventLoop& loop_;
  const Limits& limits_;
  WorkerCounters& counters_;
  PendingRequests* const pending_;
  size_t count_ = 0;
  absl::flat_hash_map<Upstream::Key, std::vector<std::unique_ptr<Upstream>>> idle_;
};

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_UPSTREAM_POOL_H_
