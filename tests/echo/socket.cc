#include "tests/echo/socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace whence::echo {
namespace {

Endpoint ToEndpoint(const sockaddr_storage& storage) {
  char text[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
    return {text, ntohs(v4.sin_port)};
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text, sizeof(text));
  } else {
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text));
  }
  return {text, ntohs(v6.sin6_port)};
}

int ListenOn(const sockaddr* address, socklen_t size) {
  const int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const int on = 1;
  const int off = 0;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (address->sa_family == AF_INET6) {
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  }
  if (bind(fd, address, size) == 0 && listen(fd, SOMAXCONN) == 0) return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

}  // namespace

int Listen(const std::string& address, uint16_t port) {
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  const bool any = address.empty();
  int fd = -1;
  errno = EINVAL;  // what an address that is none leaves behind
  if (any || inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) == 1) {
    fd = ListenOn(reinterpret_cast<sockaddr*>(&v6), sizeof(v6));
  }
  // Kernels without IPv6 know the family not at all.
  if ((any && fd < 0) || inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1) {
    fd = ListenOn(reinterpret_cast<sockaddr*>(&v4), sizeof(v4));
  }
  if (fd < 0) {
    std::fprintf(stderr, "whence-echo: cannot listen on %s port %u: %s\n",
                 any ? "any address," : address.c_str(), port, std::strerror(errno));
  }
  return fd;
}

Endpoint PeerOf(int socket) {
  sockaddr_storage storage{};
  socklen_t size = sizeof(storage);
  getpeername(socket, reinterpret_cast<sockaddr*>(&storage), &size);
  return ToEndpoint(storage);
}

Endpoint LocalOf(int socket) {
  sockaddr_storage storage{};
  socklen_t size = sizeof(storage);
  getsockname(socket, reinterpret_cast<sockaddr*>(&storage), &size);
  return ToEndpoint(storage);
}

bool SendAll(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool Receive(int socket, std::string* buffer) {
  char bytes[16384];
  ssize_t size;
  do {
    size = recv(socket, bytes, sizeof(bytes), 0);
  } while (size < 0 && errno == EINTR);
  if (size <= 0) return false;
  buffer->append(bytes, static_cast<size_t>(size));
  return true;
}

}  // namespace whence::echo
