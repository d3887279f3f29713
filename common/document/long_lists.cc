#include "common/document/long_lists.h"

#include <algorithm>
#include <charconv>

namespace whence::document {
namespace {

constexpr std::string_view kMarker = "whence-list-";
// Shorter ones are not worth the trouble.
constexpr uint32_t kMinLines = 256;

bool IsHex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

}  // namespace

std::optional<std::string_view> LongLists::ItemOf(std::string_view line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  if (line.size() < 3 || line[0] != '-' || line[1] != ' ') return std::nullopt;
  line.remove_prefix(2);
  while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) line.remove_suffix(1);
  // Begins and ends so that it is a plain scalar and no key: no colon at either end. A dot or colon
  // within, so that it is text and no number.
  if (line.empty() || !IsHex(line.front()) || !IsHex(line.back())) return std::nullopt;
  int separators = 0;
  for (const char c : line) {
    if (c == '.' || c == ':') {
      ++separators;
    } else if (!IsHex(c) && c != '/') {
      return std::nullopt;
    }
  }
  if (separators < 2) return std::nullopt;
  return line;
}

LongLists::LongLists(std::string_view content) {
  if (content.find(kMarker) != std::string_view::npos) return;  // could not be told from ours
  size_t copied = 0;                                            // of `content`, into rest_
  size_t start = 0;                                             // of the stretch
  uint32_t count = 0;                                           // lines in it
  size_t indent = 0;                                            // their common margin
  uint32_t line_number = 1;
  const auto end_stretch = [&](size_t end) {
    if (count >= kMinLines) {
      rest_.append(content.substr(copied, start - copied));
      TakeOut(content.substr(start, end - start), line_number - count, count);
      copied = end;
    }
    count = 0;
  };
  size_t at = 0;
  for (; at < content.size(); ++line_number) {
    const size_t line_end = std::min(content.find('\n', at), content.size());
    const std::string_view line = content.substr(at, line_end - at);
    const bool is_item = ItemOf(line).has_value();
    const size_t margin = is_item ? line.find('-') : 0;
    if (count > 0 && (!is_item || margin != indent)) end_stretch(at);
    if (is_item) {
      if (count++ == 0) {
        start = at;
        indent = margin;
      }
    }
    at = std::min(line_end + 1, content.size());
  }
  end_stretch(content.size());
  if (!lists_.empty()) rest_.append(content.substr(copied));
}

void LongLists::TakeOut(std::string_view lines, uint32_t first_line, uint32_t count) {
  const size_t margin = lines.find('-');
  lists_.push_back({lines, first_line, static_cast<uint32_t>(margin + 3)});
  rest_.append(margin, ' ');
  rest_.append("- ").append(Marker(lists_.size() - 1));
  rest_.append(count, '\n');
}

std::string LongLists::Marker(size_t index) const {
  // A mark behind the number too, or list 1 would be found in list 12.
  return std::string(kMarker) + std::to_string(index) + "-";
}

std::optional<size_t> LongLists::Find(std::string_view scalar) const {
  if (lists_.empty()) return std::nullopt;
  const size_t at = scalar.find(kMarker);
  if (at == std::string_view::npos) return std::nullopt;
  size_t index = 0;
  const char* digits = scalar.data() + at + kMarker.size();
  std::from_chars(digits, scalar.data() + scalar.size(), index);
  return index;
}

}  // namespace whence::document
