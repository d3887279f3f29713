// Numbers with a unit on the command line: "10s", "64MiB".
#ifndef WHENCE_DATAPLANE_QUANTITY_H_
#define WHENCE_DATAPLANE_QUANTITY_H_

#include <charconv>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace whence {

// A whole number and one of the units, each with its factor.
inline std::optional<uint64_t> ParseQuantity(const std::string& text,
                                             const std::map<std::string, uint64_t>& units) {
  uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [unit, error] = std::from_chars(text.data(), end, number);
  const auto known = units.find(std::string(unit, end));
  if (error != std::errc() || known == units.end() || number > UINT64_MAX / known->second)
    return std::nullopt;
  return number * known->second;
}

// "500ms", "10s", "5m", "1h" as milliseconds.
inline std::optional<uint64_t> ParseDuration(const std::string& text) {
  return ParseQuantity(text, {{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}});
}

}  // namespace whence

#endif  // WHENCE_DATAPLANE_QUANTITY_H_
