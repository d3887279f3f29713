// A change to a Kubernetes object, as small as it can be said.
//
// What injection adds is decided once, on values (plan.h), and carried out twice: on an author's
// text, which otherwise stays as it is (text_editor.h), and as JSON Patch for an admission webhook.
#ifndef WHENCE_COMMON_INJECT_EDIT_H_
#define WHENCE_COMMON_INJECT_EDIT_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace whence::inject {

using Json = nlohmann::ordered_json;

// Keys and decimal indices from the object's root.
using Path = std::vector<std::string>;

struct Edit {
  enum class Kind {
    kAddEntry,      // `path` is a mapping: give it key -> value
    kAddItem,       // `path` is a sequence: put value at its front
    kReplaceEntry,  // `path` is an entry: call it key, with this value, at the same place
    kRemove,        // `path` is an entry or an item
  };

  Kind kind;
  Path path;
  std::string key = {};
  Json value = {};
  // kReplaceEntry: the text of the new entry as its author wrote it, if it is known.
  std::string text = {};
};

// RFC 6902. The edits are in the order in which they are carried out.
Json ToJsonPatch(const std::vector<Edit>& edits);

// The value at `path`; null if there is none.
const Json& At(const Json& root, const Path& path);

// `value` if it is an object, else an empty one: what there is to walk over.
const Json& Object(const Json& value);

// Carries out `edits` on a value.
void Apply(const std::vector<Edit>& edits, Json* root);

}  // namespace whence::inject

#endif  // WHENCE_COMMON_INJECT_EDIT_H_
