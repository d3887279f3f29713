#include "dataplane/privileges.h"

#include <cap-ng.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include <cerrno>
#include <cstdio>

namespace whence {
namespace {

// Linux 5.17 lets CAP_NET_RAW set marks; before, only CAP_NET_ADMIN could.
bool MarksNeedNetAdmin() {
  utsname name{};
  int major = 0;
  int minor = 0;
  if (uname(&name) != 0 || std::sscanf(name.release, "%d.%d", &major, &minor) != 2) return true;
  return major < 5 || (major == 5 && minor < 17);
}

}  // namespace

absl::Status DropCapabilities() {
  capng_get_caps_process();
  const bool raw = capng_have_capability(CAPNG_PERMITTED, CAP_NET_RAW) != 0;
  const bool bind = capng_have_capability(CAPNG_PERMITTED, CAP_NET_BIND_SERVICE) != 0;
  const bool admin =
      MarksNeedNetAdmin() && capng_have_capability(CAPNG_PERMITTED, CAP_NET_ADMIN) != 0;
  capng_clear(CAPNG_SELECT_CAPS);
  const auto kept = static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED);
  if (raw) capng_update(CAPNG_ADD, kept, CAP_NET_RAW);
  if (bind) capng_update(CAPNG_ADD, kept, CAP_NET_BIND_SERVICE);
  if (admin) capng_update(CAPNG_ADD, kept, CAP_NET_ADMIN);
  if (capng_apply(CAPNG_SELECT_CAPS) != 0)
    return absl::ErrnoToStatus(errno, "cannot give up capabilities: capset");
  // And none comes back by executing something.
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return absl::ErrnoToStatus(errno, "cannot give up capabilities: prctl(PR_SET_NO_NEW_PRIVS)");
  }
  return absl::OkStatus();
}

void RaiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE,
                  &limit);  // what is then still too few pauses accepting, and is counted
}

}  // namespace whence
