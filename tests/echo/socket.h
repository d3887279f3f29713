// The little that the echo server needs of sockets.
#ifndef WHENCE_TESTS_ECHO_SOCKET_H_
#define WHENCE_TESTS_ECHO_SOCKET_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace whence::echo {

struct Endpoint {
  std::string address;  // IPv4-mapped addresses as IPv4
  uint16_t port = 0;
};

// Listens on every address of the machine (or on `address`), IPv6 and IPv4 on one socket where
// there is IPv6. -1 and a message on stderr if it cannot.
int Listen(const std::string& address, uint16_t port);

Endpoint PeerOf(int socket);
Endpoint LocalOf(int socket);

// All of `bytes`; false if the other side is gone.
bool SendAll(int socket, std::string_view bytes);

// Appends what has arrived, waiting for it; false at the end or on an error.
bool Receive(int socket, std::string* buffer);

}  // namespace whence::echo

#endif  // WHENCE_TESTS_ECHO_SOCKET_H_
