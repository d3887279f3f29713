#include "dataplane/loop/timer_wheel.h"

#include <algorithm>
#include <limits>

namespace whence::loop {
namespace {

void Unlink(TimerNode& node) {
  if (node.next == nullptr) return;
  node.previous->next = node.next;
  node.next->previous = node.previous;
  node.previous = node.next = nullptr;
}

void LinkBefore(TimerNode& head, TimerNode& node) {
  node.previous = head.previous;
  node.next = &head;
  head.previous->next = &node;
  head.previous = &node;
}

void MakeEmpty(TimerNode& head) { head.previous = head.next = &head; }

}  // namespace

void Timer::Cancel() {
  Unlink(*this);
  deadline_ = SteadyTime{};
}

TimerWheel::TimerWheel(SteadyTime now) : origin_(now) {
  for (TimerNode& head : slots_) MakeEmpty(head);
}

int64_t TimerWheel::TickOf(SteadyTime deadline) const {
  const auto since = std::max(deadline - origin_, SteadyTime::duration::zero());
  return (since + kTick - SteadyTime::duration(1)) / kTick;
}

void TimerWheel::Arm(Timer& timer, SteadyTime deadline) {
  const int64_t tick = std::max(TickOf(deadline), cursor_);
  timer.deadline_ = deadline;
  // Hanging early is fine: the slot finds the deadline not reached and hangs the timer anew.
  if (timer.next != nullptr && timer.hung_at_ <= tick && timer.hung_at_ >= cursor_) return;
  Unlink(timer);
  Hang(timer, tick);
}

void TimerWheel::Hang(Timer& timer, int64_t tick) {
  timer.hung_at_ = tick;
  next_ = std::min(next_, tick);
  LinkBefore(slots_[static_cast<size_t>(tick) % kSlots], timer);
}

void TimerWheel::FireSlot(size_t slot, SteadyTime now) {
  TimerNode& head = slots_[slot];
  if (head.next == &head) return;
  // The list is taken out whole, since firing may hang timers into this very slot.
  TimerNode due;
  due.next = head.next;
  due.previous = head.previous;
  due.next->previous = &due;
  due.previous->next = &due;
  MakeEmpty(head);
  while (due.next != &due) {
    Timer& timer = static_cast<Timer&>(*due.next);
    Unlink(timer);
    if (timer.deadline_ > now) {
      Hang(timer, std::max(TickOf(timer.deadline_), cursor_));
      continue;
    }
    timer.deadline_ = SteadyTime{};
    timer.fire_(timer.context_);
  }
}

void TimerWheel::Advance(SteadyTime now) {
  const int64_t last = (now - origin_) / kTick;
  if (last < next_) {
    cursor_ = std::max(cursor_, last + 1);
    return;
  }
  // After a long sleep one turn visits every slot; more turns would find nothing new.
  cursor_ = std::max(cursor_, last + 1 - static_cast<int64_t>(kSlots));
  next_ = std::numeric_limits<int64_t>::max();
  while (cursor_ <= last) {
    const size_t slot = static_cast<size_t>(cursor_) % kSlots;
    ++cursor_;  // first: what is armed while the slot fires must not land in it again
    FireSlot(slot, now);
  }
  for (int64_t tick = cursor_; tick < cursor_ + static_cast<int64_t>(kSlots); ++tick) {
    const TimerNode& head = slots_[static_cast<size_t>(tick) % kSlots];
    if (head.next != &head) {
      next_ = std::min(next_, tick);
      return;
    }
  }
}

std::chrono::milliseconds TimerWheel::SleepTime(SteadyTime now,
                                                std::chrono::milliseconds limit) const {
  if (next_ > cursor_ + limit / kTick) return limit;
  const auto wait = std::max(origin_ + next_ * kTick - now, SteadyTime::duration::zero());
  return std::min(limit, std::chrono::ceil<std::chrono::milliseconds>(wait));
}

}  // namespace whence::loop
