// Long lists of addresses within a YAML text, read without yaml-cpp.
//
// yaml-cpp needs about 5 µs a scalar, five seconds for an IpSet of a million. But a list of that
// length is always the same thing, line by line:
//
//   spec:
//     cidrs:
//     - 10.0.0.0/8        ->       - whence-list-0-
//     - 2001:db8::/32
//
// So stretches of such lines are taken out before parsing, a marker stands in for each, and blank
// lines keep the numbers of the lines behind it. Whether a stretch really is a list only YAML can
// say (it may be the text of a block scalar): who finds a marker anywhere but as a whole item of a
// sequence must parse the original text instead.
#ifndef WHENCE_COMMON_DOCUMENT_LONG_LISTS_H_
#define WHENCE_COMMON_DOCUMENT_LONG_LISTS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/document/location.h"

namespace whence::document {

// Immutable but for TakeRest. Keeps views of the content.
class LongLists {
 public:
  LongLists() = default;  // none
  explicit LongLists(std::string_view content);

  size_t size() const { return lists_.size(); }
  // The text with markers. Once.
  std::string TakeRest() { return std::move(rest_); }

  // Which list's marker is in `scalar`, as a part of it or as the whole.
  std::optional<size_t> Find(std::string_view scalar) const;
  std::string Marker(size_t index) const;

  // `visit(Location, std::string_view text)` for each item in order.
  template <typename Visit>
  void ForEachItem(size_t index, const Visit& visit) const {
    const List& list = lists_[index];
    uint32_t line = list.first_line;
    for (std::string_view lines = list.lines; !lines.empty(); ++line) {
      const std::string_view one = lines.substr(0, lines.find('\n'));
      lines.remove_prefix(std::min(one.size() + 1, lines.size()));
      visit(Location{line, list.column}, ItemOf(one).value());
    }
  }

 private:
  struct List {
    std::string_view lines;
    uint32_t first_line;
    uint32_t column;  // of the items' text
  };

  // The text of "  - 10.0.0.0/8"; nullopt: another line.
  static std::optional<std::string_view> ItemOf(std::string_view line);
  void TakeOut(std::string_view lines, uint32_t first_line, uint32_t count);

  std::vector<List> lists_;
  std::string rest_;
};

}  // namespace whence::document

#endif  // WHENCE_COMMON_DOCUMENT_LONG_LISTS_H_
