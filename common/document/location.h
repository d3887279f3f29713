// Where in a file each field of a document was written.
#ifndef WHENCE_COMMON_DOCUMENT_LOCATION_H_
#define WHENCE_COMMON_DOCUMENT_LOCATION_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace whence::document {

// From 1, as editors count; 0: unknown.
struct Location {
  uint32_t line = 0;
  uint32_t column = 0;
};

// Field path ("spec.rules[0].from") -> place. List items are kept as a plain vector per list: an
// IpSet may have a million of them.
class Locations {
 public:
  void Set(std::string path, Location location) { fields_[std::move(path)] = location; }
  void AddItem(const std::string& list_path, Location location) {
    items_[list_path].push_back(location);
  }

  // The place of the field, or of the nearest enclosing one that was written: a missing field is
  // reported where it is missing.
  Location Find(std::string_view path) const;

 private:
  bool FindExactly(const std::string& path, Location* out) const;

  std::map<std::string, Location> fields_;
  std::map<std::string, std::vector<Location>> items_;
};

}  // namespace whence::document

#endif  // WHENCE_COMMON_DOCUMENT_LOCATION_H_
