// YAML or JSON text as a tree, before any schema.
//
// yaml-cpp is used as a parser of events only. Its own tree would hide what we must report: keys
// given twice, and where each key stands. An alias is a pointer to the anchored node, not a copy,
// so the tree is never larger than the text; who walks it must bound how often it walks (see
// Decoder).
#ifndef WHENCE_COMMON_DOCUMENT_TEXT_NODE_H_
#define WHENCE_COMMON_DOCUMENT_TEXT_NODE_H_

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "common/document/location.h"

namespace whence::document {

struct TextNode {
  enum class Kind { kNull, kScalar, kSequence, kMapping };
  // A mapping's entry, or a sequence's item, which has no key.
  struct Child {
    const TextNode* key = nullptr;
    const TextNode* value = nullptr;
  };

  Kind kind = Kind::kNull;
  Location at;
  std::string text;     // kScalar
  bool quoted = false;  // kScalar: surely text; a plain 80 is a number
  std::vector<Child> children;
};

// The value of `key` in a mapping; null: absent or no mapping. Of equal keys the first.
const TextNode* FindChild(const TextNode& mapping, std::string_view key);

// All documents of a file. Owns its nodes. If the text is broken, the documents before the break
// are there all the same, and `error` says what is wrong and where.
struct TextFile {
  std::deque<TextNode> nodes;
  std::vector<const TextNode*> documents;
  std::string error;  // empty: none
  Location error_at;
};

// Nesting beyond this is refused: no document of ours comes near it, and every walk is recursive.
inline constexpr int kMaxNesting = 64;

// kPlain: an explicit tag is an error unless it says what the node is anyway, as in !!int 5. Any
// other would mean something else than the text: !!binary YS5jb20= is the host a.com.
enum class Tags { kAny, kPlain };

// Never fails otherwise than by `error`. Does not throw.
TextFile ParseText(std::string_view content, Tags tags = Tags::kAny);

}  // namespace whence::document

#endif  // WHENCE_COMMON_DOCUMENT_TEXT_NODE_H_
