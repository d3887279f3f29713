#include "common/inject/text_editor.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "common/inject/yaml_text.h"

namespace whence::inject {
namespace {

using document::TextNode;
using Kind = document::TextNode::Kind;

// Where a node hangs.
struct Place {
  const TextNode* node = nullptr;
  const TextNode* key = nullptr;     // null: an item, or the root
  const TextNode* parent = nullptr;  // null: the root
};

struct Range {
  size_t begin;
  size_t end;
};

// One parse of the text, and questions about its layout. Offsets are bytes, columns count from 0.
class Layout {
 public:
  Layout(std::string_view text, size_t document) : text_(text), file_(document::ParseText(text)) {
    line_starts_ = {0};
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\n') line_starts_.push_back(i + 1);
    }
    if (file_.error.empty() && document < file_.documents.size()) root_ = file_.documents[document];
  }

  std::optional<Place> Find(const Path& path) const {
    Place place{root_, nullptr, nullptr};
    for (const std::string& step : path) {
      if (place.node == nullptr) return std::nullopt;
      const TextNode* const parent = place.node;
      place = {nullptr, nullptr, parent};
      if (parent->kind == Kind::kSequence) {
        const size_t index = std::strtoul(step.c_str(), nullptr, 10);
        if (index < parent->children.size()) place.node = parent->children[index].value;
        continue;
      }
      for (const TextNode::Child& child : parent->children) {
        if (child.key != nullptr && child.key->text == step) {
          place.node = child.value;
          place.key = child.key;
          break;
        }
      }
    }
    if (place.node == nullptr) return std::nullopt;
    return place;
  }

  size_t Offset(const TextNode& node) const {
    if (node.at.line == 0 || node.at.line > line_starts_.size()) return text_.size();
    return std::min(line_starts_[node.at.line - 1] + node.at.column - 1, text_.size());
  }
  char CharAt(const TextNode& node) const {
    const size_t offset = Offset(node);
    return offset < text_.size() ? text_[offset] : '\0';
  }
  size_t Line(size_t offset) const {
    return std::upper_bound(line_starts_.begin(), line_starts_.end(), offset) -
           line_starts_.begin() - 1;
  }
  size_t LineStart(size_t line) const {
    return line < line_starts_.size() ? line_starts_[line] : text_.size();
  }
  size_t Column(size_t offset) const { return offset - LineStart(Line(offset)); }
  bool IsFlow(const TextNode& node) const { return CharAt(node) == '{' || CharAt(node) == '['; }
  bool IsFirstOnLine(size_t offset) const {
    const size_t start = LineStart(Line(offset));
    return text_.substr(start, offset - start).find_first_not_of(' ') == std::string_view::npos;
  }

  // The '-' before an item in block style.
  size_t Dash(const TextNode& item) const {
    size_t offset = Offset(item);
    while (offset > 0 && text_[offset] != '-' && text_[offset] != '\n') --offset;
    return offset;
  }

  // From the key to the end of the value; a value in block style ends before the line's end.
  Range Entry(const Place& place) const {
    const size_t begin = Offset(*place.key);
    return {begin, ValueEnd(place, begin)};
  }

  // Of an item: without its dash.
  Range Item(const Place& place) const {
    const size_t begin = Offset(*place.node);
    return {begin, ValueEnd(place, IsFlow(*place.parent) ? begin : Dash(*place.node))};
  }

  // What follows the key on its line is a comment at most.
  bool IsAloneOnLine(const TextNode& key) const {
    size_t at = Offset(key);
    while (at < text_.size() && text_[at] != ':' && text_[at] != '\n') ++at;
    const size_t end = std::min(text_.find('\n', at), text_.size());
    const std::string_view rest = text_.substr(at + 1, end - std::min(end, at + 1));
    const size_t word = rest.find_first_not_of(" \r");
    return word == std::string_view::npos || rest[word] == '#';
  }

 private:
  // `anchor`: where the line of the key or dash that the value hangs from begins to count.
  size_t ValueEnd(const Place& place, size_t anchor) const {
    const TextNode& value = *place.node;
    const size_t begin = Offset(value);
    switch (CharAt(value)) {
      case '{':
      case '[':
        return FlowEnd(begin);
      case '"':
      case '\'':
        return QuoteEnd(begin) + 1;
      default:
        break;
    }
    if (value.kind == Kind::kNull && (place.key == nullptr || IsAloneOnLine(*place.key))) {
      return std::min(text_.find_first_of(":\n", anchor) + 1, text_.size());
    }
    if (value.kind != Kind::kMapping && value.kind != Kind::kSequence &&
        text_.substr(begin, value.text.size()) == std::string_view(value.text)) {
      return begin + value.text.size();  // a plain scalar on one line
    }
    return BlockEnd(anchor, value.kind);
  }

  size_t QuoteEnd(size_t begin) const {
    const char quote = text_[begin];
    for (size_t i = begin + 1; i < text_.size(); ++i) {
      if (quote == '"' && text_[i] == '\\')
        ++i;
      else if (text_[i] == quote && quote == '\'' && i + 1 < text_.size() && text_[i + 1] == '\'')
        ++i;
      else if (text_[i] == quote)
        return i;
    }
    return text_.size() - 1;
  }

  size_t FlowEnd(size_t begin) const {
    int depth = 0;
    for (size_t i = begin; i < text_.size(); ++i) {
      const char c = text_[i];
      if (c == '#' && i > 0 && (text_[i - 1] == ' ' || text_[i - 1] == '\n')) {
        i = std::min(text_.find('\n', i), text_.size()) - 1;  // a comment
      } else if (c == '"' || (c == '\'' && StartsToken(i))) {
        i = QuoteEnd(i);
      } else if (c == '{' || c == '[') {
        ++depth;
      } else if ((c == '}' || c == ']') && --depth == 0) {
        return i + 1;
      }
    }
    return text_.size();
  }

  // An apostrophe inside a plain scalar is a letter.
  bool StartsToken(size_t at) const {
    const size_t before = text_.find_last_not_of(" \n\r", at - 1);
    return before != std::string_view::npos &&
           std::string_view("{[,:").find(text_[before]) != std::string_view::npos;
  }

  // The end of the last line that is indented deeper than `anchor`. A block sequence may stand as
  // deep as its key.
  size_t BlockEnd(size_t anchor, Kind kind) const {
    const size_t column = Column(anchor);
    size_t last = Line(anchor);
    for (size_t line = last + 1; line < line_starts_.size(); ++line) {
      const size_t end = std::min(text_.find('\n', LineStart(line)), text_.size());
      const std::string_view words = text_.substr(LineStart(line), end - LineStart(line));
      const size_t indent = words.find_first_not_of(" \r");
      if (indent == std::string_view::npos) continue;
      if (words[indent] == '#' && (kind != Kind::kScalar || indent <= column)) continue;
      const bool is_own_item = kind == Kind::kSequence && indent == column &&
                               words[indent] == '-' &&
                               (indent + 1 == words.size() || words[indent + 1] == ' ');
      if (indent <= column && !is_own_item) break;
      last = line;
    }
    size_t end = std::min(text_.find('\n', LineStart(last)), text_.size());
    if (end > 0 && text_[end - 1] == '\r') --end;
    return end;
  }

  const std::string_view text_;
  const document::TextFile file_;
  const TextNode* root_ = nullptr;
  std::vector<size_t> line_starts_;
};

absl::Status Refused(const TextNode& node, std::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat(node.at.line, ":", node.at.column, ": ", ToAbsl(why)));
}

// The lines of `block` after the first are indented by `indent` more.
std::string Indent(std::string_view block, size_t indent) {
  std::string out;
  for (const char c : block) {
    out += c;
    if (c == '\n') out.append(indent, ' ');
  }
  return out;
}

absl::Status AddEntry(const Layout& layout, const Place& place, const Edit& edit,
                      std::string* text) {
  const TextNode& mapping = *place.node;
  if (layout.IsFlow(mapping)) {
    const std::string end = mapping.children.empty() ? "" : ", ";
    text->insert(layout.Offset(mapping) + 1, FlowEntry(edit.key, edit.value) + end);
    return absl::OkStatus();
  }
  if (mapping.kind == Kind::kNull && place.key != nullptr && layout.IsAloneOnLine(*place.key)) {
    const size_t key = layout.Offset(*place.key);
    text->insert(layout.LineStart(layout.Line(key) + 1),
                 BlockEntry(edit.key, edit.value, layout.Column(key) + 2));
    return absl::OkStatus();
  }
  if (mapping.kind != Kind::kMapping || mapping.children.empty()) {
    return Refused(mapping, absl::StrCat("should be a mapping, to hold ", edit.key));
  }
  const size_t first = layout.Offset(*mapping.children[0].key);
  const size_t column = layout.Column(first);
  const std::string entry = BlockEntry(edit.key, edit.value, column);
  if (layout.IsFirstOnLine(first)) {
    text->insert(first - column, entry);
  } else {  // "- first: …": the new one takes its place behind the dash
    text->insert(first, entry.substr(column) + std::string(column, ' '));
  }
  return absl::OkStatus();
}

absl::Status AddItem(const Layout& layout, const Place& place, const Edit& edit,
                     std::string* text) {
  const TextNode& sequence = *place.node;
  if (layout.IsFlow(sequence)) {
    const std::string end = sequence.children.empty() ? "" : ", ";
    text->insert(layout.Offset(sequence) + 1, edit.value.dump() + end);
    return absl::OkStatus();
  }
  if (sequence.kind == Kind::kNull && place.key != nullptr && layout.IsAloneOnLine(*place.key)) {
    const size_t key = layout.Offset(*place.key);
    text->insert(layout.LineStart(layout.Line(key) + 1), BlockItem(edit.value, layout.Column(key)));
    return absl::OkStatus();
  }
  if (sequence.kind != Kind::kSequence || sequence.children.empty()) {
    return Refused(sequence, "should be a list");
  }
  const size_t dash = layout.Dash(*sequence.children[0].value);
  if (!layout.IsFirstOnLine(dash)) return Refused(sequence, "a list inside a list's line");
  text->insert(dash - layout.Column(dash), BlockItem(edit.value, layout.Column(dash)));
  return absl::OkStatus();
}

absl::Status ReplaceEntry(const Layout& layout, const Place& place, const Edit& edit,
                          std::string* text) {
  const Range range = layout.Entry(place);
  const size_t column = layout.Column(range.begin);
  std::string entry;
  if (layout.IsFlow(*place.parent)) {
    // JSON stays JSON, and lines mean something in block style only.
    const bool is_json = layout.CharAt(*place.key) == '"';
    const bool fits = !edit.text.empty() && edit.text.find('\n') == std::string::npos &&
                      is_json == (edit.text[0] == '"');
    entry = fits      ? edit.text
            : is_json ? FlowEntry(edit.key, edit.value)
                      : absl::StrCat(edit.key, ": ", edit.value.dump());
  } else if (!edit.text.empty()) {
    entry = Indent(edit.text, column);
  } else {
    entry = absl::StrCat(edit.key, ": ", edit.value.dump());
  }
  text->replace(range.begin, range.end - range.begin, entry);
  return absl::OkStatus();
}

// Out of "a, b, c".
void RemoveFromFlow(Range range, std::string* text) {
  const size_t next = text->find_first_not_of(" \r\n", range.end);
  if (next != std::string::npos && (*text)[next] == ',') {
    range.end = next + 1;
    if (range.end < text->size() && (*text)[range.end] == ' ') ++range.end;
  } else {
    const size_t before = text->find_last_not_of(" \r\n", range.begin - 1);
    if (before != std::string::npos && (*text)[before] == ',') range.begin = before;
  }
  text->erase(range.begin, range.end - range.begin);
}

absl::Status Remove(const Layout& layout, const Place& place, std::string* text) {
  const Range range = place.key != nullptr ? layout.Entry(place) : layout.Item(place);
  if (layout.IsFlow(*place.parent)) {
    RemoveFromFlow(range, text);
    return absl::OkStatus();
  }
  const size_t begin = place.key != nullptr ? range.begin : layout.Dash(*place.node);
  const size_t line = layout.LineStart(layout.Line(begin));
  const size_t end = std::min(layout.LineStart(layout.Line(range.end) + 1), text->size());
  if (layout.IsFirstOnLine(begin)) {
    text->erase(line, end - line);
    return absl::OkStatus();
  }
  // "- first: …": the next entry takes its place behind the dash.
  const size_t column = layout.Column(begin);
  if (place.parent->children.size() < 2) return Refused(*place.node, "alone in its list's item");
  text->erase(begin, end + column - begin);
  return absl::OkStatus();
}

absl::Status EditOnce(const Layout& layout, const Place& place, const Edit& edit,
                      std::string* text) {
  switch (edit.kind) {
    case Edit::Kind::kAddEntry:
      return AddEntry(layout, place, edit, text);
    case Edit::Kind::kAddItem:
      return AddItem(layout, place, edit, text);
    case Edit::Kind::kReplaceEntry:
      return ReplaceEntry(layout, place, edit, text);
    case Edit::Kind::kRemove:
      return Remove(layout, place, text);
  }
  return absl::OkStatus();
}

// JSON's grammar for numbers, which is the one that Kubernetes reads.
Json PlainScalar(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") {
    return nullptr;
  }
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  int64_t whole = 0;
  const char* const end = text.data() + text.size();
  const char* const digits = text.data() + (text[0] == '+' ? 1 : 0);
  if (const auto read = std::from_chars(digits, end, whole);
      read.ec == std::errc() && read.ptr == end) {
    return whole;
  }
  const bool begins_number = (text[0] >= '0' && text[0] <= '9') || text[0] == '-' || text[0] == '.';
  double fraction = 0;
  if (const auto read = std::from_chars(text.data(), end, fraction);
      begins_number && read.ec == std::errc() && read.ptr == end && std::isfinite(fraction)) {
    return fraction;
  }
  return text;
}

absl::Status Convert(const TextNode& node, int* budget, Json* out) {
  if (--*budget < 0) return Refused(node, "too large a document");
  absl::Status status;
  switch (node.kind) {
    case Kind::kNull:
      *out = nullptr;
      break;
    case Kind::kScalar:
      *out = node.quoted ? Json(node.text) : PlainScalar(node.text);
      break;
    case Kind::kSequence:
      *out = Json::array();
      for (const TextNode::Child& child : node.children) {
        if (status.ok()) status = Convert(*child.value, budget, &out->emplace_back());
      }
      break;
    case Kind::kMapping:
      *out = Json::object();
      for (const TextNode::Child& child : node.children) {
        if (!status.ok()) break;
        if (child.key->kind != Kind::kScalar) return Refused(*child.key, "a key is a word");
        if (out->contains(child.key->text)) {
          return Refused(*child.key, absl::StrCat("\"", child.key->text, "\" is given twice"));
        }
        status = Convert(*child.value, budget, &(*out)[child.key->text]);
      }
      break;
  }
  return status;
}

}  // namespace

absl::StatusOr<Json> ToJson(const TextNode& node) {
  int budget = kMaxValues;
  Json out;
  if (absl::Status status = Convert(node, &budget, &out); !status.ok()) return status;
  return out;
}

absl::Status EditText(size_t document, const Edit& edit, std::string* text) {
  const Layout layout(*text, document);
  const std::optional<Place> place = layout.Find(edit.path);
  if (!place) {
    return absl::InvalidArgumentError(
        absl::StrCat("there is no ", edit.path.empty() ? "document" : edit.path.back()));
  }
  const bool has_carriage_returns = text->find("\r\n") != std::string::npos;
  std::string edited = *text;
  absl::Status status = EditOnce(layout, *place, edit, &edited);
  if (!status.ok()) return status;
  if (has_carriage_returns) {
    std::string with_returns;
    for (const char c : edited) {
      if (c == '\n' && (with_returns.empty() || with_returns.back() != '\r')) with_returns += '\r';
      with_returns += c;
    }
    edited = std::move(with_returns);
  }
  *text = std::move(edited);
  return absl::OkStatus();
}

std::string EntryText(std::string_view text, size_t document, const Path& path) {
  const Layout layout(text, document);
  const std::optional<Place> place = layout.Find(path);
  if (!place || place->key == nullptr) return "";
  const Range range = layout.Entry(*place);
  const size_t column = layout.Column(range.begin);
  std::string out;
  size_t skip = 0;
  for (const char c : text.substr(range.begin, range.end - range.begin)) {
    if (skip > 0 && c == ' ') {
      --skip;
      continue;
    }
    skip = c == '\n' ? column : 0;
    if (c != '\r') out += c;
  }
  return out;
}

}  // namespace whence::inject
