#include "dataplane/storage/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "dataplane/os/unique_fd.h"
#include "common/base/crc32c.h"
#include "dataplane/storage/little_endian.h"

namespace whence::storage {
namespace {

constexpr std::string_view kMagic = "WHENCE1\n";
constexpr size_t kHeaderBytes = 8 + 4 + 4;

absl::Status Failed(const char* call, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat(call, " ", path));
}

std::string ParentOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

absl::Status WriteAll(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed("write", path);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  os::UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return Failed("open", path);
  std::string bytes;
  char buffer[16 * 1024];
  while (true) {
    const ssize_t n = read(fd.get(), buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed("read", path);
    if (n == 0) return bytes;
    if (bytes.size() + static_cast<size_t>(n) > max_bytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat("read ", path, ": larger than ", max_bytes, " bytes"));
    }
    bytes.append(buffer, static_cast<size_t>(n));
  }
}

absl::Status WriteFileAtomically(const std::string& path, std::string_view bytes) {
  const std::string temporary = path + ".new";
  {
    os::UniqueFd fd(
        open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return Failed("open", temporary);
    if (absl::Status status = WriteAll(fd.get(), bytes, temporary); !status.ok()) return status;
    if (fsync(fd.get()) != 0) return Failed("fsync", temporary);
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) return Failed("rename", path);
  const std::string parent = ParentOf(path);
  os::UniqueFd directory(open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return Failed("open", parent);
  if (fsync(directory.get()) != 0) return Failed("fsync", parent);
  return absl::OkStatus();
}

absl::Status MakeDirectory(const std::string& path) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) return Failed("mkdir", part);
    if (slash == std::string::npos) break;
  }
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return Failed("stat", path);
  if (!S_ISDIR(info.st_mode))
    return absl::FailedPreconditionError(absl::StrCat(path, " is not a folder"));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> ListFiles(const std::string& directory) {
  std::error_code error;
  std::vector<std::string> names;
  std::filesystem::directory_iterator it(directory, error);
  for (; !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    std::error_code ignored;  // a file that vanished meanwhile is no file
    if (it->is_regular_file(ignored)) names.push_back(it->path().filename().string());
  }
  if (error) return absl::ErrnoToStatus(error.value(), absl::StrCat("list ", directory));
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status RemoveFile(const std::string& path) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return Failed("unlink", path);
  return absl::OkStatus();
}

std::string Seal(std::string_view bytes) {
  std::string sealed(kMagic);
  PutLittleEndian32(&sealed, Crc32c(bytes));
  PutLittleEndian32(&sealed, static_cast<uint32_t>(bytes.size()));
  sealed.append(bytes);
  return sealed;
}

absl::StatusOr<std::string> Unseal(std::string_view sealed) {
  if (sealed.size() < kHeaderBytes || sealed.substr(0, kMagic.size()) != kMagic) {
    return absl::DataLossError("not a file of ours, or cut short");
  }
  const std::string_view bytes = sealed.substr(kHeaderBytes);
  if (GetLittleEndian32(sealed.substr(12)) != bytes.size() ||
      GetLittleEndian32(sealed.substr(8)) != Crc32c(bytes)) {
    return absl::DataLossError("checksum does not match");
  }
  return std::string(bytes);
}

}  // namespace whence::storage
