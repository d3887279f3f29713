// errno, told to people: which call, and what it was for.
#ifndef WHENCE_DATAPLANE_OS_ERRNO_STATUS_H_
#define WHENCE_DATAPLANE_OS_ERRNO_STATUS_H_

#include <string_view>

#include "absl/status/status.h"

namespace whence::os {

// "cannot bind the inbound listener to [::]:15006: bind: Address already in use". `call` is the
// system call, `purpose` a clause that completes "cannot …". For EPERM and EACCES the capability
// that is needed is named where `capability` is not empty.
absl::Status ErrnoStatus(int error, std::string_view call, std::string_view purpose,
                         std::string_view capability = {});

}  // namespace whence::os

#endif  // WHENCE_DATAPLANE_OS_ERRNO_STATUS_H_
