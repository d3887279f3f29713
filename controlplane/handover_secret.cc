#include "controlplane/handover_secret.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace whence::control {
namespace {

constexpr size_t kSecretBytes = 32;

absl::Status Failed(const char* call, const std::string& path, int error) {
  return absl::UnavailableError(
      absl::StrCat(call, " ", path, ": ", std::strerror(error), ": check --data-dir"));
}

}  // namespace

// Whole or not at all: written beside it, then renamed.
absl::Status StoreHandoverSecret(const std::string& path, const std::string& secret) {
  const std::string fresh = path + ".new";
  const int fd = open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return Failed("open", fresh, errno);
  const bool written =
      write(fd, secret.data(), secret.size()) == static_cast<ssize_t>(secret.size()) &&
      fsync(fd) == 0;
  const int error = errno;
  close(fd);
  if (!written) return Failed("write", fresh, error);
  if (rename(fresh.c_str(), path.c_str()) != 0) return Failed("rename", fresh, errno);
  return absl::OkStatus();
}

absl::StatusOr<std::string> LoadHandoverSecret(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  std::string secret(kSecretBytes, '\0');
  if (fd >= 0) {
    const ssize_t got = read(fd, secret.data(), secret.size());
    close(fd);
    if (got == static_cast<ssize_t>(kSecretBytes)) return secret;
    return absl::DataLossError(absl::StrCat(path,
                                            " is cut short: restore it, or remove it and "
                                            "agents get new keys"));
  }
  if (errno != ENOENT) return Failed("open", path, errno);
  if (getrandom(secret.data(), secret.size(), 0) != static_cast<ssize_t>(kSecretBytes)) {
    return Failed("getrandom for", path, errno);
  }
  absl::Status stored = StoreHandoverSecret(path, secret);
  if (!stored.ok()) return stored;
  return secret;
}

absl::Status CheckHandoverSecret(const std::string& secret, const std::string& where) {
  if (secret.size() == kSecretBytes) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(where,
                   " is damaged: restore it, or delete it and handover.key of every replica, "
                   "restart them, and agents get new keys"));
}

}  // namespace whence::control
