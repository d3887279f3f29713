// Sends the contents of large sets, and of them only what the control plane does not have.
#ifndef WHENCE_CONTROLPLANE_CTL_IP_SET_UPLOAD_H_
#define WHENCE_CONTROLPLANE_CTL_IP_SET_UPLOAD_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controlplane/ctl/session.h"
#include "controlplane/ctl/source_files.h"
#include "whence/v1/admin.pb.h"

namespace whence::ctl {

// Pure. As a difference from what is known to be there (null: nothing), if that is shorter.
v1::IpSetContent Upload(const NamedContent& set, const v1::IpSetDescription* known);

// Nullopt: there is no such set.
absl::StatusOr<std::optional<v1::IpSetDescription>> DescribeIpSet(const Session& session,
                                                                  const std::string& space,
                                                                  const std::string& name);

// The Apply call, with the contents added. If somebody else changes a set meanwhile, it is sent
// whole.
grpc::Status SendApply(const Session& session, v1::ApplyRequest* request,
                       const std::vector<NamedContent>& contents, v1::ApplyResponse* response);

}  // namespace whence::ctl

#endif  // WHENCE_CONTROLPLANE_CTL_IP_SET_UPLOAD_H_
