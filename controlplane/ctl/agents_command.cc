#include <string>

#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/print.h"
#include "controlplane/ctl/text.h"
#include "whence/v1/admin.grpc.pb.h"

namespace whence::ctl {
namespace {

void PrintTable(const v1::ListAgentsResponse& response, std::ostream& out) {
  Table table({"AGENT", "ROLE", "ADDRESSES", "NODE", "INTERCEPTION", "ACKED", "SENT", "STATE",
               "LAG", "VERSION"});
  for (const v1::AgentState& agent : response.agents()) {
    table.Add({agent.namespace_() + "/" + agent.name(), RoleName(agent.role()), AddressesOf(agent),
               agent.node(), agent.interception(), std::to_string(agent.acked_revision()),
               std::to_string(agent.sent_revision()), StateName(agent),
               agent.lag_us() > 0 ? SpanText(agent.lag_us()) : "", agent.version()});
  }
  table.Print(out);
}

// What was refused and why, and what the agent runs instead.
void PrintRefusals(const v1::ListAgentsResponse& response, std::ostream& out) {
  for (const v1::AgentState& agent : response.agents()) {
    for (const v1::ResourceState& state : agent.resources()) {
      if (state.refused_version().empty()) continue;
      out << Escape(agent.namespace_() + "/" + agent.name()) << " refused " << Escape(state.type())
          << " " << Escape(state.name()) << " version " << Escape(state.refused_version())
          << " and runs "
          << (state.acked_version().empty() ? "none" : Escape(state.acked_version())) << ": "
          << Escape(state.error()) << "\n";
    }
  }
}

// What agents say of themselves and is not believed.
void PrintDoubts(const v1::ListAgentsResponse& response, std::ostream& out) {
  bool is_unproven = false;
  for (const v1::AgentState& agent : response.agents()) {
    is_unproven |= !agent.unproven_addresses().empty();
    for (const std::string& caveat : agent.caveats()) {
      out << Escape(agent.namespace_() + "/" + agent.name()) << ": " << Escape(caveat) << "\n";
    }
  }
  if (!is_unproven) return;
  out << "?: the agent does not connect from that address, and its certificate does not name it: "
         "an endpoint, and no trusted hop\n";
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
  PrintTable(response, session.out);
  PrintRefusals(response, session.out);
  PrintDoubts(response, session.out);
  return kGood;
}

}  // namespace whence::ctl
