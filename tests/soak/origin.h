// The application of the soak: answers every request with its path and the length of its body.
#ifndef WHENCE_TESTS_SOAK_ORIGIN_H_
#define WHENCE_TESTS_SOAK_ORIGIN_H_

#include <cstdint>
#include <thread>

#include "dataplane/os/unique_fd.h"

namespace whence::soak {

// Listens on loopback; one thread with its own poller. Thread-safe.
class Origin {
 public:
  Origin();
  ~Origin();
  uint16_t port() const { return port_; }

 private:
  void Run();

  os::UniqueFd listener_;
  os::UniqueFd stop_;  // eventfd
  uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace whence::soak

#endif  // WHENCE_TESTS_SOAK_ORIGIN_H_
