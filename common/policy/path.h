// The path that policies see: normalised, so that /admin cannot be asked for by another name.
//
// A policy matches text, a server opens files; between them /./admin, /x/..//admin, /%61dmin and
// \admin are all the same place. The steps are Istio's meshConfig.pathNormalization (and Envoy's
// path_utility), in this order:
//
//   %2F and %5C to / and \     DECODE_AND_MERGE_SLASHES only
//   \ to /                     all but NONE
//   one decoding of unreserved characters, %41 to A (RFC 3986 section 6.2.2.2), all but NONE
//   dot segments               all but NONE; RFC 3986 section 5.2.4
//   // to /                    MERGE_SLASHES and DECODE_AND_MERGE_SLASHES
//
// The query is cut off first in every mode. %00, and what else is no path, is for the parser of
// request heads to refuse.
#ifndef WHENCE_COMMON_POLICY_PATH_H_
#define WHENCE_COMMON_POLICY_PATH_H_

#include <cstddef>
#include <optional>
#include <string_view>

namespace whence::policy {

enum class PathNormalization { kNone, kBase, kMergeSlashes, kDecodeAndMergeSlashes };

// Longest path that is rewritten. A path that needs no rewriting may have any length.
inline constexpr size_t kMaxNormalizedPath = 8192;

// The path of a request target in origin-form (or absolute-form, RFC 9112 section 3.2.2), borrowed
// from `target` if nothing changes, else written to `buffer`, which must hold kMaxNormalizedPath.
// Idempotent for kMergeSlashes and kNone only: the others decode once, on purpose.
// nullopt: too long to rewrite.
std::optional<std::string_view> NormalizePath(std::string_view target,
                                              PathNormalization normalization, char* buffer);

}  // namespace whence::policy

#endif  // WHENCE_COMMON_POLICY_PATH_H_
