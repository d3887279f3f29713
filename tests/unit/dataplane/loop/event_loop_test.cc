#include "dataplane/loop/event_loop.h"

#include <sys/socket.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace whence::loop {
namespace {

class EventLoopTest : public testing::Test {
 protected:
  EventLoopTest() : loop_(std::move(EventLoop::Create(clock_).value())) {}

  SystemClock clock_;
  std::unique_ptr<EventLoop> loop_;
};

TEST_F(EventLoopTest, RunsTasksOfOtherThreadsInOrder) {
  std::vector<int> seen;
  std::thread other([&] {
    for (int i = 0; i < 100; ++i) loop_->Post([&seen, i] { seen.push_back(i); });
    loop_->Post([this] { loop_->Stop(); });
  });
  loop_->Run();
  other.join();
  ASSERT_EQ(seen.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(seen[i], i);
}

TEST_F(EventLoopTest, FiresTimersWhileNothingElseHappens) {
  Timer timer(
      +[](void* loop) { static_cast<EventLoop*>(loop)->Stop(); }, loop_.get());
  const SteadyTime before = clock_.SteadyNow();
  loop_->ArmAfter(timer, std::chrono::milliseconds(30));
  loop_->Run();
  EXPECT_GE(clock_.SteadyNow() - before, std::chrono::milliseconds(30));
}

// Two ends of one socket pair in the same round: the first handler retires the second, which must
// neither be called after free nor leak.
class Peer : public EventHandler {
 public:
  Peer(EventLoop& loop, int fd, int* alive) : loop_(loop), fd_(fd), alive_(alive) { ++*alive_; }
  ~Peer() override { --*alive_; }
  void OnEvents(uint32_t) override {
    if (other != nullptr && *other) {
      (*other)->other = nullptr;  // closed: its own event of this round does nothing
      loop_.Unschedule(**other);
      loop_.Retire(std::move(*other));
      loop_.Stop();
    }
  }
  std::unique_ptr<Peer>* other = nullptr;

 private:
  EventLoop& loop_;
  os::UniqueFd fd_;
  int* alive_;
};

TEST_F(EventLoopTest, RetiredHandlersLiveToTheEndOfTheRound) {
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
  int alive = 0;
  auto a = std::make_unique<Peer>(*loop_, fds[0], &alive);
  auto b = std::make_unique<Peer>(*loop_, fds[1], &alive);
  a->other = &b;
  b->other = &a;
  ASSERT_EQ(loop_->Add(fds[0], *a, EventLoop::Interest::kBoth), 0);
  ASSERT_EQ(loop_->Add(fds[1], *b, EventLoop::Interest::kBoth), 0);
  ASSERT_EQ(::write(fds[0], "x", 1), 1);
  ASSERT_EQ(::write(fds[1], "x", 1), 1);
  loop_->Run();
  EXPECT_EQ(alive, 1) << "one of the two was retired by the other and destroyed";
}

class Counting : public EventHandler {
 public:
  explicit Counting(EventLoop& loop) : loop_(loop) {}
  void OnEvents(uint32_t events) override {
    EXPECT_EQ(events, 0u);
    if (++calls == 3) {
      loop_.Stop();
    } else {
      loop_.Schedule(*this);
    }
  }
  int calls = 0;

 private:
  EventLoop& loop_;
};

TEST_F(EventLoopTest, ScheduledHandlersRunOncePerRound) {
  Counting first(*loop_);
  Counting never(*loop_);
  loop_->Schedule(first);
  loop_->Schedule(first);
  loop_->Schedule(never);
  loop_->Unschedule(never);
  loop_->Run();
  EXPECT_EQ(first.calls, 3);
  EXPECT_EQ(never.calls, 0);
}

}  // namespace
}  // namespace whence::loop
