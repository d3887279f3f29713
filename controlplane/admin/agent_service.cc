#include "controlplane/admin/agent_service.h"

#include <grpcpp/grpcpp.h>

#include <memory>
#include <utility>

namespace whence::admin {

grpc::ServerUnaryReactor* AgentService::ListAgents(grpc::CallbackServerContext* context,
                                                   const v1::ListAgentsRequest* /*request*/,
                                                   v1::ListAgentsResponse* response) {
  for (v1::AgentState& agent : inventory_.ListAgents()) *response->add_agents() = std::move(agent);
  std::shared_ptr<const model::ConfigState> state = current_.Get();
  if (state) response->set_revision(state->revision);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

}  // namespace whence::admin
