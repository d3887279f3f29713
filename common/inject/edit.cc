#include "common/inject/edit.h"

#include <cstdlib>

namespace whence::inject {
namespace {

// RFC 6901: ~ and / inside a key.
std::string Pointer(const Path& path, std::string_view last = {}, bool has_last = false) {
  std::string out;
  auto add = [&out](std::string_view key) {
    out += '/';
    for (const char c : key) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  };
  for (const std::string& key : path) add(key);
  if (has_last) add(last);
  return out;
}

Path Parent(Path path) {
  path.pop_back();
  return path;
}

Json* Find(Json* node, const Path& path) {
  for (const std::string& key : path) {
    if (node->is_array()) {
      const size_t index = std::strtoul(key.c_str(), nullptr, 10);
      if (index >= node->size()) return nullptr;
      node = &(*node)[index];
    } else {
      const auto found = node->find(key);
      if (found == node->end()) return nullptr;
      node = &*found;
    }
  }
  return node;
}

// An ordered object keeps its order: the new entry takes the old one's place.
void ReplaceEntry(Json* mapping, const std::string& old_key, const Edit& edit) {
  Json replaced = Json::object();
  for (auto& [key, value] : mapping->items()) {
    if (key == old_key) {
      replaced[edit.key] = edit.value;
    } else {
      replaced[key] = value;
    }
  }
  *mapping = std::move(replaced);
}

}  // namespace

Json ToJsonPatch(const std::vector<Edit>& edits) {
  Json patch = Json::array();
  for (const Edit& edit : edits) {
    switch (edit.kind) {
      case Edit::Kind::kAddEntry:
        patch.push_back(
            {{"op", "add"}, {"path", Pointer(edit.path, edit.key, true)}, {"value", edit.value}});
        break;
      case Edit::Kind::kAddItem:
        patch.push_back(
            {{"op", "add"}, {"path", Pointer(edit.path, "0", true)}, {"value", edit.value}});
        break;
      case Edit::Kind::kReplaceEntry:
        patch.push_back({{"op", "remove"}, {"path", Pointer(edit.path)}});
        patch.push_back({{"op", "add"},
                         {"path", Pointer(Parent(edit.path), edit.key, true)},
                         {"value", edit.value}});
        break;
      case Edit::Kind::kRemove:
        patch.push_back({{"op", "remove"}, {"path", Pointer(edit.path)}});
        break;
    }
  }
  return patch;
}

const Json& At(const Json& root, const Path& path) {
  static const Json kNothing = nullptr;
  const Json* node = Find(const_cast<Json*>(&root), path);  // Find changes nothing
  return node == nullptr ? kNothing : *node;
}

const Json& Object(const Json& value) {
  static const Json kEmpty = Json::object();
  return value.is_object() ? value : kEmpty;
}

void Apply(const std::vector<Edit>& edits, Json* root) {
  for (const Edit& edit : edits) {
    const bool inside = edit.kind == Edit::Kind::kAddEntry || edit.kind == Edit::Kind::kAddItem;
    Json* const node = Find(root, inside ? edit.path : Parent(edit.path));
    if (node == nullptr) continue;
    switch (edit.kind) {
      case Edit::Kind::kAddEntry:
        (*node)[edit.key] = edit.value;
        break;
      case Edit::Kind::kAddItem:
        node->insert(node->begin(), edit.value);
        break;
      case Edit::Kind::kReplaceEntry:
        ReplaceEntry(node, edit.path.back(), edit);
        break;
      case Edit::Kind::kRemove:
        if (node->is_array()) {
          node->erase(std::strtoul(edit.path.back().c_str(), nullptr, 10));
        } else {
          node->erase(edit.path.back());
        }
        break;
    }
  }
}

}  // namespace whence::inject
