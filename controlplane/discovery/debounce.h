// When to act on a burst of changes: after a moment of quiet, but not later than a limit.
//
// Without the quiet, an apply of a hundred documents or a hundred agents that reconnect would be a
// hundred pushes; without the limit, changes that never pause would never be pushed.
#ifndef WHENCE_CONTROLPLANE_DISCOVERY_DEBOUNCE_H_
#define WHENCE_CONTROLPLANE_DISCOVERY_DEBOUNCE_H_

#include <algorithm>
#include <chrono>
#include <optional>

#include "common/base/clock.h"

namespace whence::discovery {

// Pure, thread-compatible.
class Debounce {
 public:
  Debounce(std::chrono::milliseconds quiet, std::chrono::milliseconds limit)
      : quiet_(quiet), limit_(limit) {}

  void OnChange(SteadyTime now) {
    if (!first_) first_ = now;
    last_ = now;
  }
  // When to act; nullopt: nothing changed.
  std::optional<SteadyTime> Due() const {
    if (!first_) return std::nullopt;
    return std::min(last_ + quiet_, *first_ + limit_);
  }
  void Done() { first_.reset(); }

 private:
  std::chrono::milliseconds quiet_;
  std::chrono::milliseconds limit_;
  std::optional<SteadyTime> first_;
  SteadyTime last_{};
};

}  // namespace whence::discovery

#endif  // WHENCE_CONTROLPLANE_DISCOVERY_DEBOUNCE_H_
