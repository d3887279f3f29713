#include "controlplane/data_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace whence::control {

absl::StatusOr<DataDirectory> DataDirectory::Claim(const std::string& path) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return absl::PermissionDeniedError(absl::StrCat("cannot create the data directory ", path, ": ",
                                                    std::strerror(errno),
                                                    ": choose another directory"));
  }
  std::string lock = path + "/lock";
  int fd = open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    return absl::PermissionDeniedError(
        absl::StrCat("cannot write in the data directory: ", lock, ": ", std::strerror(errno)));
  }
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    int error = errno;
    close(fd);
    if (error == EWOULDBLOCK) {
      return absl::FailedPreconditionError(
          absl::StrCat("the data directory ", path,
                       " is in use by another whence-control: stop it or choose another "
                       "directory"));
    }
    return absl::UnavailableError(absl::StrCat("cannot lock ", lock, ": ", std::strerror(error)));
  }
  return DataDirectory(path, fd);
}

bool DataDirectory::IsMissingOrEmpty(const char* name) const {
  struct stat info;
  return stat(File(name).c_str(), &info) != 0 || info.st_size == 0;
}

absl::Status DataDirectory::ExpectNotLost(const char* name, const char* younger) const {
  if (!IsMissingOrEmpty(name) || IsMissingOrEmpty(younger)) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(File(name), " is missing or empty, and ", younger,
                   " says that there was one: restore it from a backup, or remove ", File(younger),
                   " as well to begin without any policy"));
}

DataDirectory::DataDirectory(DataDirectory&& other) noexcept
    : path_(std::move(other.path_)), lock_fd_(std::exchange(other.lock_fd_, -1)) {}

DataDirectory::~DataDirectory() {
  if (lock_fd_ >= 0) close(lock_fd_);
}

}  // namespace whence::control
