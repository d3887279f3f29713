#include "dataplane/access_log/log_file.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"

namespace whence::access_log {

absl::StatusOr<std::unique_ptr<LogFile>> LogFile::Open(const std::string& path) {
  std::unique_ptr<LogFile> file(new LogFile(path));
  if (absl::Status status = file->Reopen(); !status.ok()) return status;
  return file;
}

absl::Status LogFile::Reopen() {
  os::UniqueFd fd(path_ == "-"
                      ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                      : open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
  if (!fd) return absl::ErrnoToStatus(errno, absl::StrCat("open ", path_));
  fd_ = std::move(fd);
  return absl::OkStatus();
}

absl::Status LogFile::Write(std::string_view lines) {
  while (!lines.empty()) {
    const ssize_t n = write(fd_.get(), lines.data(), lines.size());
    if (n >= 0) {
      lines.remove_prefix(static_cast<size_t>(n));
    } else if (errno == EAGAIN) {  // someone made our standard output non-blocking
      pollfd wait{fd_.get(), POLLOUT, 0};
      poll(&wait, 1, -1);
    } else if (errno != EINTR) {
      return absl::ErrnoToStatus(errno, absl::StrCat("write ", path_));
    }
  }
  return absl::OkStatus();
}

}  // namespace whence::access_log
