#include "controlplane/units.h"

#include <charconv>
#include <limits>
#include <utility>

namespace whence::control {
namespace {

struct Unit {
  std::string_view name;
  uint64_t factor;
};

// The number before the unit times the unit's factor; nullopt if that is more than `limit`.
template <size_t N>
std::optional<uint64_t> Parse(std::string_view text, const Unit (&units)[N], uint64_t limit) {
  uint64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  std::string_view name = text.substr(static_cast<size_t>(end - text.data()));
  for (const Unit& unit : units) {
    if (unit.name != name) continue;
    if (number > limit / unit.factor) return std::nullopt;
    return number * unit.factor;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::chrono::seconds> ParseDuration(std::string_view text) {
  static constexpr Unit kUnits[] = {
      {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86'400}, {"w", 604'800}};
  // Ten thousand years, so that adding one to a time of day cannot overflow.
  std::optional<uint64_t> seconds = Parse(text, kUnits, uint64_t{10'000} * 366 * 86'400);
  if (!seconds) return std::nullopt;
  return std::chrono::seconds(*seconds);
}

std::optional<uint64_t> ParseSize(std::string_view text) {
  static constexpr Unit kUnits[] = {
      {"B", 1},
      {"KiB", 1u << 10},
      {"MiB", 1u << 20},
      {"GiB", 1u << 30},
      {"TiB", uint64_t{1} << 40},
      {"kB", 1000},
      {"KB", 1000},
      {"MB", 1'000'000},
      {"GB", 1'000'000'000},
      {"TB", uint64_t{1'000'000'000'000}},
  };
  return Parse(text, kUnits, std::numeric_limits<int64_t>::max());
}

}  // namespace whence::control
