// Version 1: "PROXY" SP ("TCP4" | "TCP6") SP source SP destination SP port SP port CRLF,
// or "PROXY UNKNOWN" and anything up to CRLF.
#include <array>
#include <charconv>
#include <optional>

#include "common/proxy_protocol/versions.h"

namespace whence::proxy_protocol {
namespace {

constexpr std::string_view kUnknown = "UNKNOWN";
constexpr size_t kFields = 5;  // behind "PROXY "

// Decimal as the text wants it: 0..65535 without sign, blank or leading zero.
std::optional<uint16_t> ParsePort(std::string_view text) {
  if (text.empty() || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return port;
}

// The family is that of the text: "::ffff:1.2.3.4" is written as IPv6 and means 1.2.3.4.
std::optional<net::IpAddress> ParseAddress(std::string_view text, bool is_ipv6) {
  const bool looks_ipv6 = text.find(':') != std::string_view::npos;
  if (looks_ipv6 != is_ipv6) return std::nullopt;
  const std::optional<net::IpAddress> address = net::IpAddress::Parse(text);
  return address && address->is_unicast() ? address : std::nullopt;
}

bool Split(std::string_view line, std::array<std::string_view, kFields>* out) {
  size_t count = 0;
  while (true) {
    if (count == kFields) return false;
    const size_t blank = line.find(' ');
    (*out)[count++] = line.substr(0, blank);
    if (blank == std::string_view::npos) return count == kFields;
    line.remove_prefix(blank + 1);
  }
}

// `line` is what stands between the signature and CRLF.
ParseResult ParseLine(std::string_view line, Header* out) {
  if (line == kUnknown || (line.starts_with(kUnknown) && line[kUnknown.size()] == ' ')) {
    // The rest is to be ignored, but a bare line end in it means that the sender and we do not
    // agree on where the header stops.
    if (line.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos) {
      return ParseResult::Reject("control character in the header");
    }
    return ParseResult::Done();
  }
  std::array<std::string_view, kFields> fields;
  if (!Split(line, &fields)) return ParseResult::Reject("expected family, addresses and ports");
  const auto& [family, source, destination, source_port, destination_port] = fields;
  out->is_ipv6 = family == "TCP6";
  if (!out->is_ipv6 && family != "TCP4") return ParseResult::Reject("unknown family");
  const auto source_ip = ParseAddress(source, out->is_ipv6);
  const auto destination_ip = ParseAddress(destination, out->is_ipv6);
  if (!source_ip || !destination_ip) return ParseResult::Reject("no unicast address of the family");
  const auto from = ParsePort(source_port);
  const auto to = ParsePort(destination_port);
  if (!from || !to) return ParseResult::Reject("no port");
  out->has_addresses = true;
  out->source = {*source_ip, *from};
  out->destination = {*destination_ip, *to};
  return ParseResult::Done();
}

}  // namespace

ParseResult ParseV1(std::string_view bytes, Header* out) {
  const std::string_view longest = bytes.substr(0, kMaxV1Bytes);
  const size_t end = longest.find("\r\n");
  if (end == std::string_view::npos) {
    return bytes.size() > kMaxV1Bytes ? ParseResult::Reject("the line is too long")
                                      : ParseResult::NeedMore();
  }
  Header header{.version = 1, .bytes = end + 2};
  const ParseResult result =
      ParseLine(longest.substr(kSignatureV1.size(), end - kSignatureV1.size()), &header);
  if (result.status == ParseStatus::kDone) *out = header;
  return result;
}

}  // namespace whence::proxy_protocol
