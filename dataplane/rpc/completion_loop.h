// One thread that runs everything gRPC of an agent: a completion queue whose events are calls.
//
// An agent stands beside every pod, so that its threads count: with the completion-queue API one
// thread serves the discovery stream, the access-log stream and their timers.
#ifndef WHENCE_DATAPLANE_RPC_COMPLETION_LOOP_H_
#define WHENCE_DATAPLANE_RPC_COMPLETION_LOOP_H_

#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>

namespace whence::rpc {

// Thread-safe. What is posted, and every handler, runs on the loop's thread ("loop-affine" below).
class CompletionLoop {
 public:
  // Called once, with gRPC's `ok`.
  using Handler = std::function<void(bool ok)>;

  CompletionLoop();
  // Waits until every operation under way has ended. REQUIRES: streams are abandoned, timers
  // cancelled; nobody posts any more.
  ~CompletionLoop();

  // The tag for one asynchronous operation; the operation's end calls and frees it.
  void* Tag(Handler handler) {
    pending_.fetch_add(1, std::memory_order_relaxed);
    return new Handler(std::move(handler));
  }
  grpc::CompletionQueue* queue() { return &queue_; }

  void Post(std::function<void()> call);
  // The same, and waits until it has run. REQUIRES: not on the loop's thread.
  void Call(const std::function<void()>& call);

  // A timer. Destroying it, or Cancel, calls `fire` off; loop-affine.
  class Timer {
   public:
    explicit Timer(CompletionLoop& loop) : loop_(loop) {}
    ~Timer() { Cancel(); }
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    // Replaces an earlier start.
    void Start(std::chrono::milliseconds delay, std::function<void()> fire);
    void Cancel();

   private:
    struct Shot;
    CompletionLoop& loop_;
    std::shared_ptr<Shot> shot_;
  };

 private:
  void Run();

  grpc::CompletionQueue queue_;
  std::atomic<int64_t> pending_ = 0;  // tags given out and not come back
  bool stopping_ = false;             // loop-affine
  std::thread thread_;
};

}  // namespace whence::rpc

#endif  // WHENCE_DATAPLANE_RPC_COMPLETION_LOOP_H_
