// One access of the stress, with a deadline: what cannot be served must say so.
#ifndef WHENCE_TESTS_STRESS_CLIENT_H_
#define WHENCE_TESTS_STRESS_CLIENT_H_

#include <chrono>
#include <cstdint>
#include <string>

#include "common/net/socket_address.h"
#include "dataplane/os/unique_fd.h"

namespace whence::stress {

struct Answer {
  enum class Kind : uint8_t {
    kServed,
    kRefused,  // told so: refused or reset
    kHung,     // nobody said anything within the deadline
    kNoPort,   // its own port could not be had: no access was made
    kOdd,      // anything else
  };
  Kind kind = Kind::kOdd;
  net::SocketAddress seen;  // by the application
  os::UniqueFd fd;          // of a connection that was to stay
};

// From this thread's network namespace; `local_port` 0: the kernel's choice.
Answer Ask(const net::SocketAddress& target, char what, uint16_t local_port,
           std::chrono::milliseconds patience);

}  // namespace whence::stress

#endif  // WHENCE_TESTS_STRESS_CLIENT_H_
