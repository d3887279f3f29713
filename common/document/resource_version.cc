#include "common/document/resource_version.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/strings.h"

namespace whence::document {
namespace {
constexpr std::string_view kPrefix = "revision-";
}

std::string ResourceVersionText(uint64_t revision) {
  return absl::StrCat(ToAbsl(kPrefix), revision);
}

bool IsOurResourceVersion(std::string_view text) {
  return text.substr(0, kPrefix.size()) == kPrefix;
}

std::optional<uint64_t> ParseResourceVersion(std::string_view text) {
  if (!IsOurResourceVersion(text)) return std::nullopt;
  text.remove_prefix(kPrefix.size());
  uint64_t revision = 0;
  // One spelling only: SimpleAtoi would also take "+7" and " 7".
  if (!absl::SimpleAtoi(ToAbsl(text), &revision) || revision == 0 ||
      absl::StrCat(revision) != ToAbsl(text)) {
    return std::nullopt;
  }
  return revision;
}

}  // namespace whence::document
