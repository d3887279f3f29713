// whence.v1.SecurityService over gRPC: what was refused.
#ifndef WHENCE_CONTROLPLANE_ADMIN_SECURITY_SERVICE_H_
#define WHENCE_CONTROLPLANE_ADMIN_SECURITY_SERVICE_H_

#include "controlplane/security/refusals.h"
#include "whence/v1/admin.grpc.pb.h"

namespace whence::admin {

// Thread-safe. `refusals` must outlive the server.
class SecurityService final : public v1::SecurityService::CallbackService {
 public:
  explicit SecurityService(const security::Refusals& refusals) : refusals_(refusals) {}

  grpc::ServerUnaryReactor* ListRefusals(grpc::CallbackServerContext* context,
                                         const v1::ListRefusalsRequest* request,
                                         v1::ListRefusalsResponse* response) override;

 private:
  const security::Refusals& refusals_;
};

}  // namespace whence::admin

#endif  // WHENCE_CONTROLPLANE_ADMIN_SECURITY_SERVICE_H_
