// Text for a terminal: nothing that was sent by a stranger may move the cursor, forge a line or
// turn the reading direction, and columns must still line up.
#ifndef WHENCE_CONTROLPLANE_CTL_TEXT_H_
#define WHENCE_CONTROLPLANE_CTL_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace whence::ctl {

// Shows as visible escapes what a terminal would act on or hide: C0, DEL, C1, bidirectional marks
// and overrides, zero-width characters, line separators, bytes that are no UTF-8, and the backslash
// itself, so that no two different texts look the same.
std::string Escape(std::string_view text);

// Cells the text takes in a terminal. REQUIRES: `text` came from Escape.
size_t DisplayWidth(std::string_view text);

// At most `cells` wide; what was cut is marked by "…". REQUIRES: `text` came from Escape.
std::string Shorten(std::string_view text, size_t cells);

// A JSON string with its quotes. Bytes that are no UTF-8 become U+FFFD: see IsUtf8.
std::string JsonString(std::string_view text);
bool IsUtf8(std::string_view text);

// Left-aligned columns under upper-case headings. Cells are escaped here. A row may have fewer cells
// than there are headings; its last one may then be longer than its column.
class Table {
 public:
  explicit Table(std::vector<std::string> headings) : rows_{std::move(headings)} {}
  void Add(std::vector<std::string> cells);
  void AddEscaped(std::vector<std::string> cells);
  // Each column as wide as its widest cell; no trailing blanks.
  void Print(std::ostream& out) const;
  size_t rows() const { return rows_.size() - 1; }

 private:
  std::vector<std::vector<std::string>> rows_;
};

// The same for rows that come one by one: fixed widths, and a cell that is wider pushes the rest.
std::string FixedRow(const std::vector<std::string>& cells, const std::vector<size_t>& widths);

// "2026-11-22T22:54:15.000001Z"
std::string TimeText(int64_t time_us);
// "412us", "1.2ms", "3.4s", "2m", "5h", "3d"
std::string SpanText(int64_t span_us);

}  // namespace whence::ctl

#endif  // WHENCE_CONTROLPLANE_CTL_TEXT_H_
