#include "controlplane/access_log/text.h"

#include <algorithm>
#include <cstdint>

#include "common/base/utf8.h"

namespace whence::access_log {
namespace {

constexpr char kHex[] = "0123456789ABCDEF";

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string Escape(std::string_view bytes, size_t max_bytes) {
  std::string_view kept = bytes.substr(0, max_bytes);
  std::string text;
  text.reserve(kept.size());
  for (size_t i = 0; i < kept.size();) {
    const Utf8Character decoded = DecodeUtf8(kept.substr(i));
    const bool plain = decoded.size > 0 && !IsHidden(decoded.code_point);
    size_t size = std::max<size_t>(decoded.size, 1);
    if (kept[i] == '\\') {
      text += "\\\\";
    } else if (plain) {
      text.append(kept, i, size);
    } else {
      for (size_t k = i; k < i + size; ++k) {
        auto byte = static_cast<uint8_t>(kept[k]);
        text += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
      }
    }
    i += size;
  }
  if (kept.size() < bytes.size()) text += "\\+" + std::to_string(bytes.size() - kept.size());
  return text;
}

bool IsPlain(std::string_view bytes, size_t max_bytes) {
  bool plain = bytes.size() <= max_bytes;
  for (const char c : bytes) plain &= c >= 0x20 && c < 0x7f && c != '\\';
  return plain;
}

std::string Unescape(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    std::string_view rest = text.substr(i);
    if (rest[0] != '\\' || rest.size() < 2) {
      bytes += rest[0];
      i += 1;
    } else if (rest[1] == 'x' && rest.size() >= 4 && HexValue(rest[2]) >= 0 &&
               HexValue(rest[3]) >= 0) {
      bytes += static_cast<char>(HexValue(rest[2]) * 16 + HexValue(rest[3]));
      i += 4;
    } else if (rest[1] == '+') {
      break;
    } else {
      bytes += rest[1];
      i += 2;
    }
  }
  return bytes;
}

}  // namespace whence::access_log
