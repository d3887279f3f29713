#include "dataplane/os/socket_address.h"

#include <arpa/inet.h>

#include <cstring>

namespace whence::os {

RawAddress ToRaw(const net::SocketAddress& address) {
  RawAddress raw;
  if (address.ip.is_v4()) {
    raw.v4 = sockaddr_in{};
    raw.v4.sin_family = AF_INET;
    raw.v4.sin_port = htons(address.port);
    raw.v4.sin_addr.s_addr = htonl(address.ip.v4_host_order());
    raw.size = sizeof(sockaddr_in);
    return raw;
  }
  raw.v6.sin6_family = AF_INET6;
  raw.v6.sin6_port = htons(address.port);
  std::memcpy(&raw.v6.sin6_addr, address.ip.bytes().data(), 16);
  raw.size = sizeof(sockaddr_in6);
  return raw;
}

net::SocketAddress FromRaw(const RawAddress& raw) {
  if (raw.generic.sa_family == AF_INET) {
    return {net::IpAddress::FromV4(ntohl(raw.v4.sin_addr.s_addr)), ntohs(raw.v4.sin_port)};
  }
  if (raw.generic.sa_family == AF_INET6) {
    net::IpAddress::Bytes bytes;
    std::memcpy(bytes.data(), &raw.v6.sin6_addr, bytes.size());
    return {net::IpAddress::FromV6(bytes), ntohs(raw.v6.sin6_port)};
  }
  return {};
}

}  // namespace whence::os
