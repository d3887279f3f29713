// Thousands of agents in one process: incremental streams over a few connections, each with an identity of its own.
//
// They do what an agent does: ask for their bundle, answer each response, keep what they have when the stream ends, and come
// back with its versions after a back-off of their own. What they do not do is apply anything.
#ifndef WHENCE_TESTS_BENCH_AGENTS_HERD_H_
#define WHENCE_TESTS_BENCH_AGENTS_HERD_H_

#include <grpcpp/alarm.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace whence::bench {

struct HerdOptions {
  size_t agents = 0;
  size_t connections = 0;  // the streams are spread over so many
  size_t workloads = 0;    // the agents are replicas of so many
  size_t slow = 0;         // of the agents, how many answer half a second late
  size_t stopped = 0;      // and how many stop reading after their first response
};

// Times from a beginning to each agent's answer, sorted.
using Latencies = std::vector<std::chrono::duration<double>>;

// Thread-safe. Works on a thread of its own.
class Herd {
 public:
  Herd(const std::string& address, HerdOptions options);
  ~Herd();

  // From now on: who answers a response of `revision` counts, with the time since now.
  void Expect(uint64_t revision);
  // Waits until all who read and are not slow have answered it. False: not within `limit`.
  bool WaitForAnswers(std::chrono::seconds limit);
  Latencies latencies() const;

  size_t quick() const { return options_.agents - options_.slow - options_.stopped; }
  // How often a stream was refused with RESOURCE_EXHAUSTED, and how often one ended in another way.
  uint64_t deferred() const { return deferred_; }
  uint64_t broken() const { return broken_; }

 private:
  class Agent;
  void Answered(uint64_t revision);
  void Run();

  const HerdOptions options_;
  grpc::CompletionQueue queue_;
  std::vector<std::unique_ptr<grpc::GenericStub>> stubs_;
  std::vector<std::unique_ptr<Agent>> agents_;
  std::atomic<uint64_t> deferred_{0};
  std::atomic<uint64_t> broken_{0};
  grpc::Alarm stop_;

  mutable std::mutex mutex_;
  std::condition_variable answered_;
  // By mutex_:
  uint64_t revision_ = 0;
  std::chrono::steady_clock::time_point since_;
  Latencies latencies_;

  std::thread thread_;  // last: uses all of the above
};

}  // namespace whence::bench

#endif  // WHENCE_TESTS_BENCH_AGENTS_HERD_H_
