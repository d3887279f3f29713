#include "controlplane/access_log/text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

namespace whence::access_log {
namespace {

constexpr char kHex[] = "0123456789ABCDEF";

struct Decoded {
  uint32_t code_point = 0;
  size_t size = 0;  // 0: not valid UTF-8 here
};

// RFC 3629: shortest form only, no surrogates, nothing above U+10FFFF.
Decoded DecodeUtf8(std::string_view text) {
  auto at = [text](size_t i) { return static_cast<uint8_t>(text[i]); };
  uint8_t lead = at(0);
  if (lead < 0x80) return {lead, 1};
  size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return {};
  uint32_t code_point = lead & (0xff >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    if ((at(i) & 0xc0) != 0x80) return {};
    code_point = code_point << 6 | (at(i) & 0x3f);
  }
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  bool is_surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
  if (code_point < kSmallest[size] || is_surrogate || code_point > 0x10ffff) return {};
  return {code_point, size};
}

bool IsHarmful(uint32_t c) {
  constexpr std::array<std::pair<uint32_t, uint32_t>, 11> kRanges{{
      {0x00, 0x1f},        // C0
      {0x7f, 0x9f},        // DEL, C1
      {0xad, 0xad},        // soft hyphen
      {0x61c, 0x61c},      // Arabic letter mark
      {0x180e, 0x180e},    // Mongolian vowel separator
      {0x200b, 0x200f},    // zero widths, left-to-right and right-to-left marks
      {0x2028, 0x202e},    // separators, embeddings, overrides
      {0x2060, 0x206f},    // word joiner, isolates
      {0xfeff, 0xfeff},    // byte order mark
      {0xfff9, 0xfffb},    // annotations
      {0xe0000, 0xe007f},  // tags
  }};
  return std::any_of(kRanges.begin(), kRanges.end(),
                     [c](const auto& range) { return c >= range.first && c <= range.second; });
}

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
    Decoded decoded = DecodeUtf8(kept.substr(i));
    bool plain = decoded.size > 0 && !IsHarmful(decoded.code_point);
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
