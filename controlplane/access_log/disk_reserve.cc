#include "controlplane/access_log/disk_reserve.h"

#include <fcntl.h>
#include <unistd.h>

namespace whence::access_log {

bool DiskReserve::Take() {
  if (held_) return true;
  int fd = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return false;
  // Blocks, not only a size: a sparse file would reserve nothing.
  held_ = posix_fallocate(fd, 0, bytes_) == 0;
  close(fd);
  if (!held_) unlink(path_.c_str());
  return held_;
}

void DiskReserve::Release() {
  unlink(path_.c_str());
  held_ = false;
}

}  // namespace whence::access_log
