#include "common/net/dial_target.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <system_error>

#include "common/base/names.h"
#include "common/net/socket_address.h"

namespace whence::net {
namespace {

bool Consume(std::string_view prefix, std::string_view* text) {
  if (text->substr(0, prefix.size()) != prefix) return false;
  text->remove_prefix(prefix.size());
  return true;
}

bool IsPort(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port != 0;
}

// A name or an address, and a port.
bool IsHostAndPort(std::string_view text) {
  if (const auto address = SocketAddress::Parse(text)) return address->port != 0;
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || !IsPort(text.substr(colon + 1))) return false;
  const std::string_view host = text.substr(0, colon);
  // An address with a slip in it is no name.
  const bool has_letter = std::any_of(host.begin(), host.end(),
                                      [](char c) { return c != '.' && (c < '0' || c > '9'); });
  return IsName(host) && has_letter;
}

bool AreAddresses(std::string_view text, bool v6) {
  while (true) {
    const size_t comma = std::min(text.find(','), text.size());
    const auto address = SocketAddress::Parse(text.substr(0, comma));
    if (!address || address->port == 0 || address->ip.is_v6() != v6) return false;
    if (comma == text.size()) return true;
    text.remove_prefix(comma + 1);
  }
}

}  // namespace

bool IsDialTarget(std::string_view text) {
  if (std::any_of(text.begin(), text.end(), [](unsigned char c) { return c <= ' ' || c == 0x7f; })) {
    return false;
  }
  if (Consume("unix:", &text)) return !text.empty() && text != "//";
  if (Consume("unix-abstract:", &text)) return !text.empty();
  if (Consume("ipv4:", &text)) return AreAddresses(text, false);
  if (Consume("ipv6:", &text)) return AreAddresses(text, true);
  if (Consume("dns:", &text)) {
    if (Consume("//", &text)) {
      const size_t slash = text.find('/');
      if (slash == std::string_view::npos) return false;
      text.remove_prefix(slash + 1);
    }
  }
  return IsHostAndPort(text);
}

}  // namespace whence::net
