// Durations as Istio's documents write them: "5s", "1.5s", "100ms", "1h30m".
#ifndef WHENCE_COMMON_BASE_DURATION_H_
#define WHENCE_COMMON_BASE_DURATION_H_

#include <chrono>
#include <optional>
#include <string_view>

#include "absl/time/time.h"
#include "common/base/strings.h"

namespace whence {

// Nullopt: no such text, negative, beyond a year, or more than nothing and below a millisecond.
inline std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text) {
  absl::Duration duration;
  if (!absl::ParseDuration(ToAbsl(text), &duration)) return std::nullopt;
  if (duration < absl::ZeroDuration() || duration > absl::Hours(24 * 365)) return std::nullopt;
  const int64_t millis = absl::ToInt64Milliseconds(duration);
  if (millis == 0 && duration > absl::ZeroDuration()) return std::nullopt;
  return std::chrono::milliseconds(millis);
}

}  // namespace whence

#endif  // WHENCE_COMMON_BASE_DURATION_H_
