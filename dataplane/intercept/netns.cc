#include "dataplane/intercept/netns.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace whence::intercept {

absl::StatusOr<ScopedNetns> ScopedNetns::Enter(const std::string& name_or_path) {
  const bool is_path = name_or_path.find('/') != std::string::npos;
  const std::string path = is_path ? name_or_path : "/run/netns/" + name_or_path;
  const int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (home < 0) {
    return absl::ErrnoToStatus(errno, "open /proc/thread-self/ns/net");
  }
  ScopedNetns scope(home);
  const int target = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (target < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("network namespace ", path));
  }
  const int entered = setns(target, CLONE_NEWNET);
  const int error = errno;
  close(target);
  if (entered != 0) {
    return absl::ErrnoToStatus(error, absl::StrCat("setns ", path, " (needs CAP_SYS_ADMIN)"));
  }
  return scope;
}

ScopedNetns::~ScopedNetns() {
  if (home_ < 0) return;
  // Cannot fail for a namespace we came from, and there would be no way to go on if it did.
  (void)!setns(home_, CLONE_NEWNET);
  close(home_);
}

}  // namespace whence::intercept
