#include "dataplane/proxy/upstream_pool.h"

#include <algorithm>

#include "dataplane/proxy/pending_requests.h"

namespace whence::proxy {
namespace {

constexpr size_t kKeptEntries = 64;

}  // namespace

std::unique_ptr<Upstream> UpstreamPool::Take(const Upstream::Key& key) {
  const auto at = idle_.find(key);
  if (at == idle_.end()) return nullptr;
  std::unique_ptr<Upstream> taken;
  while (taken == nullptr && !at->second.empty()) {
    taken = std::move(at->second.back());
    at->second.pop_back();
    --count_;
    taken->place.SetIdle(false);
    if (taken->stream.IsSilent()) {
      taken->CancelTimer();
    } else {
      taken->Close();
      loop_.Retire(std::move(taken));
    }
  }
  // Few empty entries may wait for the next Give, which then need not allocate; but not one for every
  // client of the past.
  if (at->second.empty() && idle_.size() > kKeptEntries) idle_.erase(at);
  return taken;
}

void UpstreamPool::Drop(const Upstream::Key& key) {
  std::unique_ptr<Upstream> dropped = Take(key);
  if (dropped == nullptr) return;
  dropped->Close();
  loop_.Retire(std::move(dropped));
}

bool UpstreamPool::CloseOne(const ConnectionQuota& quota) {
  for (auto at = idle_.begin(); at != idle_.end(); ++at) {
    auto& same = at->second;
    const auto found = std::find_if(same.begin(), same.end(),
                                    [&](const auto& one) { return one->place.quota() == &quota; });
    if (found == same.end()) continue;
    (*found)->Close();
    loop_.Retire(std::move(*found));
    same.erase(found);
    --count_;
    if (same.empty()) idle_.erase(at);
    return true;
  }
  return false;
}

void UpstreamPool::Give(std::unique_ptr<Upstream> idle, std::chrono::milliseconds timeout) {
  if (pending_ != nullptr && pending_->IsNeededElsewhere(idle->place)) {
    idle->Close();
    return loop_.Retire(std::move(idle));
  }
  auto& same = idle_[idle->key()];
  if (same.size() >= limits_.max_idle_per_endpoint || count_ >= limits_.max_idle) {
    counters_.Add(Counter::kPoolFull);
    if (same.empty()) idle_.erase(idle->key());
    idle->Close();
    loop_.Retire(std::move(idle));
    return;
  }
  idle->set_user(*this);
  idle->place.SetIdle(true);
  if (pending_ != nullptr) pending_->Kept(idle->place);
  idle->in.Trim();
  idle->ArmTimer(timeout);
  ++count_;
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
  --count_;
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
  count_ = 0;
}

}  // namespace whence::proxy
