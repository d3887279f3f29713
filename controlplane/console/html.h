// HTML out of literals and text.
//
// Two rules are built into the type: markup is in the source text (`Markup` can only be made at
// compile time), and everything else passes EscapeHtml on its way in. So no name, path or header of
// a stranger can become a tag.
#ifndef WHENCE_CONTROLPLANE_CONSOLE_HTML_H_
#define WHENCE_CONTROLPLANE_CONSOLE_HTML_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace whence::console {

// Safe between tags and in a quoted attribute: the five characters that mean something there become
// references, controls and bytes that are no UTF-8 become U+FFFD.
std::string EscapeHtml(std::string_view text);

// A piece of HTML that is in the source text.
class Markup {
 public:
  consteval Markup(const char* literal) : text_(literal) {}  // NOLINT: implicit on purpose
  constexpr std::string_view text() const { return text_; }

 private:
  std::string_view text_;
};

struct Row {
  std::vector<std::string> cells;  // fewer than there are headings: the last one takes the rest
  bool is_bad = false;             // worth a look: denied, refused
};

// Builds one page. Thread-compatible.
class Html {
 public:
  // A path may be kilobytes; a page is for reading.
  static constexpr size_t kMaxCells = 120;

  Html& Add(Markup markup);
  // For people: what a browser would hide or reorder is shown, as whencectl does it, and what is
  // wider than `max_cells` is cut.
  Html& Text(std::string_view text, size_t max_cells = kMaxCells);
  // Exactly, for a value between quotes.
  Html& Value(std::string_view text);
  // What was built before.
  Html& Add(const Html& part);
  Html& Table(const std::vector<std::string>& headings, const std::vector<Row>& rows);

  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace whence::console

#endif  // WHENCE_CONTROLPLANE_CONSOLE_HTML_H_
