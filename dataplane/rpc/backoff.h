// How long to wait before the next attempt: exponential, with full jitter, so that a thousand
// agents that lost the same control plane do not come back in the same moment.
#ifndef WHENCE_DATAPLANE_RPC_BACKOFF_H_
#define WHENCE_DATAPLANE_RPC_BACKOFF_H_

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace whence::rpc {

// Pure: randomness is an argument. Thread-compatible.
class Backoff {
 public:
  using Milliseconds = std::chrono::milliseconds;
  Backoff(Milliseconds first, Milliseconds limit) : first_(first), limit_(limit), ceiling_(first) {}

  // `random` in [0, 1). At least a tenth of `first`, so that zero jitter is no busy loop.
  Milliseconds Next(double random) {
    const Milliseconds ceiling = ceiling_;
    ceiling_ = std::min(ceiling_ * 2, limit_);
    return std::max(
        first_ / 10,
        Milliseconds(static_cast<int64_t>(random * static_cast<double>(ceiling.count()))));
  }
  void Reset() { ceiling_ = first_; }

 private:
  const Milliseconds first_;
  const Milliseconds limit_;
  Milliseconds ceiling_;
};

}  // namespace whence::rpc

#endif  // WHENCE_DATAPLANE_RPC_BACKOFF_H_
