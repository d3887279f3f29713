#include "dataplane/os/errno_status.h"

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/strings.h"

namespace whence::os {

absl::Status ErrnoStatus(int error, std::string_view call, std::string_view purpose,
                         std::string_view capability) {
  std::string suffix;
  if ((error == EPERM || error == EACCES) && !capability.empty()) {
    suffix = absl::StrCat(" (needs ", ToAbsl(capability), ")");
  }
  const absl::Status code = absl::ErrnoToStatus(error, "");
  return absl::Status(
      code.code(), absl::StrCat("cannot ", ToAbsl(purpose), ": ", ToAbsl(call), ": ",
                                // ErrnoToStatus made the text thread-safely: ": Permission denied".
                                absl::StripPrefix(code.message(), ": "), suffix));
}

}  // namespace whence::os
