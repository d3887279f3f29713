#include "common/trust/hop_chain.h"

#include "common/base/strings.h"

namespace whence::trust {
namespace {

constexpr std::string_view kBlanks = " \t\n\v\f\r";

std::string_view Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// 1 to 5 digits, 0..65535. The number itself is of no interest.
bool IsPort(std::string_view text) {
  if (text.empty() || text.size() > 5) return false;
  int port = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    port = port * 10 + (c - '0');
  }
  return port <= 65535;
}

bool IsTokenChar(char c) {
  if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
  return c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

// RFC 7239 section 6.3: "_" and at least one of a few characters.
bool IsObfuscated(std::string_view text) {
  if (text.size() < 2 || text[0] != '_') return false;
  for (const char c : text) {
    const bool is_alphanumeric =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!is_alphanumeric && c != '.' && c != '_' && c != '-') return false;
  }
  return true;
}

std::optional<net::IpAddress> ParseClient(std::string_view text) {
  const std::optional<net::IpAddress> address = net::IpAddress::Parse(text);
  if (!address || !address->is_unicast()) return std::nullopt;
  return address;
}

// "[v6]" with `rest` set to what follows the bracket.
std::optional<net::IpAddress> ParseBracketed(std::string_view text, std::string_view* rest) {
  const size_t close = text.find(']');
  if (close == std::string_view::npos) return std::nullopt;
  const std::string_view inside = text.substr(1, close - 1);
  if (inside.find(':') == std::string_view::npos) return std::nullopt;  // [1.2.3.4] is nothing
  *rest = text.substr(close + 1);
  return ParseClient(inside);
}

// Takes `name=value` off the front of `text`. A quoted value is given without its quotes and with
// its escapes, which no address contains. False if there is no such pair.
bool TakePair(std::string_view* text, std::string_view* name, std::string_view* value) {
  size_t i = 0;
  while (i < text->size() && IsTokenChar((*text)[i])) ++i;
  if (i == 0 || i == text->size() || (*text)[i] != '=') return false;
  *name = text->substr(0, i);
  const size_t start = ++i;
  if (i < text->size() && (*text)[i] == '"') {
    for (++i; i < text->size() && (*text)[i] != '"'; ++i) {
      if ((*text)[i] == '\\') ++i;
    }
    if (i >= text->size()) return false;
    *value = text->substr(start + 1, i - start - 1);
    *text = text->substr(i + 1);
    return true;
  }
  while (i < text->size() && IsTokenChar((*text)[i])) ++i;
  if (i == start) return false;
  *value = text->substr(start, i - start);
  *text = text->substr(i);
  return true;
}

// RFC 7239 section 6, where IPv6 is always in brackets and a port may be obfuscated.
std::optional<net::IpAddress> ParseNode(std::string_view node) {
  std::optional<net::IpAddress> address;
  std::string_view port;
  if (!node.empty() && node[0] == '[') {
    address = ParseBracketed(node, &port);
  } else {
    const size_t colon = node.find(':');
    address = ParseClient(node.substr(0, colon));
    if (colon != std::string_view::npos) port = node.substr(colon);
  }
  if (port.empty()) return address;
  if (port[0] != ':') return std::nullopt;
  return IsPort(port.substr(1)) || IsObfuscated(port.substr(1)) ? address : std::nullopt;
}

}  // namespace

std::optional<std::string_view> HopChain::Next() {
  if (!in_line_ && !StepToNextLine()) return std::nullopt;
  const size_t comma = FindComma(line_.size());
  if (comma == std::string_view::npos) {
    in_line_ = false;
    return Trim(line_);
  }
  const std::string_view entry = line_.substr(comma + 1);
  line_ = line_.substr(0, comma);
  return Trim(entry);
}

bool HopChain::StepToNextLine() {
  while (next_field_ > 0) {
    --next_field_;
    if (ids_[next_field_] != id_ || Trim(fields_[next_field_].value).empty()) continue;
    line_ = fields_[next_field_].value;
    in_line_ = true;
    return true;
  }
  return false;
}

// The last comma that separates. In Forwarded, commas inside quoted strings do not; coming from the
// right, a quoted string ends at a quote and begins at the next one that is not escaped. What a
// stranger wrote further left, an unbalanced quote say, cannot move the commas of the trusted tail.
size_t HopChain::FindComma(size_t end) const {
  if (id_ != http::FieldId::kForwarded) return line_.substr(0, end).rfind(',');
  bool is_quoted = false;
  for (size_t i = end; i-- > 0;) {
    if (line_[i] == ',' && !is_quoted) return i;
    if (line_[i] != '"') continue;
    size_t backslashes = 0;
    while (is_quoted && backslashes < i && line_[i - 1 - backslashes] == '\\') ++backslashes;
    if (backslashes % 2 == 0) is_quoted = !is_quoted;
    i -= backslashes;
  }
  return std::string_view::npos;
}

std::optional<net::IpAddress> HopChain::Parse(std::string_view entry) const {
  return id_ == http::FieldId::kForwarded ? ParseForwardedElement(entry)
                                          : ParseForwardedForEntry(entry);
}

std::optional<net::IpAddress> ParseForwardedForEntry(std::string_view entry) {
  entry = Trim(entry);
  if (entry.empty()) return std::nullopt;
  if (entry[0] == '[') {
    std::string_view rest;
    const std::optional<net::IpAddress> address = ParseBracketed(entry, &rest);
    if (rest.empty()) return address;
    return rest[0] == ':' && IsPort(rest.substr(1)) ? address : std::nullopt;
  }
  // One colon is a port's; IPv6 text has at least two.
  const size_t colon = entry.find(':');
  if (colon == std::string_view::npos || entry.find(':', colon + 1) != std::string_view::npos) {
    return ParseClient(entry);
  }
  return IsPort(entry.substr(colon + 1)) ? ParseClient(entry.substr(0, colon)) : std::nullopt;
}

std::optional<net::IpAddress> ParseForwardedElement(std::string_view element) {
  std::optional<net::IpAddress> client;
  bool has_for = false;
  std::string_view rest = Trim(element);
  while (!rest.empty()) {
    std::string_view name, value;
    if (rest[0] != ';') {
      if (!TakePair(&rest, &name, &value)) return std::nullopt;
      if (EqualsIgnoreCase(name, "for")) {
        if (has_for) return std::nullopt;  // each parameter at most once (section 4)
        has_for = true;
        client = ParseNode(value);
      }
      rest = Trim(rest);
      if (!rest.empty() && rest[0] != ';') return std::nullopt;
    }
    if (!rest.empty()) rest = Trim(rest.substr(1));
  }
  return client;
}

}  // namespace whence::trust
