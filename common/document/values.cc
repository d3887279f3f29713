#include "common/document/values.h"

#include <charconv>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/strings.h"
#include "common/base/utf8.h"
#include "common/net/cidr.h"

namespace whence::document {
namespace {

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsAlnum(char c) { return IsLower(c) || IsUpper(c) || IsDigit(c); }

// One label of a DNS name.
bool IsDnsLabel(std::string_view text) {
  if (text.empty() || text.size() > 63 || text.front() == '-' || text.back() == '-') return false;
  for (const char c : text) {
    if (!IsLower(c) && !IsDigit(c) && c != '-') return false;
  }
  return true;
}

bool IsDnsName(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  while (true) {
    const size_t dot = text.find('.');
    if (!IsDnsLabel(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

bool IsLabelText(std::string_view text) {
  if (text.size() > 63) return false;
  if (text.empty()) return true;
  for (const char c : text) {
    if (!IsAlnum(c) && c != '-' && c != '_' && c != '.') return false;
  }
  return IsAlnum(text.front()) && IsAlnum(text.back());
}

// Text from a file is repeated in messages, so it is cut.
std::string Quote(std::string_view text) {
  constexpr size_t kShown = 80;
  return absl::StrCat("\"", ValidUtf8(CutUtf8(text, kShown)), text.size() > kShown ? "…" : "",
                      "\"");
}

// Reads a number and the unit behind it from the front of `text`.
bool TakeAmount(std::string_view* text, uint64_t* amount, std::string_view* unit) {
  const char* end = text->data() + text->size();
  const auto parsed = std::from_chars(text->data(), end, *amount);
  if (parsed.ec != std::errc()) return false;
  text->remove_prefix(static_cast<size_t>(parsed.ptr - text->data()));
  size_t size = 0;
  while (size < text->size() && !IsDigit((*text)[size])) ++size;
  *unit = text->substr(0, size);
  text->remove_prefix(size);
  return true;
}

}  // namespace

Complaint CheckLabelName(std::string_view text) {
  if (IsDnsLabel(text)) return std::nullopt;
  return absl::StrCat(Quote(text), " must be at most 63 of a-z, 0-9 and \"-\", not at its ends");
}

Complaint CheckObjectName(std::string_view text) {
  if (IsDnsName(text)) return std::nullopt;
  return absl::StrCat(Quote(text),
                      " must be lower-case letters, digits, \"-\" and \".\", such as "
                      "\"edge-policy\"");
}

Complaint CheckLabelKey(std::string_view text) {
  const size_t slash = text.find('/');
  const bool has_prefix = slash != std::string_view::npos;
  const std::string_view name = has_prefix ? text.substr(slash + 1) : text;
  if (!name.empty() && IsLabelText(name) && (!has_prefix || IsDnsName(text.substr(0, slash)))) {
    return std::nullopt;
  }
  return absl::StrCat(Quote(text),
                      " is no label name; expected such as \"app\" or "
                      "\"example.com/app\"");
}

Complaint CheckLabelValue(std::string_view text) {
  if (IsLabelText(text)) return std::nullopt;
  return absl::StrCat(Quote(text),
                      " is no label value: at most 63 letters, digits, \"-\", \"_\" "
                      "and \".\", not at its ends");
}

namespace {

// "256 addresses"; beyond what people count, "2^64 addresses".
std::string AddressCount(const net::Cidr& cidr) {
  const int bits = (cidr.is_v4() ? 32 : 128) - cidr.prefix_length();
  return bits <= 32 ? absl::StrCat(uint64_t{1} << bits, " addresses")
                    : absl::StrCat("2^", bits, " addresses");
}

}  // namespace

std::string HostBitsWarning(std::string_view text, const net::Cidr& cidr) {
  return absl::StrCat("\"", ToAbsl(text), "\" means the whole range ", cidr.ToString(), ", ",
                      AddressCount(cidr), "; write it so");
}

Complaint CheckPortText(std::string_view text) {
  uint32_t port = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), port);
  const bool is_number = parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
  if (is_number && port >= 1 && port <= 65535) return std::nullopt;
  return absl::StrCat(Quote(text), " is no port; expected \"1\" to \"65535\"");
}

Complaint CheckPort(uint32_t port) {
  if (port >= 1 && port <= 65535) return std::nullopt;
  return absl::StrCat(port, " is no port; expected 1 to 65535");
}

Complaint CheckHostPattern(std::string_view text) {
  if (text == "*") return std::nullopt;
  const std::string_view name = text.substr(0, 2) == "*." ? text.substr(2) : text;
  std::string lower(name);
  for (char& c : lower) c = ToLowerAscii(c);
  if (IsDnsName(lower)) return std::nullopt;
  return absl::StrCat(Quote(text), " is no host; expected a name, \"*.suffix\" or \"*\"");
}

Complaint CheckHeaderName(std::string_view text) {
  bool is_token = !text.empty() && text.size() <= 128;
  for (const char c : text) {
    is_token = is_token && (IsAlnum(c) ||
                            std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
  }
  if (is_token) return std::nullopt;
  return absl::StrCat(Quote(text), " is no header name");
}

Complaint CheckReference(std::string_view text) {
  const size_t slash = text.find('/');
  const bool is_qualified = slash != std::string_view::npos;
  if (is_qualified && !IsDnsLabel(text.substr(0, slash))) {
    return absl::StrCat(Quote(text), " must be \"name\" or \"namespace/name\"");
  }
  if (IsDnsName(is_qualified ? text.substr(slash + 1) : text)) return std::nullopt;
  return absl::StrCat(Quote(text), " must be \"name\" or \"namespace/name\"");
}

Complaint CheckTimestamp(std::string_view text) {
  absl::Time time;
  std::string error;
  if (absl::ParseTime(absl::RFC3339_full, ToAbsl(text), &time, &error) && text.size() >= 20 &&
      text[4] == '-') {
    return std::nullopt;
  }
  return absl::StrCat(Quote(text), " is no time; expected such as \"2030-01-31T12:00:00Z\"");
}

std::optional<uint64_t> ParseDurationSeconds(std::string_view text) {
  if (text.empty()) return std::nullopt;
  uint64_t total = 0;
  while (!text.empty()) {
    uint64_t amount = 0;
    std::string_view unit;
    if (!TakeAmount(&text, &amount, &unit) || amount > 1000000000) return std::nullopt;
    if (unit == "d") {
      total += amount * 86400;
    } else if (unit == "h") {
      total += amount * 3600;
    } else if (unit == "m") {
      total += amount * 60;
    } else if (unit == "s") {
      total += amount;
    } else {
      return std::nullopt;
    }
  }
  return total;
}

std::optional<uint64_t> ParseSizeBytes(std::string_view text) {
  struct {
    std::string_view unit;
    uint64_t bytes;
  } const units[] = {{"", 1},
                     {"B", 1},
                     {"kB", 1000},
                     {"KB", 1000},
                     {"MB", 1000 * 1000},
                     {"GB", 1000ull * 1000 * 1000},
                     {"TB", 1000ull * 1000 * 1000 * 1000},
                     {"KiB", 1ull << 10},
                     {"MiB", 1ull << 20},
                     {"GiB", 1ull << 30},
                     {"TiB", 1ull << 40},
                     // Kubernetes' spellings.
                     {"k", 1000},
                     {"M", 1000 * 1000},
                     {"G", 1000ull * 1000 * 1000},
                     {"T", 1000ull * 1000 * 1000 * 1000},
                     {"Ki", 1ull << 10},
                     {"Mi", 1ull << 20},
                     {"Gi", 1ull << 30},
                     {"Ti", 1ull << 40}};
  uint64_t amount = 0;
  std::string_view written;
  if (!TakeAmount(&text, &amount, &written) || !text.empty()) return std::nullopt;
  for (const auto& unit : units) {
    if (unit.unit == written && amount <= (uint64_t{1} << 62) / unit.bytes) {
      return amount * unit.bytes;
    }
  }
  return std::nullopt;
}

std::string QualifiedName(std::string_view reference, std::string_view default_namespace) {
  if (reference.find('/') != std::string_view::npos) return std::string(reference);
  return absl::StrCat(ToAbsl(default_namespace), "/", ToAbsl(reference));
}

}  // namespace whence::document
