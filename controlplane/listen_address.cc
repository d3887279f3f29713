#include "controlplane/listen_address.h"

#include "common/net/socket_address.h"

namespace whence::control {

std::optional<ListenAddress> ListenAddress::Parse(std::string_view text) {
  ListenAddress address;
  constexpr std::string_view kUnix = "unix:";
  constexpr std::string_view kLocalhost = "localhost:";
  // sockaddr_un holds 108 bytes, the terminator among them.
  constexpr size_t kMaxPath = 107;
  if (text.starts_with(kUnix)) {
    address.unix_path = text.substr(kUnix.size());
    address.is_local = true;
    bool good = !address.unix_path.empty() && address.unix_path.size() <= kMaxPath;
    return good ? std::optional(address) : std::nullopt;
  }
  std::string spelled(text);
  if (text.starts_with(':')) spelled = "[::]" + spelled;
  if (text.starts_with(kLocalhost)) spelled = "127.0.0.1" + spelled.substr(kLocalhost.size() - 1);
  std::optional<net::SocketAddress> socket = net::SocketAddress::Parse(spelled);
  if (!socket) return std::nullopt;
  address.host = socket->ip.ToString();
  address.port = socket->port;
  address.is_local = socket->ip.is_loopback();
  return address;
}

std::string ListenAddress::ToString(int real_port) const {
  if (!unix_path.empty()) return "unix:" + unix_path;
  std::string number = std::to_string(real_port >= 0 ? real_port : port);
  return host.find(':') == std::string::npos ? host + ":" + number : "[" + host + "]:" + number;
}

}  // namespace whence::control
