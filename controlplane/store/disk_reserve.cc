#include "controlplane/store/disk_reserve.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

namespace whence::store {
namespace {

// Left free where a reserve takes the rest: to open databases, each with the index of its log.
constexpr int64_t kLeftBytes = 256 << 10;

}  // namespace

std::optional<int64_t> FreeBytesAt(const std::string& path) {
  struct statvfs info;
  const size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  if (statvfs(directory.c_str(), &info) != 0) return std::nullopt;
  return static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
}

DiskReserve::DiskReserve(std::string path, int64_t bytes) : path_(std::move(path)), bytes_(bytes) {
  struct stat info;
  if (lstat(path_.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return;
  held_bytes_ = std::min(int64_t{info.st_blocks} * 512, bytes_);
}

void DiskReserve::ReleaseToOpen() {
  if (held_bytes_ > 0 && FreeBytesAt(path_).value_or(kLeftBytes) < kLeftBytes) Release();
}

bool DiskReserve::Take() {
  if (held_bytes_ == bytes_) return true;
  held_bytes_ = TakeBytes(bytes_) ? bytes_ : 0;
  return held_bytes_ == bytes_;
}

bool DiskReserve::TakeWhatThereIs() {
  if (held_bytes_ == bytes_) return true;
  const int64_t free_bytes = FreeBytesAt(path_).value_or(0) - kLeftBytes;
  const int64_t want = std::min(held_bytes_ + free_bytes, bytes_);
  // A part that is held is not worth the risk of losing it for a little more.
  if (want == bytes_ || (held_bytes_ == 0 && want > 0)) held_bytes_ = TakeBytes(want) ? want : 0;
  return held_bytes_ > 0;
}

bool DiskReserve::TakeBytes(int64_t bytes) {
  int fd = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return false;
  // Blocks, not only a size: a sparse file would reserve nothing.
  const bool taken = posix_fallocate(fd, 0, bytes) == 0;
  close(fd);
  if (!taken) unlink(path_.c_str());
  return taken;
}

void DiskReserve::Release() {
  unlink(path_.c_str());
  held_bytes_ = 0;
}

}  // namespace whence::store
