// Policy rules, local routes and addresses over rtnetlink, and listening sockets over sock_diag.
//
// Plain functions: each opens a netlink socket in the network namespace of the calling thread and
// closes it again, which is right for a command that runs once.
#ifndef WHENCE_DATAPLANE_INTERCEPT_RTNETLINK_H_
#define WHENCE_DATAPLANE_INTERCEPT_RTNETLINK_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dataplane/intercept/kernel.h"

namespace whence::intercept {

// Both families; IPv6 is left out without an error on a kernel that has none.
absl::StatusOr<std::vector<FibRule>> ListFibRules();
absl::Status ChangeFibRule(const FibRule& rule, bool add);

absl::StatusOr<std::vector<LocalRoute>> ListTableRoutes(uint32_t table);
absl::Status ChangeLocalRoute(const LocalRoute& route, bool add);

absl::StatusOr<bool> HasLoopbackAddressSix();
absl::Status ChangeLoopbackAddressSix(bool add);
absl::StatusOr<bool> IsLoopbackUp();

absl::StatusOr<ListenerFacts> FindTcpListener(uint16_t port);

}  // namespace whence::intercept

#endif  // WHENCE_DATAPLANE_INTERCEPT_RTNETLINK_H_
