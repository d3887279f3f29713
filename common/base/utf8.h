// UTF-8 (RFC 3629), for text from outside: in protobuf strings, where one string that is not UTF-8
// makes the whole message unreadable for the other side, and on terminals.
#ifndef WHENCE_COMMON_BASE_UTF8_H_
#define WHENCE_COMMON_BASE_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace whence {

// Bytes of the character that `text` begins with; 0: it begins with none, or with a part of one.
inline size_t Utf8CharacterSize(std::string_view text) {
  if (text.empty()) return 0;
  const auto at = [text](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = at(0);
  if (lead < 0x80) return 1;
  const size_t size = lead >= 0xc2 && lead < 0xe0   ? 2
                      : lead >= 0xe0 && lead < 0xf0 ? 3
                      : lead >= 0xf0 && lead < 0xf5 ? 4
                                                    : 0;
  if (size == 0 || text.size() < size) return 0;
  for (size_t i = 1; i < size; ++i) {
    if ((at(i) & 0xc0) != 0x80) return 0;
  }
  // The second byte tells longer spellings of shorter ones, surrogates, and what is above U+10FFFF.
  if ((lead == 0xe0 && at(1) < 0xa0) || (lead == 0xed && at(1) >= 0xa0) ||
      (lead == 0xf0 && at(1) < 0x90) || (lead == 0xf4 && at(1) >= 0x90)) {
    return 0;
  }
  return size;
}

struct Utf8Character {
  char32_t code_point = 0;
  size_t size = 0;  // in bytes; 0: there is none
};

// The character that `text` begins with.
inline Utf8Character DecodeUtf8(std::string_view text) {
  const size_t size = Utf8CharacterSize(text);
  if (size == 0) return {};
  const auto lead = static_cast<uint8_t>(text[0]);
  char32_t code_point = size == 1 ? lead : lead & (0xff >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    code_point = code_point << 6 | (static_cast<uint8_t>(text[i]) & 0x3f);
  }
  return {code_point, size};
}

// What a terminal obeys, hides or reorders (Unicode 15: controls, Bidi_Control, format characters of
// no width, separators, interlinear annotation, language tags).
constexpr bool IsHidden(char32_t c) {
  constexpr struct {
    char32_t first, last;
  } kRanges[] = {
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
  };
  for (const auto& range : kRanges) {
    if (c >= range.first && c <= range.last) return true;
  }
  return false;
}

// Bytes from the front that are whole characters: all of them if `text` is UTF-8.
inline size_t ValidUtf8Size(std::string_view text) {
  size_t size = 0;
  while (const size_t next = Utf8CharacterSize(text.substr(size))) size += next;
  return size;
}

// `text` with every byte that belongs to no character replaced by U+FFFD.
inline std::string ValidUtf8(std::string_view text) {
  std::string valid;
  while (true) {
    const size_t size = ValidUtf8Size(text);
    valid += text.substr(0, size);
    if (size == text.size()) return valid;
    valid += "\xef\xbf\xbd";
    text.remove_prefix(size + 1);
  }
}

// At most `max_bytes` of `text`, cut between characters. Bytes that are no character are cut like
// one each, so that the result is UTF-8 exactly when its part of `text` is.
inline std::string_view CutUtf8(std::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  // A character has at most three bytes before its last: one that the border splits starts there.
  for (size_t back = 1; back <= 3 && back <= max_bytes; ++back) {
    if (Utf8CharacterSize(text.substr(max_bytes - back)) > back) {
      return text.substr(0, max_bytes - back);
    }
  }
  return text.substr(0, max_bytes);
}

}  // namespace whence

#endif  // WHENCE_COMMON_BASE_UTF8_H_
