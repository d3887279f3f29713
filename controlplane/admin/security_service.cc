#include "controlplane/admin/security_service.h"

#include <grpcpp/grpcpp.h>

namespace whence::admin {

grpc::ServerUnaryReactor* SecurityService::ListRefusals(grpc::CallbackServerContext* context,
                                                        const v1::ListRefusalsRequest* /*request*/,
                                                        v1::ListRefusalsResponse* response) {
  for (const security::RefusalEntry& entry : refusals_.Entries()) {
    v1::RefusedCall* call = response->add_refusals();
    call->set_peer(entry.refusal.peer);
    call->set_address(entry.refusal.address);
    call->set_method(entry.refusal.method);
    call->set_reason(entry.refusal.reason);
    call->set_first_us(entry.first.time_since_epoch().count());
    call->set_last_us(entry.last.time_since_epoch().count());
    call->set_count(entry.count);
  }
  response->set_total(refusals_.total());
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

}  // namespace whence::admin
