// whence.v1.AgentService over gRPC: what the inventory knows.
#ifndef WHENCE_CONTROLPLANE_ADMIN_AGENT_SERVICE_H_
#define WHENCE_CONTROLPLANE_ADMIN_AGENT_SERVICE_H_

#include "common/base/clock.h"
#include "controlplane/discovery/inventory.h"
#include "controlplane/model/current_config.h"
#include "whence/v1/admin.grpc.pb.h"

namespace whence::admin {

// Thread-safe. All must outlive the server.
class AgentService final : public v1::AgentService::CallbackService {
 public:
  AgentService(const discovery::Inventory& inventory, const model::CurrentConfig& current,
               const Clock& clock)
      : inventory_(inventory), current_(current), clock_(clock) {}

  grpc::ServerUnaryReactor* ListAgents(grpc::CallbackServerContext* context,
                                       const v1::ListAgentsRequest* request,
                                       v1::ListAgentsResponse* response) override;
  // The same without gRPC.
  v1::ListAgentsResponse List() const;

 private:
  const discovery::Inventory& inventory_;
  const model::CurrentConfig& current_;
  const Clock& clock_;
};

}  // namespace whence::admin

#endif  // WHENCE_CONTROLPLANE_ADMIN_AGENT_SERVICE_H_
