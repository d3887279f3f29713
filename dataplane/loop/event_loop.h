// One thread's epoll loop: readiness, timers, work posted by other threads, and the place where
// dead objects wait until nothing can refer to them.
//
// File descriptors are registered edge-triggered: a state change is told once, and the handler
// remembers it ("readable until a read says otherwise"). That saves an epoll_ctl per change of
// interest, which on a proxy is every message. Room for writing is told only to those who found
// none (WatchWritable, once per descriptor): nearly every connection ends without, and would
// otherwise wake the loop once just to hear that a fresh socket is writable.
#ifndef WHENCE_DATAPLANE_LOOP_EVENT_LOOP_H_
#define WHENCE_DATAPLANE_LOOP_EVENT_LOOP_H_

#include <sys/epoll.h>

#include <atomic>
#include <cassert>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "dataplane/loop/timer_wheel.h"
#include "dataplane/os/unique_fd.h"

namespace whence::loop {

// What may be in use up the stack when it dies, so that its end must be put off: see Retire.
class Retirable {
 public:
  virtual ~Retirable() = default;
};

// Whoever waits for a file descriptor.
class EventHandler : public Retirable {
 public:
  // `events` as epoll gives them. May come once more after the descriptor was closed, for an event
  // of the same round: a handler must remember that it is closed, and must be destroyed through
  // EventLoop::Retire.
  virtual void OnEvents(uint32_t events) = 0;
};

// Loop-affine, but for Post and Stop: builds with assertions (dev, asan, tsan, fuzz) check that of
// everybody who uses it.
class EventLoop {
 public:
  // `clock` outlives the loop.
  static absl::StatusOr<std::unique_ptr<EventLoop>> Create(const Clock& clock);
  ~EventLoop();

  // Runs on the calling thread until Stop.
  void Run();
  // Safe from any thread. Run returns after the round that is under way.
  void Stop();
  // Safe from any thread. `task` runs on the loop's thread, in order of posting; tasks that are
  // left when the loop ends are destroyed unrun.
  void Post(std::function<void()> task);

  // Edge-triggered, for reading; with kBoth also for writing. 0 or errno. Closing the descriptor
  // removes it.
  enum class Interest : uint8_t { kRead, kBoth };
  int Add(int fd, EventHandler& handler, Interest interest);
  // From now on for both. Tells at once if there is room for writing already.
  int WatchWritable(int fd, EventHandler& handler);
  // Level-triggered, EPOLLIN: for listeners, which take a bounded number per round.
  int AddListener(int fd, EventHandler& handler);
  void Remove(int fd);

  // Time at which this round began: good enough for every timeout, and free.
  SteadyTime now() const { return now_; }
  WallTime wall_now() const;
  void ArmAfter(Timer& timer, std::chrono::milliseconds delay) {
    AssertAffine();
    timers_.Arm(timer, now_ + delay);
  }

  // Destroys `dead` at the end of this round, when no event of the round and no caller up the stack
  // can refer to it any more.
  void Retire(std::unique_ptr<Retirable> dead) {
    AssertAffine();
    if (dead) graveyard_.push_back(std::move(dead));
  }

  // Calls `handler` with no events in the next round: for work that was cut short so that others
  // get their turn. At most once per round; a handler that is closed must Unschedule itself.
  void Schedule(EventHandler& handler);
  void Unschedule(EventHandler& handler);

 private:
  EventLoop(const Clock& clock, os::UniqueFd epoll, os::UniqueFd wake);

  // On the loop's thread while it runs; before and after, whoever has the loop.
  void AssertAffine() const {
    assert(thread_ == std::thread::id() || thread_ == std::this_thread::get_id());
  }
  int Register(int fd, EventHandler* handler, uint32_t events);
  void RunPosted();
  void RunScheduled();

  const Clock& clock_;
  const os::UniqueFd epoll_;
  const os::UniqueFd wake_;  // eventfd, registered with a null handler
  std::thread::id thread_;
  SteadyTime now_;
  WallTime wall_base_;  // wall time at steady_base_: one clock read per round serves both
  SteadyTime steady_base_;
  TimerWheel timers_;
  std::vector<std::unique_ptr<Retirable>> graveyard_;
  std::vector<EventHandler*> scheduled_;  // null: unscheduled

  std::atomic<bool> stop_ = false;
  std::mutex mutex_;  // guards posted_
  std::vector<std::function<void()>> posted_;
};

}  // namespace whence::loop

#endif  // WHENCE_DATAPLANE_LOOP_EVENT_LOOP_H_
