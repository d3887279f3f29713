#include <string>

#include "controlplane/ctl/cells.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/print.h"
#include "controlplane/ctl/text.h"
#include "whence/v1/admin.grpc.pb.h"

namespace whence::ctl {
namespace {

// What agents say of themselves and is not believed.
void PrintDoubts(const v1::ListAgentsResponse& response, std::ostream& out) {
  bool is_unproven = false;
  for (const v1::AgentState& agent : response.agents()) {
    is_unproven |= !agent.unproven_addresses().empty();
    for (const std::string& doubt : Doubts(agent)) out << Escape(doubt) << "\n";
  }
  if (is_unproven) out << kUnprovenNote << "\n";
}

}  // namespace

int Agents(const AgentsOptions& options, Session& session) {
  v1::ListAgentsResponse response;
  grpc::ClientContext context;
  SetDeadline(context, kReadDeadline);
  grpc::Status status = v1::AgentService::NewStub(session.channel)
                            ->ListAgents(&context, v1::ListAgentsRequest(), &response);
  if (!status.ok()) return PrintFailure(session, status);
  if (options.output == Output::kJson) {
    session.out << ToJson(response);
    return kGood;
  }
  if (response.agents().empty()) {
    session.err << "whencectl: no agent is connected\n";
    return kGood;
  }
  Table table(AgentHeadings());
  for (const v1::AgentState& agent : response.agents()) table.Add(AgentCells(agent));
  table.Print(session.out);
  for (const v1::AgentState& agent : response.agents()) {
    for (const std::string& refusal : Refusals(agent)) session.out << Escape(refusal) << "\n";
  }
  PrintDoubts(response, session.out);
  return kGood;
}

}  // namespace whence::ctl
