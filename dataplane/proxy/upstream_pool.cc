#include "dataplane/proxy/upstream_pool.h"

#include <algorithm>

namespace whence::proxy {

std::unique_ptr<Upstream> UpstreamPool::Take(const Upstream::Key& key) {
  const auto at = idle_.find(key);
  if (at == idle_.end() || at->second.empty()) return nullptr;
  std::unique_ptr<Upstream> upstream = std::move(at->second.back());
  at->second.pop_back();
  upstream->CancelTimer();
  return upstream;
}

void UpstreamPool::Give(std::unique_ptr<Upstream> idle) {
  auto& same = idle_[idle->key()];
  if (same.size() >= limits_.max_idle_per_endpoint) {
    counters_.Add(Counter::kPoolFull);
    idle->Close();
    loop_.Retire(std::move(idle));
    return;
  }
  idle->set_user(*this);
  idle->in.Trim();
  idle->ArmTimer(idle->idle_timeout.count() > 0 ? idle->idle_timeout : limits_.pool_idle_timeout);
  same.push_back(std::move(idle));
}

void UpstreamPool::OnUpstream(Upstream& upstream) {
  // EPOLLOUT alone is what an idle connection may report: its last request was acknowledged.
  if (!upstream.timed_out() && !upstream.stream.readable()) return;
  const auto at = idle_.find(upstream.key());
  if (at == idle_.end()) return;
  auto& same = at->second;
  const auto found = std::find_if(same.begin(), same.end(),
                                  [&](const auto& one) { return one.get() == &upstream; });
  if (found == same.end()) return;
  if (upstream.timed_out()) counters_.Add(Counter::kPoolIdleTimeouts);
  upstream.Close();
  loop_.Retire(std::move(*found));
  same.erase(found);
  if (same.empty()) idle_.erase(at);
}

void UpstreamPool::Clear() {
  for (auto& [key, same] : idle_) {
    for (auto& upstream : same) {
      upstream->Close();
      loop_.Retire(std::move(upstream));
    }
  }
  idle_.clear();
}

}  // namespace whence::proxy
