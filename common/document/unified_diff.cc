#include "common/document/unified_diff.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"

namespace whence::document {
namespace {

constexpr size_t kContext = 3;
// Cells of the table that compares two pieces without anchors.
constexpr size_t kMaxTable = 1 << 20;

using Lines = std::vector<std::string_view>;

Lines Split(std::string_view text) {
  Lines lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return lines;
}

// Lines [begin, end) of one of the texts.
struct Range {
  size_t begin = 0, end = 0;
  size_t size() const { return end - begin; }
};

// Marks the lines that are not in the other text: what is unmarked is the same in both, in order.
class Comparison {
 public:
  Comparison(const Lines& before, const Lines& after)
      : before_(before), after_(after), removed_(before.size()), added_(after.size()) {
    Compare({0, before.size()}, {0, after.size()});
  }

  bool removed(size_t line) const { return removed_[line]; }
  bool added(size_t line) const { return added_[line]; }

 private:
  using Pair = std::pair<size_t, size_t>;  // a line of before, the same line of after

  void Compare(Range a, Range b) {
    while (a.size() > 0 && b.size() > 0 && before_[a.begin] == after_[b.begin]) {
      ++a.begin, ++b.begin;
    }
    while (a.size() > 0 && b.size() > 0 && before_[a.end - 1] == after_[b.end - 1]) {
      --a.end, --b.end;
    }
    const std::vector<Pair> anchors =
        a.size() == 0 || b.size() == 0 ? std::vector<Pair>() : Anchors(a, b);
    if (anchors.empty()) return CompareSmall(a, b);
    for (const auto& [in_before, in_after] : anchors) {
      Compare({a.begin, in_before}, {b.begin, in_after});
      a.begin = in_before + 1;
      b.begin = in_after + 1;
    }
    Compare(a, b);
  }

  // Lines that occur once in each piece, as many as rise in both.
  std::vector<Pair> Anchors(Range a, Range b) const {
    struct Places {
      uint32_t before_count = 0, after_count = 0;
      size_t in_before = 0;
    };
    std::unordered_map<std::string_view, Places> places;
    for (size_t i = a.begin; i < a.end; ++i) {
      Places& line = places[before_[i]];
      ++line.before_count;
      line.in_before = i;
    }
    for (size_t i = b.begin; i < b.end; ++i) {
      auto line = places.find(after_[i]);
      if (line != places.end()) ++line->second.after_count;
    }
    std::vector<Pair> unique;  // rises in after
    for (size_t i = b.begin; i < b.end; ++i) {
      auto line = places.find(after_[i]);
      if (line == places.end()) continue;
      if (line->second.before_count == 1 && line->second.after_count == 1) {
        unique.emplace_back(line->second.in_before, i);
      }
    }
    return LongestRise(unique);
  }

  static std::vector<Pair> LongestRise(const std::vector<Pair>& pairs) {
    constexpr size_t kNone = ~size_t{0};
    std::vector<size_t> ends;  // ends[n]: the pair that ends the best rise of n + 1 pairs
    std::vector<size_t> previous(pairs.size(), kNone);
    for (size_t i = 0; i < pairs.size(); ++i) {
      auto place =
          std::lower_bound(ends.begin(), ends.end(), pairs[i].first,
                           [&](size_t end, size_t line) { return pairs[end].first < line; });
      if (place != ends.begin()) previous[i] = *(place - 1);
      if (place == ends.end()) {
        ends.push_back(i);
      } else {
        *place = i;
      }
    }
    std::vector<Pair> rise;
    for (size_t i = ends.empty() ? kNone : ends.back(); i != kNone; i = previous[i]) {
      rise.push_back(pairs[i]);
    }
    std::reverse(rise.begin(), rise.end());
    return rise;
  }

  // The longest common subsequence by its table; or, if that would be large, nothing in common.
  void CompareSmall(Range a, Range b) {
    const size_t width = b.size() + 1;
    std::vector<uint32_t> table;
    if ((a.size() + 1) * width <= kMaxTable) {
      table.resize((a.size() + 1) * width);
      for (size_t i = a.size(); i-- > 0;) {
        for (size_t j = b.size(); j-- > 0;) {
          table[i * width + j] =
              before_[a.begin + i] == after_[b.begin + j]
                  ? table[(i + 1) * width + j + 1] + 1
                  : std::max(table[(i + 1) * width + j], table[i * width + j + 1]);
        }
      }
    }
    size_t i = 0, j = 0;
    while (!table.empty() && i < a.size() && j < b.size()) {
      if (before_[a.begin + i] == after_[b.begin + j]) {
        ++i, ++j;
      } else if (table[(i + 1) * width + j] >= table[i * width + j + 1]) {
        removed_[a.begin + i++] = true;
      } else {
        added_[b.begin + j++] = true;
      }
    }
    for (; i < a.size(); ++i) removed_[a.begin + i] = true;
    for (; j < b.size(); ++j) added_[b.begin + j] = true;
  }

  const Lines& before_;
  const Lines& after_;
  std::vector<bool> removed_, added_;
};

struct Hunk {
  Range before, after;
};

// Changes with their context; those whose contexts meet are one hunk.
std::vector<Hunk> Hunks(const Comparison& comparison, size_t before_size, size_t after_size) {
  std::vector<Hunk> hunks;
  size_t i = 0, j = 0;
  while (i < before_size || j < after_size) {
    const size_t from_i = i, from_j = j;
    while (i < before_size && comparison.removed(i)) ++i;
    while (j < after_size && comparison.added(j)) ++j;
    if (i == from_i && j == from_j) {
      ++i, ++j;
      continue;
    }
    const size_t lead = std::min(kContext, from_i);
    const size_t tail = std::min(kContext, before_size - i);
    if (!hunks.empty() && hunks.back().before.end >= from_i - lead) {
      hunks.back().before.end = i + tail;
      hunks.back().after.end = j + tail;
    } else {
      hunks.push_back({{from_i - lead, i + tail}, {from_j - lead, j + tail}});
    }
  }
  return hunks;
}

// As diff(1) counts: from 1, and an empty range names the line before it.
std::string Place(Range range) {
  const size_t first = range.size() == 0 ? range.begin : range.begin + 1;
  return range.size() == 1 ? absl::StrCat(first) : absl::StrCat(first, ",", range.size());
}

void AppendHunk(const Hunk& hunk, const Comparison& comparison, const Lines& before,
                const Lines& after, std::string* out) {
  absl::StrAppend(out, "@@ -", Place(hunk.before), " +", Place(hunk.after), " @@\n");
  size_t i = hunk.before.begin, j = hunk.after.begin;
  while (i < hunk.before.end || j < hunk.after.end) {
    if (i < hunk.before.end && comparison.removed(i)) {
      absl::StrAppend(out, "-", ToAbsl(before[i++]));
    } else if (j < hunk.after.end && comparison.added(j)) {
      absl::StrAppend(out, "+", ToAbsl(after[j++]));
    } else {
      absl::StrAppend(out, " ", ToAbsl(before[i++]));
      ++j;
    }
  }
}

}  // namespace

std::string UnifiedDiff(std::string_view before_name, std::string_view before,
                        std::string_view after_name, std::string_view after) {
  if (before == after) return "";
  const Lines old_lines = Split(before);
  const Lines new_lines = Split(after);
  const Comparison comparison(old_lines, new_lines);
  std::string out = absl::StrCat("--- ", ToAbsl(before_name), "\n+++ ", ToAbsl(after_name), "\n");
  for (const Hunk& hunk : Hunks(comparison, old_lines.size(), new_lines.size())) {
    AppendHunk(hunk, comparison, old_lines, new_lines, &out);
  }
  return out;
}

}  // namespace whence::document
