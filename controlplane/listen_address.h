// Where a server listens, as written in a flag.
#ifndef WHENCE_CONTROLPLANE_LISTEN_ADDRESS_H_
#define WHENCE_CONTROLPLANE_LISTEN_ADDRESS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace whence::control {

struct ListenAddress {
  std::string unix_path;  // or, if empty:
  std::string host;       // an IP address without brackets
  uint16_t port = 0;      // 0: any free one

  // Cannot be reached from another machine.
  bool is_local = false;

  // "unix:/run/whence.sock", "127.0.0.1:15010", "[::]:15012", ":15012" (every address, both
  // families), "localhost:15010" (127.0.0.1). A host name is not taken: what it means may change
  // after it was judged to be local.
  static std::optional<ListenAddress> Parse(std::string_view text);

  // With brackets where they are needed; `real_port` stands in for port 0.
  std::string ToString(int real_port = -1) const;
};

}  // namespace whence::control

#endif  // WHENCE_CONTROLPLANE_LISTEN_ADDRESS_H_
