#include "common/document/text_node.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "common/base/utf8.h"
#include "common/document/decoder.h"
#include "common/document/long_lists.h"

namespace whence::document {
namespace {

Location ToLocation(const YAML::Mark& mark) {
  if (mark.is_null()) return {};
  return {static_cast<uint32_t>(mark.line + 1), static_cast<uint32_t>(mark.column + 1)};
}

constexpr std::string_view kYamlTags = "tag:yaml.org,2002:";

// Of a node with this tag of YAML's own ("int"); nullopt: a tag that no document of ours needs.
std::optional<bool> FitsTag(std::string_view tag, const TextNode& node) {
  using Kind = TextNode::Kind;
  const bool is_scalar = node.kind == Kind::kScalar;
  const PlainType type = TypeOfPlain(node.text);
  if (tag == "map") return node.kind == Kind::kMapping;
  if (tag == "seq") return node.kind == Kind::kSequence;
  if (tag == "str") return is_scalar;
  if (tag == "null") return is_scalar && type == PlainType::kNull;
  if (tag == "bool") return is_scalar && type == PlainType::kBool;
  if (tag == "float") return is_scalar && type == PlainType::kNumber;
  if (tag == "int") {
    const bool is_fraction = node.text.find_first_of(".eEnN") != node.text.npos;
    return is_scalar && type == PlainType::kNumber && !is_fraction;
  }
  return std::nullopt;
}

// Builds the tree from parser events.
class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(TextFile* file, const LongLists* lists, Tags tags)
      : file_(file), lists_(*lists), tags_(tags) {}

  // False: the lists that were taken out are not lists where they stood.
  bool placed_all_lists() const { return !misplaced_ && placed_ == lists_.size(); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    // yaml-cpp makes an empty document of a token that can begin none, such as a lone "]", and
    // does not step over it: there would be no end of documents.
    if (mark.pos == last_start_) Fail(mark, "not valid YAML: nothing can begin so");
    last_start_ = mark.pos;
    open_.clear();
    anchors_.clear();
    root_ = nullptr;
  }
  void OnDocumentEnd() override {
    // Parsing ends with the first fault, so it was in this document.
    if (root_ != nullptr && !failed()) file_->documents.push_back(root_);
  }

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Add(NewNode(TextNode::Kind::kNull, mark, anchor));
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (const std::optional<size_t> list = lists_.Find(value))
      return Place(*list, tag, anchor, value);
    // yaml-cpp gives "?" to plain scalars and "!" to quoted ones.
    TextNode* node = NewNode(TextNode::Kind::kScalar, mark, anchor);
    node->text = value;
    node->quoted = tag == "!" || tag == "tag:yaml.org,2002:str";
    CheckTag(mark, tag, *node);
    Add(node);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    const bool is_open = found != anchors_.end() &&
                         std::any_of(open_.begin(), open_.end(),
                                     [&](const Open& open) { return open.node == found->second; });
    if (found == anchors_.end() || is_open) {
      Fail(mark, "the alias refers to a node that contains it");
      Add(NewNode(TextNode::Kind::kNull, mark, 0));
      return;
    }
    Add(found->second);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Begin(TextNode::Kind::kSequence, mark, tag, anchor);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Begin(TextNode::Kind::kMapping, mark, tag, anchor);
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapEnd() override { open_.pop_back(); }

  bool failed() const { return !file_->error.empty(); }

 private:
  struct Open {
    TextNode* node;
    const TextNode* key;  // in a mapping: read, and waiting for its value
  };

  TextNode* NewNode(TextNode::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    TextNode* node = &file_->nodes.emplace_back();
    node->kind = kind;
    node->at = ToLocation(mark);
    if (anchor != 0) anchors_[anchor] = node;
    return node;
  }

  void CheckTag(const YAML::Mark& mark, const std::string& tag, const TextNode& node) {
    if (tags_ == Tags::kAny || tag.empty() || tag == "?" || tag == "!") return;
    const bool is_yamls = tag.rfind(kYamlTags, 0) == 0;
    const std::string name = is_yamls ? tag.substr(kYamlTags.size()) : tag;
    const std::optional<bool> fits = is_yamls ? FitsTag(name, node) : std::nullopt;
    if (!fits) {
      Fail(mark,
           "the YAML tag " + ((is_yamls ? "!!" : "") + name) + " has no meaning here; remove it");
    } else if (!*fits) {
      Fail(mark, "the YAML tag !!" + name + " does not fit what it is given to; remove it");
    }
  }

  // Puts the items of a list back where its marker stands.
  void Place(size_t index, const std::string& tag, YAML::anchor_t anchor,
             const std::string& value) {
    const bool is_item = !open_.empty() && open_.back().node->kind == TextNode::Kind::kSequence;
    // In their order, each once, and nothing else in the scalar: else it is part of some text.
    if (!is_item || tag != "?" || anchor != 0 || index != placed_ ||
        value != lists_.Marker(index)) {
      misplaced_ = true;
      return Add(NewNode(TextNode::Kind::kNull, YAML::Mark(), 0));
    }
    ++placed_;
    lists_.ForEachItem(index, [this](Location at, std::string_view text) {
      TextNode* node = &file_->nodes.emplace_back();
      node->kind = TextNode::Kind::kScalar;
      node->at = at;
      node->text = text;
      Add(node);
    });
  }

  void Begin(TextNode::Kind kind, const YAML::Mark& mark, const std::string& tag,
             YAML::anchor_t anchor) {
    TextNode* node = NewNode(kind, mark, anchor);
    CheckTag(mark, tag, *node);
    Add(node);
    open_.push_back({node, nullptr});
    if (open_.size() > static_cast<size_t>(kMaxNesting)) {
      Fail(mark, "nested deeper than " + std::to_string(kMaxNesting) + " levels");
    }
  }

  void Add(const TextNode* node) {
    if (open_.empty()) {
      root_ = node;
      return;
    }
    Open& parent = open_.back();
    if (parent.node->kind == TextNode::Kind::kSequence) {
      parent.node->children.push_back({nullptr, node});
    } else if (parent.key == nullptr) {
      parent.key = node;
    } else {
      parent.node->children.push_back({parent.key, node});
      parent.key = nullptr;
    }
  }

  // The parser cannot be stopped from here without throwing; the first fault is kept.
  void Fail(const YAML::Mark& mark, std::string message) {
    if (failed()) return;
    file_->error = std::move(message);
    file_->error_at = ToLocation(mark);
  }

  TextFile* file_;
  const LongLists& lists_;
  const Tags tags_;
  size_t placed_ = 0;
  bool misplaced_ = false;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, const TextNode*> anchors_;
  const TextNode* root_ = nullptr;
  int last_start_ = -1;
};

// Columns count bytes: before the fault they are what an editor's column is, or near it.
Location LocationOf(std::string_view content, size_t offset) {
  const std::string_view before = content.substr(0, offset);
  const size_t line_end = before.rfind('\n');
  const size_t line_start = line_end == before.npos ? 0 : line_end + 1;
  return {static_cast<uint32_t>(std::count(before.begin(), before.end(), '\n') + 1),
          static_cast<uint32_t>(offset - line_start + 1)};
}

// The code unit of the escape \uXXXX that `text` begins with; nullopt: it begins otherwise.
std::optional<uint32_t> EscapedUnit(std::string_view text) {
  if (text.substr(0, 2) != "\\u" || text.size() < 6) return std::nullopt;
  uint32_t unit = 0;
  const auto parsed = std::from_chars(text.data() + 2, text.data() + 6, unit, 16);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + 6) return std::nullopt;
  return unit;
}

// JSON escapes a character beyond U+FFFF as two surrogates, which YAML (and yaml-cpp) refuses; YAML
// has \UXXXXXXXX for it. Only in double-quoted text: elsewhere a backslash is a backslash. Moves
// what follows in the line two columns to the left.
std::string JoinSurrogates(std::string_view text) {
  std::string joined;
  joined.reserve(text.size());
  char quote = 0;   // of the text that we are in
  char before = 0;  // the last character that is no blank: quotes begin behind these only
  for (size_t i = 0; i < text.size();) {
    const std::string_view rest = text.substr(i);
    const auto high = quote == '"' ? EscapedUnit(rest) : std::nullopt;
    const auto low = high ? EscapedUnit(rest.substr(6)) : std::nullopt;
    if (low && *high >= 0xd800 && *high < 0xdc00 && *low >= 0xdc00 && *low < 0xe000) {
      const uint32_t point = 0x10000 + ((*high - 0xd800) << 10) + (*low - 0xdc00);
      absl::StrAppend(&joined, "\\U", absl::Hex(point, absl::kZeroPad8));
      i += 12;
      continue;
    }
    const size_t step = quote == '"' && rest[0] == '\\' && rest.size() > 1 ? 2 : 1;
    const char c = rest[0];
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if ((c == '"' || c == '\'') && std::string_view("{[,:").find(before) != text.npos) {
      quote = c;
    }
    if (c != ' ' && c != '\r' && c != '\n') before = c;
    joined.append(rest.substr(0, step));
    i += step;
  }
  return joined;
}

// JSON in YAML's terms. It allows tabs between tokens, YAML (and yaml-cpp) not everywhere. One blank
// for a tab keeps columns. Tabs inside JSON strings are illegal anyway, so nothing else can change.
std::string JsonAsYaml(std::string_view content) {
  std::string text(content);
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos || (text[first] != '{' && text[first] != '[')) return text;
  std::replace(text.begin(), text.end(), '\t', ' ');
  return text.find("\\u") != std::string::npos ? JoinSurrogates(text) : text;
}

}  // namespace

const TextNode* FindChild(const TextNode& mapping, std::string_view key) {
  if (mapping.kind != TextNode::Kind::kMapping) return nullptr;
  for (const TextNode::Child& child : mapping.children) {
    if (child.key->kind == TextNode::Kind::kScalar && child.key->text == key) return child.value;
  }
  return nullptr;
}

namespace {

// False: `lists` cannot be put back; parse without.
bool ParseWith(const LongLists& lists, std::string text, Tags tags, TextFile* file) {
  TreeBuilder builder(file, &lists, tags);
  // The border to a library that throws.
  try {
    std::istringstream stream(std::move(text));
    YAML::Parser parser(stream);
    while (!builder.failed() && parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    if (file->error.empty()) {
      file->error = "not valid YAML: " + error.msg;
      file->error_at = ToLocation(error.mark);
    }
  } catch (const std::exception& error) {
    file->error = std::string("not valid YAML: ") + error.what();
  }
  return lists.size() == 0 || (builder.placed_all_lists() && file->error.empty());
}

}  // namespace

TextFile ParseText(std::string_view content, Tags tags) {
  TextFile file;
  // Its texts go into messages, which can hold nothing else.
  if (const size_t valid = ValidUtf8Size(content); valid != content.size()) {
    file.error = "not UTF-8: save the file in that encoding";
    file.error_at = LocationOf(content, valid);
    return file;
  }
  LongLists lists(content);
  if (lists.size() > 0) {
    if (ParseWith(lists, lists.TakeRest(), tags, &file)) return file;
    file = TextFile();
  }
  ParseWith(LongLists(), JsonAsYaml(content), tags, &file);
  return file;
}

}  // namespace whence::document
