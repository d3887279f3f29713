// One call of grpc.health.v1.Health/Check, as the kubelet makes it.
#ifndef WHENCE_DATAPLANE_RPC_HEALTH_CHECK_H_
#define WHENCE_DATAPLANE_RPC_HEALTH_CHECK_H_

#include <chrono>
#include <string>

#include "absl/status/status.h"

namespace whence::rpc {

// OK: SERVING. Blocks for `timeout` at most. Plaintext. `target`: IP:PORT; `service` may be empty.
absl::Status CheckHealth(const std::string& target, const std::string& service,
                         std::chrono::seconds timeout);

}  // namespace whence::rpc

#endif  // WHENCE_DATAPLANE_RPC_HEALTH_CHECK_H_
