#include "common/document/edit_distance.h"

#include <algorithm>

#include "common/base/strings.h"

namespace whence::document {

size_t EditDistance(std::string_view a, std::string_view b) {
  // Three rolling rows of the usual table; a swap looks two rows back.
  std::vector<size_t> before(b.size() + 1), previous(b.size() + 1), current(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) previous[j] = j;
  const auto same = [&](size_t i, size_t j) { return ToLowerAscii(a[i]) == ToLowerAscii(b[j]); };
  for (size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      current[j] = std::min(
          {previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (same(i - 1, j - 1) ? 0 : 1)});
      if (i > 1 && j > 1 && same(i - 1, j - 2) && same(i - 2, j - 1)) {
        current[j] = std::min(current[j], before[j - 2] + 1);
      }
    }
    std::swap(before, previous);
    std::swap(previous, current);
  }
  return previous[b.size()];
}

std::string Nearest(std::string_view written, const std::vector<std::string_view>& candidates) {
  // The table costs the product of both lengths; no name of ours is near to a very long one.
  if (written.size() > 64) return "";
  std::string_view best;
  size_t best_distance = std::max<size_t>(written.size() / 3, 1) + 1;
  for (const std::string_view candidate : candidates) {
    const size_t distance = EditDistance(written, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return std::string(best);
}

}  // namespace whence::document
