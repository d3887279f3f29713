// Edits YAML or JSON text in place: what is not edited keeps its order, comments and layout to the
// byte. Block and flow style are both understood.
//
// Pure. The text is parsed again after each edit: manifests are small, and offsets that are kept
// would have to be kept right.
#ifndef WHENCE_COMMON_INJECT_TEXT_EDITOR_H_
#define WHENCE_COMMON_INJECT_TEXT_EDITOR_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/document/text_node.h"
#include "common/inject/edit.h"

namespace whence::inject {

// The tree as a value, plain scalars typed as YAML's core schema (JSON's types) says. Refuses a
// tree that aliases blow up beyond `kMaxValues` values.
inline constexpr int kMaxValues = 200'000;
absl::StatusOr<Json> ToJson(const document::TextNode& node);

// `document` counts the documents of the file from 0. Errors name line and column: what is neither
// there nor editable, such as an explicit null where a mapping is to grow.
absl::Status EditText(size_t document, const Edit& edit, std::string* text);

// The text of the entry at `path`, from its key to the end of its value, without the indentation of
// its key: what kReplaceEntry puts back by `Edit::text`, where that fits. Empty: not there.
std::string EntryText(std::string_view text, size_t document, const Path& path);

}  // namespace whence::inject

#endif  // WHENCE_COMMON_INJECT_TEXT_EDITOR_H_
