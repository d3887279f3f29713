#include "common/document/location.h"

#include <charconv>

namespace whence::document {

bool Locations::FindExactly(const std::string& path, Location* out) const {
  if (const auto at = fields_.find(path); at != fields_.end()) {
    *out = at->second;
    return true;
  }
  if (path.empty() || path.back() != ']') return false;
  const size_t bracket = path.rfind('[');
  const auto list = items_.find(path.substr(0, bracket));
  if (bracket == std::string::npos || list == items_.end()) return false;
  size_t index = 0;
  std::from_chars(path.data() + bracket + 1, path.data() + path.size() - 1, index);
  if (index >= list->second.size()) return false;
  *out = list->second[index];
  return true;
}

Location Locations::Find(std::string_view path) const {
  Location found;
  std::string at(path);
  while (!FindExactly(at, &found) && !at.empty()) {
    const size_t cut = at.find_last_of(".[");
    at.resize(cut == std::string::npos ? 0 : cut);
  }
  return found;
}

}  // namespace whence::document
