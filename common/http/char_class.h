// Which bytes may stand where in a head. Internal to common/http.
#ifndef WHENCE_COMMON_HTTP_CHAR_CLASS_H_
#define WHENCE_COMMON_HTTP_CHAR_CLASS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace whence::http {

enum CharClass : uint8_t {
  kTokenChar = 1,   // tchar, RFC 9110 5.6.2
  kTargetChar = 2,  // visible ASCII but '#': a fragment never travels
  kRegNameChar =
      4,          // RFC 3986 reg-name without '%' and ',' (a comma betrays two joined Host fields)
  kIpv6Char = 8,  // what stands between the brackets
};

constexpr std::array<uint8_t, 256> MakeCharClasses() {
  std::array<uint8_t, 256> classes{};
  auto mark = [&classes](std::string_view chars, uint8_t bits) {
    for (char c : chars) classes[static_cast<uint8_t>(c)] |= bits;
  };
  for (int c = 0x21; c <= 0x7e; ++c) {
    if (c != '#') classes[c] |= kTargetChar;
  }
  mark("0123456789", kTokenChar | kRegNameChar | kIpv6Char);
  mark("abcdefABCDEF", kIpv6Char);
  mark("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", kTokenChar | kRegNameChar);
  mark("!#$%&'*+-.^_`|~", kTokenChar);
  mark("-._~!$&'()*+;=", kRegNameChar);
  mark(":.", kIpv6Char);
  return classes;
}
inline constexpr std::array<uint8_t, 256> kCharClasses = MakeCharClasses();

inline bool Is(CharClass what, char c) { return kCharClasses[static_cast<uint8_t>(c)] & what; }

inline bool AllAre(CharClass what, std::string_view text) {
  for (char c : text) {
    if (!Is(what, c)) return false;
  }
  return true;
}

inline bool IsBlank(char c) { return c == ' ' || c == '\t'; }

inline std::string_view TrimBlanks(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return text;
}

// Index of the first control byte other than HT at or after `from`; text.size() if there is none.
// In a well-formed head that is the CR of a line end, so this one search both finds lines and keeps
// control bytes out of them.
inline size_t FindControl(std::string_view text, size_t from) {
  const char* data = text.data();
  const size_t size = text.size();
  size_t at = from;
#if defined(__SSE2__)
  // Part of the x86-64 baseline, so no dispatch. 16 bytes at a step: a byte is at most 0x1f if the
  // unsigned minimum with 0x1f is the byte itself.
  const __m128i last_control = _mm_set1_epi8(0x1f);
  const __m128i tab = _mm_set1_epi8('\t');
  const __m128i del = _mm_set1_epi8(0x7f);
  for (; at + 16 <= size; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(data + at));
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes);
    const __m128i control =
        _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), low), _mm_cmpeq_epi8(bytes, del));
    const int mask = _mm_movemask_epi8(control);
    if (mask != 0) return at + static_cast<size_t>(__builtin_ctz(static_cast<unsigned>(mask)));
  }
#endif
  for (; at < size; ++at) {
    const auto c = static_cast<uint8_t>(data[at]);
    if ((c < 0x20 && c != '\t') || c == 0x7f) return at;
  }
  return size;
}

}  // namespace whence::http

#endif  // WHENCE_COMMON_HTTP_CHAR_CLASS_H_
