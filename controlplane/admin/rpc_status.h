// absl::Status -> grpc::Status, for service files only.
#ifndef WHENCE_CONTROLPLANE_ADMIN_RPC_STATUS_H_
#define WHENCE_CONTROLPLANE_ADMIN_RPC_STATUS_H_

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"

namespace whence::admin {

// The codes have the same numbers in both.
inline grpc::Status ToRpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

}  // namespace whence::admin

#endif  // WHENCE_CONTROLPLANE_ADMIN_RPC_STATUS_H_
