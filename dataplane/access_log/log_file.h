// The JSON Lines file of `--access-log`.
#ifndef WHENCE_DATAPLANE_ACCESS_LOG_LOG_FILE_H_
#define WHENCE_DATAPLANE_ACCESS_LOG_LOG_FILE_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dataplane/os/unique_fd.h"

namespace whence::access_log {

// Thread-compatible.
class LogFile {
 public:
  // Appends to the file at `path`, made with mode 0640 if there is none; "-" is standard output.
  static absl::StatusOr<std::unique_ptr<LogFile>> Open(const std::string& path);

  // Waits while a pipe behind it is full. After an error the rest of `lines` is not written.
  absl::Status Write(std::string_view lines);
  // Opens the path anew, so that a rotated file is let go. On an error the old one stays in use.
  absl::Status Reopen();

 private:
  explicit LogFile(std::string path) : path_(std::move(path)) {}

  const std::string path_;
  os::UniqueFd fd_;
};

}  // namespace whence::access_log

#endif  // WHENCE_DATAPLANE_ACCESS_LOG_LOG_FILE_H_
