#include "controlplane/admin/agent_service.h"

#include <grpcpp/grpcpp.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "common/bundle/selection.h"

namespace whence::admin {

namespace {

void AddCaveats(const bundle::ConfigView& view, const bundle::Workload& workload,
                v1::AgentState* state) {
  for (const bundle::Distrust& distrust : bundle::DistrustedBy(view, workload)) {
    state->add_caveats(absl::StrCat(
        "TrustTopology ", distrust.topology, " does not trust it ",
        distrust.is_of_labels
            ? "for its labels, which its certificate does not name: whencectl certs issue --label"
            : "at addresses that it does not connect from, and that its certificate does not name: "
              "whencectl certs issue --address"));
  }
}

}  // namespace

v1::ListAgentsResponse AgentService::List() const {
  v1::ListAgentsResponse response;
  const std::shared_ptr<const model::ConfigState> state = current_.Get();
  const SteadyTime now = clock_.SteadyNow();
  for (const discovery::Inventory::Connected& connected : inventory_.ListConnected()) {
    v1::AgentState& agent = *response.add_agents();
    agent = discovery::Inventory::Describe(connected, now);
    if (state) AddCaveats(*state->view, connected.agent.workload, &agent);
  }
  if (state) response.set_revision(state->revision);
  return response;
}

grpc::ServerUnaryReactor* AgentService::ListAgents(grpc::CallbackServerContext* context,
                                                   const v1::ListAgentsRequest* /*request*/,
                                                   v1::ListAgentsResponse* response) {
  *response = List();
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

}  // namespace whence::admin
