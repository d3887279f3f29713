// The directory that holds the databases, and the claim on it.
#ifndef WHENCE_CONTROLPLANE_DATA_DIRECTORY_H_
#define WHENCE_CONTROLPLANE_DATA_DIRECTORY_H_

#include <string>

#include "absl/status/statusor.h"

namespace whence::control {

// Of two control planes on one directory each would hand out revisions the other does not know;
// so the second is refused. The lock is the kernel's: it ends with the process, however that ends.
class DataDirectory {
 public:
  // Creates the directory (0700: access records are personal data) if only its last part is
  // missing.
  static absl::StatusOr<DataDirectory> Claim(const std::string& path);
  DataDirectory(DataDirectory&& other) noexcept;
  DataDirectory& operator=(DataDirectory&&) = delete;
  ~DataDirectory();

  std::string File(const char* name) const { return path_ + "/" + name; }

  bool IsMissingOrEmpty(const char* name) const;

  // DataLoss: `name` is missing, or empty, though `younger`, which is made after it, is there. Made
  // anew, it would be a configuration without policies, and agents would take it for one.
  absl::Status ExpectNotLost(const char* name, const char* younger) const;

 private:
  DataDirectory(std::string path, int lock_fd) : path_(std::move(path)), lock_fd_(lock_fd) {}
  std::string path_;
  int lock_fd_;
};

}  // namespace whence::control

#endif  // WHENCE_CONTROLPLANE_DATA_DIRECTORY_H_
