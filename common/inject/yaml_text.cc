#include "common/inject/yaml_text.h"

#include <algorithm>

namespace whence::inject {
namespace {

// Text that no YAML reader takes for a number, a boolean, a date or syntax.
bool IsPlain(std::string_view text) {
  auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  auto is_safe = [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '/';
  };
  if (text.empty() || !(is_letter(text[0]) || text[0] == '/')) return false;
  if (!std::all_of(text.begin(), text.end(), is_safe)) return false;
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  for (const char* word : {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}) {
    if (lower == word) return false;
  }
  return true;
}

std::string Scalar(const Json& value) {
  if (value.is_string() && IsPlain(value.get_ref<const std::string&>())) return value;
  return value.dump();
}

bool IsInline(const Json& value) { return !value.is_structured() || value.empty(); }

std::string Lines(const Json& value, size_t indent) {
  std::string out;
  if (value.is_array()) {
    for (const Json& item : value) out += BlockItem(item, indent);
  } else {
    for (const auto& [key, member] : value.items()) out += BlockEntry(key, member, indent);
  }
  return out;
}

}  // namespace

std::string BlockEntry(std::string_view key, const Json& value, size_t indent) {
  std::string out = std::string(indent, ' ') + Scalar(Json(std::string(key))) + ":";
  if (IsInline(value)) return out + " " + Scalar(value) + "\n";
  // A sequence stands as deep as its key, as kubectl prints it.
  return out + "\n" + Lines(value, value.is_array() ? indent : indent + 2);
}

std::string BlockItem(const Json& value, size_t indent) {
  if (IsInline(value)) return std::string(indent, ' ') + "- " + Scalar(value) + "\n";
  std::string lines = Lines(value, indent + 2);
  lines[indent] = '-';
  return lines;
}

std::string FlowEntry(std::string_view key, const Json& value) {
  return Json(std::string(key)).dump() + ": " + value.dump();
}

}  // namespace whence::inject
