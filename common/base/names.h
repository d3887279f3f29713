// What namespaces and workloads may be called: one rule for those who give names (agents) and for
// those who take them (the control plane).
#ifndef WHENCE_COMMON_BASE_NAMES_H_
#define WHENCE_COMMON_BASE_NAMES_H_

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace whence {

inline constexpr size_t kMaxNameBytes = 253;  // a DNS name, as Kubernetes has it

// Letters, digits, '-', '_' and '.': nothing that a log line or "namespace/name" could confuse.
inline bool IsName(std::string_view text) {
  if (text.empty() || text.size() > kMaxNameBytes) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

}  // namespace whence

#endif  // WHENCE_COMMON_BASE_NAMES_H_
