// The name that was probably meant.
#ifndef WHENCE_COMMON_DOCUMENT_EDIT_DISTANCE_H_
#define WHENCE_COMMON_DOCUMENT_EDIT_DISTANCE_H_

#include <string>
#include <string_view>
#include <vector>

namespace whence::document {

// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`, not counting
// case (optimal string alignment).
size_t EditDistance(std::string_view a, std::string_view b);

// The candidate nearest to `written`, if it is near enough to be a slip (a third of its length);
// else empty. Of equally near ones the first.
std::string Nearest(std::string_view written, const std::vector<std::string_view>& candidates);

}  // namespace whence::document

#endif  // WHENCE_COMMON_DOCUMENT_EDIT_DISTANCE_H_
