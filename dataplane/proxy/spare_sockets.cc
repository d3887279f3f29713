#include "dataplane/proxy/spare_sockets.h"

#include <algorithm>

namespace whence::proxy {

std::unique_ptr<Upstream> SpareSockets::Take(const Upstream::Key& key, SteadyTime now) {
  if (count_ == 0) return nullptr;
  const auto at = queues_.find(key);
  if (at == queues_.end()) return nullptr;
  Queue& queue = at->second;
  if (queue.parked.empty() || now - queue.parked.front().since < kRest) return nullptr;
  std::unique_ptr<Upstream> taken = std::move(queue.parked.front().upstream);
  queue.parked.pop_front();
  queue.unused = std::min(queue.unused, queue.parked.size());
  --count_;
  return taken;
}

void SpareSockets::Give(std::unique_ptr<Upstream> parked, SteadyTime now) {
  if (count_ >= kMost) return Discard(std::move(parked));
  ++count_;
  Queue& queue = queues_[parked->key()];
  queue.parked.push_back({std::move(parked), now});
}

void SpareSockets::Trim() {
  for (auto at = queues_.begin(); at != queues_.end();) {
    Queue& queue = at->second;
    for (; queue.unused > 0; --queue.unused, --count_) {
      Discard(std::move(queue.parked.front().upstream));
      queue.parked.pop_front();
    }
    queue.unused = queue.parked.size();
    if (queue.parked.empty()) {
      queues_.erase(at++);
    } else {
      ++at;
    }
  }
}

void SpareSockets::Clear() {
  for (auto& [key, queue] : queues_) {
    for (Parked& one : queue.parked) Discard(std::move(one.upstream));
  }
  queues_.clear();
  count_ = 0;
}

void SpareSockets::Discard(std::unique_ptr<Upstream> upstream) {
  upstream->Close();
  loop_.Retire(std::move(upstream));
}

}  // namespace whence::proxy
