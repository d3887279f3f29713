#include "dataplane/proxy/detection.h"

#include "common/base/strings.h"

namespace whence::proxy {
namespace {

constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n";

bool IsTokenChar(char c) {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
  return std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

// What some server takes for a blank: Python's splits a request line at all of these, and RFC 9112,
// section 3, names those who do so at a bare CR.
bool IsBlank(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r' ||
         (byte >= 0x1c && byte <= 0x1f) || byte == 0x85 || byte == 0xa0;
}

bool IsControl(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && EqualsIgnoreCase(text.substr(0, prefix.size()), prefix);
}

bool ContainsVersion(std::string_view line) {
  for (size_t i = 0; i < line.size(); ++i) {
    if (StartsWith(line.substr(i), "HTTP/")) return true;
  }
  return false;
}

// What follows the method and its blanks.
Detected DetectTarget(std::string_view rest, bool at_limit) {
  if (rest.empty()) return at_limit ? Detected::kHttp : Detected::kNeedMore;
  if (rest[0] == '/' || StartsWith(rest, "http://") || StartsWith(rest, "https://")) {
    return Detected::kHttp;
  }
  const size_t line_end = rest.find('\n');
  if (line_end != std::string_view::npos) {
    return ContainsVersion(rest.substr(0, line_end)) ? Detected::kHttp : Detected::kOther;
  }
  return at_limit ? Detected::kHttp : Detected::kNeedMore;
}

}  // namespace

Detected Detect(std::string_view bytes) {
  const bool at_limit = bytes.size() >= kDetectionBytes;
  bytes = bytes.substr(0, kDetectionBytes);
  if (bytes.substr(0, kHttp2Preface.size()) == kHttp2Preface.substr(0, bytes.size())) {
    return bytes.size() >= kHttp2Preface.size() ? Detected::kOther : Detected::kNeedMore;
  }
  // Servers skip empty lines before a request (RFC 9112, 2.2), some skip blanks.
  size_t at = 0;
  while (at < bytes.size() && (IsBlank(bytes[at]) || bytes[at] == '\n')) ++at;
  if (at < bytes.size() && !IsTokenChar(bytes[at])) return Detected::kOther;
  // A method may have any length, and contain anything: the application behind us may take it.
  while (at < bytes.size() && !IsBlank(bytes[at]) && !IsControl(bytes[at])) ++at;
  if (at == bytes.size()) return at_limit ? Detected::kHttp : Detected::kNeedMore;
  if (!IsBlank(bytes[at])) return Detected::kOther;
  while (at < bytes.size() && IsBlank(bytes[at])) ++at;
  return DetectTarget(bytes.substr(at), at_limit);
}

}  // namespace whence::proxy
