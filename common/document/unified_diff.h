// Two texts -> what differs, in the unified form that diff(1), patch and editors know.
//
// Lines that are unique in both texts and in the same order in both are anchors (the "patience"
// way): they are found in O(n log n), which matters for a set of a million ranges, and they keep
// together what a person would. What lies between two anchors is compared line by line if it is
// small, and replaced as a whole if not: the result is always right, but not always the shortest.
//
// Pure.
#ifndef WHENCE_COMMON_DOCUMENT_UNIFIED_DIFF_H_
#define WHENCE_COMMON_DOCUMENT_UNIFIED_DIFF_H_

#include <string>
#include <string_view>

namespace whence::document {

// Empty if the texts are equal. Otherwise "--- BEFORE_NAME", "+++ AFTER_NAME" and the hunks, with
// three lines of context. REQUIRES: each text is empty or ends in a newline.
std::string UnifiedDiff(std::string_view before_name, std::string_view before,
                        std::string_view after_name, std::string_view after);

}  // namespace whence::document

#endif  // WHENCE_COMMON_DOCUMENT_UNIFIED_DIFF_H_
