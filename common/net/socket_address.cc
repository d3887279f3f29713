#include "common/net/socket_address.h"

#include <charconv>

#include "absl/strings/str_cat.h"

namespace whence::net {

std::optional<SocketAddress> SocketAddress::Parse(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  // "::1:80" could be an address or an address and a port; only brackets say which.
  if (bracketed != (host.find(':') != std::string_view::npos)) return std::nullopt;
  const auto ip = IpAddress::Parse(host);
  uint16_t port = 0;
  const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (!ip || digits.empty() || ec != std::errc() || end != digits.data() + digits.size())
    return std::nullopt;
  return SocketAddress{*ip, port};
}

std::string SocketAddress::ToString() const {
  return ip.is_v4() ? absl::StrCat(ip.ToString(), ":", port)
                    : absl::StrCat("[", ip.ToString(), "]:", port);
}

}  // namespace whence::net
