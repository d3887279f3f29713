// An address and a port: one end of a TCP connection.
#ifndef WHENCE_COMMON_NET_SOCKET_ADDRESS_H_
#define WHENCE_COMMON_NET_SOCKET_ADDRESS_H_

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/net/ip_address.h"

namespace whence::net {

// Immutable-in-spirit value; conversion from and to sockaddr is in dataplane/os.
struct SocketAddress {
  IpAddress ip;
  uint16_t port = 0;  // host order

  // "1.2.3.4:80", "[2001:db8::1]:80". Nothing else.
  static std::optional<SocketAddress> Parse(std::string_view text);
  std::string ToString() const;

  friend auto operator<=>(const SocketAddress&, const SocketAddress&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const SocketAddress& a) {
    return H::combine(std::move(h), a.ip, a.port);
  }
};

}  // namespace whence::net

#endif  // WHENCE_COMMON_NET_SOCKET_ADDRESS_H_
