// Timers for tens of thousands of connections, most of which never fire.
//
// A connection's deadline moves with every byte, so moving it must cost nothing. The wheel has
// kSlots slots of kTick each; a timer hangs in the slot of its deadline, in a list through the
// timer itself. A deadline that moves *later* only changes a number: when the slot comes round and
// the deadline is not yet reached, the timer is hung where it now belongs. Deadlines farther than
// one turn hang in the slot they would have modulo the turn, and are passed over until their turn.
//
//   slots_: [ ] [t3] [ ] [t1]-[t7] [ ] ...         cost: O(1) to arm, cancel and move
//            ^ cursor_                             precision: one tick, never early
//
// Pure but for its own state: time comes in as an argument.
#ifndef WHENCE_DATAPLANE_LOOP_TIMER_WHEEL_H_
#define WHENCE_DATAPLANE_LOOP_TIMER_WHEEL_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "common/base/clock.h"

namespace whence::loop {

// Doubly linked in a ring with its slot's head; unlinked when `next` is null.
struct TimerNode {
  TimerNode* previous = nullptr;
  TimerNode* next = nullptr;
};

class TimerWheel;

// One deadline, a member of whoever waits for it. Loop-affine. Not movable: the wheel points at it.
class Timer : private TimerNode {
 public:
  // `fire` gets `context`. It may arm or cancel any timer, and destroy its own.
  using Fire = void (*)(void* context);
  Timer(Fire fire, void* context) : fire_(fire), context_(context) {}
  ~Timer() { Cancel(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  bool armed() const { return deadline_ != SteadyTime{}; }
  SteadyTime deadline() const { return deadline_; }
  void Cancel();

 private:
  friend class TimerWheel;

  Fire fire_;
  void* context_;
  SteadyTime deadline_{};  // when it shall fire; epoch: not armed
  int64_t hung_at_ = 0;    // tick of the slot it hangs in, at or before the deadline's
};

// Loop-affine.
class TimerWheel {
 public:
  static constexpr std::chrono::milliseconds kTick{8};
  static constexpr size_t kSlots = 1024;  // one turn is 8.2 s

  explicit TimerWheel(SteadyTime now);
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // Sets or moves `timer`'s deadline.
  void Arm(Timer& timer, SteadyTime deadline);

  // Fires every timer whose deadline is at or before `now`.
  void Advance(SteadyTime now);

  // How long the loop may sleep, at most `limit`; rounded up to whole ticks.
  std::chrono::milliseconds SleepTime(SteadyTime now, std::chrono::milliseconds limit) const;

 private:
  // First tick at which `deadline` has passed: never early.
  int64_t TickOf(SteadyTime deadline) const;
  void Hang(Timer& timer, int64_t tick);
  void FireSlot(size_t slot, SteadyTime now);

  const SteadyTime origin_;
  int64_t cursor_ = 0;  // the next tick to look at
  // No timer hangs in a slot that comes up before this tick (those of later turns aside), so that
  // most iterations of a busy loop need not look at any slot.
  int64_t next_ = std::numeric_limits<int64_t>::max();
  std::array<TimerNode, kSlots> slots_;
};

}  // namespace whence::loop

#endif  // WHENCE_DATAPLANE_LOOP_TIMER_WHEEL_H_
