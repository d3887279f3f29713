// sockaddr <-> net::SocketAddress.
#ifndef WHENCE_DATAPLANE_OS_SOCKET_ADDRESS_H_
#define WHENCE_DATAPLANE_OS_SOCKET_ADDRESS_H_

#include <netinet/in.h>
#include <sys/socket.h>

#include "common/net/socket_address.h"

namespace whence::os {

// Room for an IPv4 or IPv6 sockaddr and its length, as system calls want them.
struct RawAddress {
  union {
    sockaddr generic;
    sockaddr_in v4;
    sockaddr_in6 v6;
  };
  socklen_t size = sizeof(sockaddr_in6);

  RawAddress() : v6{} {}
};

// In the address's own family: IPv4 becomes AF_INET, never ::ffff:a.b.c.d.
RawAddress ToRaw(const net::SocketAddress& address);

// Dual-stack sockets show IPv4 as ::ffff:a.b.c.d; net::IpAddress unwraps that by construction.
// Another family gives the unspecified address and port 0. A link-local scope is lost.
net::SocketAddress FromRaw(const RawAddress& raw);

inline int Family(const net::IpAddress& ip) { return ip.is_v4() ? AF_INET : AF_INET6; }

}  // namespace whence::os

#endif  // WHENCE_DATAPLANE_OS_SOCKET_ADDRESS_H_
