// How many things may happen: a burst after a quiet time, and then so many a second.
//
// Streams that begin, first of all. After a restart everybody comes at once. Who is refused comes
// back a little later, at a time of its own (clients wait with jitter), and finds a control plane
// that had time for those before it. Without a limit all of them are served at once, which takes
// all memory, or at a time when they have given up.
#ifndef WHENCE_CONTROLPLANE_DISCOVERY_ADMISSION_H_
#define WHENCE_CONTROLPLANE_DISCOVERY_ADMISSION_H_

#include <algorithm>
#include <chrono>

#include "common/base/clock.h"

namespace whence::discovery {

// Pure, thread-compatible. A bucket of tokens: full at first.
class Admission {
 public:
  Admission(double per_second, double burst)
      : per_second_(per_second), burst_(burst), tokens_(burst) {}

  bool Admit(SteadyTime now) {
    const std::chrono::duration<double> passed = now - last_;
    last_ = now;
    tokens_ = std::min(burst_, tokens_ + passed.count() * per_second_);
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

 private:
  const double per_second_;
  const double burst_;
  double tokens_;
  SteadyTime last_{};
};

}  // namespace whence::discovery

#endif  // WHENCE_CONTROLPLANE_DISCOVERY_ADMISSION_H_
