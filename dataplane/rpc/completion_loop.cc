#include "dataplane/rpc/completion_loop.h"

#include <future>
#include <utility>

namespace whence::rpc {

CompletionLoop::CompletionLoop() : thread_([this] { Run(); }) {}

CompletionLoop::~CompletionLoop() {
  Post([this] { stopping_ = true; });
  thread_.join();
}

void CompletionLoop::Run() {
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
    const std::unique_ptr<Handler> handler(static_cast<Handler*>(tag));
    (*handler)(ok);
    // Not earlier: the end of a stream is an operation of its own, and a queue that shuts down
    // takes no new ones.
    if (pending_.fetch_sub(1, std::memory_order_relaxed) == 1 && stopping_) queue_.Shutdown();
  }
}

void CompletionLoop::Post(std::function<void()> call) {
  // An alarm that rings at once is the queue's only way to take an event from outside. It lives
  // until it has rung.
  auto alarm = std::make_shared<grpc::Alarm>();
  grpc::Alarm* const raw = alarm.get();
  raw->Set(&queue_, gpr_time_0(GPR_CLOCK_MONOTONIC),
           Tag([alarm = std::move(alarm), call = std::move(call)](bool) { call(); }));
}

void CompletionLoop::Call(const std::function<void()>& call) {
  std::promise<void> done;
  Post([&] {
    call();
    done.set_value();
  });
  done.get_future().wait();
}

struct CompletionLoop::Timer::Shot {
  grpc::Alarm alarm;
  std::function<void()> fire;
};

void CompletionLoop::Timer::Start(std::chrono::milliseconds delay, std::function<void()> fire) {
  Cancel();
  shot_ = std::make_shared<Shot>();
  shot_->fire = std::move(fire);
  const gpr_timespec when =
      gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(delay.count(), GPR_TIMESPAN));
  // The tag keeps the shot alive; a cancelled one comes back with an empty `fire`.
  shot_->alarm.Set(loop_.queue(), when, loop_.Tag([shot = shot_](bool) {
    if (const std::function<void()> call = std::exchange(shot->fire, nullptr)) call();
  }));
}

void CompletionLoop::Timer::Cancel() {
  if (shot_ == nullptr) return;
  shot_->fire = nullptr;
  shot_->alarm.Cancel();
  shot_.reset();
}

}  // namespace whence::rpc
