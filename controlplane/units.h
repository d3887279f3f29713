// Durations and sizes as people write them: "7d", "10GiB".
#ifndef WHENCE_CONTROLPLANE_UNITS_H_
#define WHENCE_CONTROLPLANE_UNITS_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace whence::control {

// A whole number and one of s, m, h, d, w. No sign, no blanks, no bare number: "10" of what?
std::optional<std::chrono::seconds> ParseDuration(std::string_view text);

// A whole number and one of B, KiB, MiB, GiB, TiB (binary) or kB, KB, MB, GB, TB (decimal).
std::optional<uint64_t> ParseSize(std::string_view text);

}  // namespace whence::control

#endif  // WHENCE_CONTROLPLANE_UNITS_H_
