#include "dataplane/loop/event_loop.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "dataplane/os/errno_status.h"

namespace whence::loop {
namespace {

constexpr int kEventsPerRound = 256;
// Wakes up now and then even without timers, so that the wall clock never drifts from the
// machine's.
constexpr std::chrono::milliseconds kLongestSleep{1000};
constexpr std::chrono::milliseconds kNoSleep{0};

constexpr uint32_t kReading = EPOLLIN | EPOLLRDHUP | EPOLLET;
constexpr uint32_t kBothWays = kReading | EPOLLOUT;

}  // namespace

absl::StatusOr<std::unique_ptr<EventLoop>> EventLoop::Create(const Clock& clock) {
  os::UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return os::ErrnoStatus(errno, "epoll_create1", "make an event loop");
  os::UniqueFd wake(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wake) return os::ErrnoStatus(errno, "eventfd", "make an event loop");
  auto loop = std::unique_ptr<EventLoop>(new EventLoop(clock, std::move(epoll), std::move(wake)));
  if (const int error = loop->Register(loop->wake_.get(), nullptr, EPOLLIN); error != 0) {
    return os::ErrnoStatus(error, "epoll_ctl", "make an event loop");
  }
  return loop;
}

EventLoop::EventLoop(const Clock& clock, os::UniqueFd epoll, os::UniqueFd wake)
    : clock_(clock),
      epoll_(std::move(epoll)),
      wake_(std::move(wake)),
      now_(clock.SteadyNow()),
      wall_base_(clock.Now()),
      steady_base_(now_),
      timers_(now_) {}

EventLoop::~EventLoop() = default;

void EventLoop::Run() {
  thread_ = std::this_thread::get_id();
  std::array<epoll_event, kEventsPerRound> events;
  while (!stop_.load(std::memory_order_acquire)) {
    const auto sleep = scheduled_.empty() ? timers_.SleepTime(now_, kLongestSleep) : kNoSleep;
    const int n =
        ::epoll_wait(epoll_.get(), events.data(), kEventsPerRound, static_cast<int>(sleep.count()));
    now_ = clock_.SteadyNow();
    if (now_ - steady_base_ >= kLongestSleep) {
      wall_base_ = clock_.Now();
      steady_base_ = now_;
    }
    RunScheduled();
    bool woken = false;
    for (int i = 0; i < n; ++i) {
      if (auto* handler = static_cast<EventHandler*>(events[i].data.ptr)) {
        handler->OnEvents(events[i].events);
      } else {
        woken = true;
      }
    }
    timers_.Advance(now_);
    if (woken) RunPosted();
    // Destructors may retire more.
    while (!graveyard_.empty()) {
      std::vector<std::unique_ptr<Retirable>> dead;
      dead.swap(graveyard_);
    }
  }
  thread_ = {};
}

void EventLoop::Stop() {
  stop_.store(true, std::memory_order_release);
  Post(nullptr);
}

void EventLoop::Post(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(task));
  }
  const uint64_t one = 1;
  // Fails only when the counter is at its maximum: then the loop will wake anyway.
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof(one));
}

void EventLoop::RunPosted() {
  uint64_t count;
  [[maybe_unused]] const ssize_t taken = ::read(wake_.get(), &count, sizeof(count));
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(posted_);
  }
  for (const auto& task : tasks) {
    if (task) task();
  }
}

void EventLoop::Schedule(EventHandler& handler) {
  AssertAffine();
  if (std::find(scheduled_.begin(), scheduled_.end(), &handler) == scheduled_.end()) {
    scheduled_.push_back(&handler);
  }
}

void EventLoop::Unschedule(EventHandler& handler) {
  AssertAffine();
  std::replace(scheduled_.begin(), scheduled_.end(), &handler, static_cast<EventHandler*>(nullptr));
}

void EventLoop::RunScheduled() {
  // Only what stood there when the round began: what is scheduled meanwhile waits for the next.
  const size_t count = scheduled_.size();
  for (size_t i = 0; i < count; ++i) {
    EventHandler* handler = scheduled_[i];
    scheduled_[i] = nullptr;
    if (handler != nullptr) handler->OnEvents(0);
  }
  scheduled_.erase(scheduled_.begin(), scheduled_.begin() + static_cast<ptrdiff_t>(count));
}

WallTime EventLoop::wall_now() const {
  return wall_base_ + std::chrono::duration_cast<std::chrono::microseconds>(now_ - steady_base_);
}

int EventLoop::Register(int fd, EventHandler* handler, uint32_t events) {
  AssertAffine();
  epoll_event event{};
  event.events = events;
  event.data.ptr = handler;
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno;
}

int EventLoop::Add(int fd, EventHandler& handler, Interest interest) {
  return Register(fd, &handler, interest == Interest::kBoth ? kBothWays : kReading);
}

int EventLoop::WatchWritable(int fd, EventHandler& handler) {
  AssertAffine();
  epoll_event event{};
  event.events = kBothWays;
  event.data.ptr = &handler;
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0 ? 0 : errno;
}

int EventLoop::AddListener(int fd, EventHandler& handler) {
  return Register(fd, &handler, EPOLLIN);
}

void EventLoop::Remove(int fd) {
  AssertAffine();
  epoll_event unused{};  // kernels before 2.6.9 wanted one; harmless
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, &unused);
}

}  // namespace whence::loop
