// Conversions between std and absl string views.
//
// Debian builds Abseil with its own string_view, which converts to and from std::string_view in
// neither direction. Our code uses the std types everywhere; these two are the border.
#ifndef WHENCE_COMMON_BASE_STRINGS_H_
#define WHENCE_COMMON_BASE_STRINGS_H_

#include <string_view>

#include "absl/strings/string_view.h"

namespace whence {

inline absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view ToStd(absl::string_view text) { return {text.data(), text.size()}; }

// ASCII only, on purpose: header names and host names are compared so, whatever the locale says.
inline char ToLowerAscii(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

inline bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (ToLowerAscii(a[i]) != ToLowerAscii(b[i])) return false;
  }
  return true;
}

}  // namespace whence

#endif  // WHENCE_COMMON_BASE_STRINGS_H_
