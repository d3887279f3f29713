// One thread for what must not keep gRPC's own threads busy.
//
// Writing a revision waits for the disk, and validating a large set takes a while; gRPC's callback
// threads are few and also carry discovery. One thread is enough: writes are one at a time anyway.
#ifndef WHENCE_CONTROLPLANE_ADMIN_WORKER_H_
#define WHENCE_CONTROLPLANE_ADMIN_WORKER_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace whence::admin {

// Thread-safe.
class Worker {
 public:
  Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  // Runs what is queued, then ends.
  ~Worker();

  // False: too much is waiting already (the task is not taken).
  [[nodiscard]] bool Post(std::function<void()> task);

 private:
  // Bounds memory, since each waiting task may hold a large request.
  static constexpr size_t kMaxWaiting = 16;
  void Run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;  // by mutex_
  bool is_ending_ = false;                   // by mutex_
  std::thread thread_;                       // last: uses all of the above
};

}  // namespace whence::admin

#endif  // WHENCE_CONTROLPLANE_ADMIN_WORKER_H_
