// The load of the soak: clients that check every answer.
#ifndef WHENCE_TESTS_SOAK_CLIENTS_H_
#define WHENCE_TESTS_SOAK_CLIENTS_H_

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace whence::soak {

// Threads of kept connections, asked all at once and then read all; one connection in a round is
// made anew. A request fails if its answer is not exactly what it has to be, or does not come. A
// connection that was told `Connection: close` is no failure, nor is one that is refused.
class Clients {
 public:
  Clients(uint16_t port, int threads, int connections_per_thread);
  ~Clients();

  uint64_t answered() const { return answered_; }
  uint64_t denied() const { return denied_; }  // of the path that policies change
  uint64_t failed() const { return failed_; }
  std::string first_failure() const;

  // From now on connections that were told to close are not made again. Ends when none is left.
  void LetThemEnd();

 private:
  void Run(int thread, int connections);
  void Fail(const std::string& what);

  const uint16_t port_;
  std::atomic<uint64_t> answered_ = 0, denied_ = 0, failed_ = 0;
  std::atomic<bool> ending_ = false;
  mutable std::mutex mutex_;  // guards first_failure_
  std::string first_failure_;
  std::vector<std::thread> threads_;
};

}  // namespace whence::soak

#endif  // WHENCE_TESTS_SOAK_CLIENTS_H_
