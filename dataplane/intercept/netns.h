// Entering another network namespace for a while.
#ifndef WHENCE_DATAPLANE_INTERCEPT_NETNS_H_
#define WHENCE_DATAPLANE_INTERCEPT_NETNS_H_

#include <string>

#include "absl/status/statusor.h"

namespace whence::intercept {

// The calling thread is in another network namespace while this lives, and comes back after. Not to
// be moved across threads.
class ScopedNetns {
 public:
  // A name as `ip netns` knows it, or a path (/proc/PID/ns/net).
  static absl::StatusOr<ScopedNetns> Enter(const std::string& name_or_path);
  ScopedNetns(ScopedNetns&& other) noexcept : home_(other.home_) { other.home_ = -1; }
  ScopedNetns& operator=(ScopedNetns&&) = delete;
  ~ScopedNetns();

 private:
  explicit ScopedNetns(int home) : home_(home) {}
  int home_;  // fd of the namespace to come back to; -1 when moved from
};

}  // namespace whence::intercept

#endif  // WHENCE_DATAPLANE_INTERCEPT_NETNS_H_
