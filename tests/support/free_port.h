// A TCP port for a listener in a test.
#ifndef WHENCE_TESTS_SUPPORT_FREE_PORT_H_
#define WHENCE_TESTS_SUPPORT_FREE_PORT_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>

namespace whence {

// A port on which nobody listens now, of either family. Asking the kernel for any port (bind to 0)
// gives one of the ephemeral range, which the next outgoing connection of a busy machine may take
// before the test listens. So ports come from below that range, and each process walks it from a
// place of its own.
inline uint16_t FreePort() {
  constexpr uint32_t kLow = 20'000;
  constexpr uint32_t kCount = 12'000;
  static uint32_t next = static_cast<uint32_t>(getpid()) * 16;
  for (uint32_t tries = 0; tries < kCount; ++tries) {
    const auto port = static_cast<uint16_t>(kLow + next++ % kCount);
    const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    any.sin6_port = htons(port);
    const bool is_free = bind(fd, reinterpret_cast<const sockaddr*>(&any), sizeof(any)) == 0;
    close(fd);
    if (is_free) return port;
  }
  return 0;
}

}  // namespace whence

#endif  // WHENCE_TESTS_SUPPORT_FREE_PORT_H_
