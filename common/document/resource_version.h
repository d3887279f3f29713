// metadata.resourceVersion: which value of a document somebody has in hand.
//
// Kubernetes writes a field of the same name with numbers of its own; documents that come from a
// cluster must apply here as they are. So ours says what it is: "revision-12".
#ifndef WHENCE_COMMON_DOCUMENT_RESOURCE_VERSION_H_
#define WHENCE_COMMON_DOCUMENT_RESOURCE_VERSION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace whence::document {

std::string ResourceVersionText(uint64_t revision);
// Whether the text means to be one of ours.
bool IsOurResourceVersion(std::string_view text);
// Nullopt: not one of ours, or malformed.
std::optional<uint64_t> ParseResourceVersion(std::string_view text);

}  // namespace whence::document

#endif  // WHENCE_COMMON_DOCUMENT_RESOURCE_VERSION_H_
