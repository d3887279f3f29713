// Whether a policy is only tried: decided and logged, not enforced.
#ifndef WHENCE_COMMON_DOCUMENT_DRY_RUN_H_
#define WHENCE_COMMON_DOCUMENT_DRY_RUN_H_

#include <optional>
#include <string_view>

#include "whence/v1/documents.pb.h"

namespace whence::document {

// Istio's way to say it, with a value that Go's strconv.ParseBool reads.
inline constexpr char kDryRunAnnotation[] = "istio.io/dry-run";

// 1, t, T, TRUE, true, True and 0, f, F, FALSE, false, False. Nullopt: any other text, that Istio
// refuses.
std::optional<bool> ParseGoBool(std::string_view text);

// By `spec.mode` or by the annotation. A value that is no truth value means no, as if there were
// none: such a document is refused (CheckIpPolicy), but may have been stored before.
bool IsDryRun(const v1::Document& policy);

}  // namespace whence::document

#endif  // WHENCE_COMMON_DOCUMENT_DRY_RUN_H_
