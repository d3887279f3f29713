// Who came most, was denied most: counts over the access records of a span of time.
#ifndef WHENCE_CONTROLPLANE_ACCESS_LOG_LOG_TOP_H_
#define WHENCE_CONTROLPLANE_ACCESS_LOG_LOG_TOP_H_

#include <atomic>
#include <chrono>
#include <string>

#include "absl/status/statusor.h"
#include "whence/v1/admin.pb.h"

namespace whence::access_log {

// Segment by segment, a short read transaction each. A stranger chooses how many clients there are,
// so what is counted apart is bounded; what comes beyond is one sum.
//
// kDeadlineExceeded when `deadline` has come; kCancelled soon after `cancelled` is set.
absl::StatusOr<v1::TopResponse> CountTop(const std::string& path, const v1::TopQuery& query,
                                         std::chrono::steady_clock::time_point deadline,
                                         const std::atomic<bool>& cancelled);

}  // namespace whence::access_log

#endif  // WHENCE_CONTROLPLANE_ACCESS_LOG_LOG_TOP_H_
