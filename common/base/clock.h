// Time as an argument.
//
// The core never asks what time it is; the shell passes a Clock or a time point, and tests pass a
// FakeClock.
#ifndef WHENCE_COMMON_BASE_CLOCK_H_
#define WHENCE_COMMON_BASE_CLOCK_H_

#include <chrono>

namespace whence {

// Wall time for records and expiry; steady time for timers, so that a clock that jumps fires
// nothing.
using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::microseconds>;
using SteadyTime = std::chrono::steady_clock::time_point;

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime Now() const = 0;
  virtual SteadyTime SteadyNow() const = 0;
};

class SystemClock final : public Clock {
 public:
  WallTime Now() const override {
    return std::chrono::time_point_cast<std::chrono::microseconds>(
        std::chrono::system_clock::now());
  }
  SteadyTime SteadyNow() const override { return std::chrono::steady_clock::now(); }
};

}  // namespace whence

#endif  // WHENCE_COMMON_BASE_CLOCK_H_
