// Owns one file descriptor.
#ifndef WHENCE_DATAPLANE_OS_UNIQUE_FD_H_
#define WHENCE_DATAPLANE_OS_UNIQUE_FD_H_

#include <unistd.h>

#include <utility>

namespace whence::os {

// Move-only; -1 means none. Thread-compatible.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) Reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~UniqueFd() { Reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }
  // Errors of close(2) are not reported: on Linux the descriptor is gone either way.
  void Reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace whence::os

#endif  // WHENCE_DATAPLANE_OS_UNIQUE_FD_H_
