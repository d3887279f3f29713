// A real whence-agent as a gateway on loopback, from a folder of documents.
#ifndef WHENCE_TESTS_SOAK_AGENT_PROCESS_H_
#define WHENCE_TESTS_SOAK_AGENT_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace whence::soak {

// What the kernel says of a process.
struct Footprint {
  uint64_t rss_kib = 0;
  uint64_t descriptors = 0;
  double cpu_seconds = 0;
};

class AgentProcess {
 public:
  // Everything goes to the application at 127.0.0.1:`target`.
  AgentProcess(const std::string& program, uint16_t target);
  ~AgentProcess();

  uint16_t port() const { return port_; }
  // Waits until it listens. False: it does not come up.
  bool AwaitReady() const;
  // A new configuration: whether /toggled is denied, and a fresh policy among others.
  void Change(uint64_t revision);
  Footprint Look() const;
  // SIGTERM. Await gives the exit status, -1: it did not end in time.
  void Terminate();
  int Await();

 private:
  void Write(uint64_t revision) const;

  const uint16_t port_;
  const uint16_t target_;
  std::string folder_;
  pid_t pid_ = -1;
};

}  // namespace whence::soak

#endif  // WHENCE_TESTS_SOAK_AGENT_PROCESS_H_
