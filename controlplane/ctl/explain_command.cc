#include <string>

#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/print.h"
#include "controlplane/ctl/text.h"
#include "whence/v1/admin.grpc.pb.h"

namespace whence::ctl {
namespace {

std::string TopologyText(const v1::ExplainResponse& response) {
  std::string text = response.topology_source().empty()
                         ? "the defaults of a " + RoleName(response.role())
                         : "TrustTopology " + response.topology_source();
  const v1::TrustTopologySpec& spec = response.topology();
  if (spec.has_num_trusted_proxies()) {
    text += ", numTrustedProxies " + std::to_string(spec.num_trusted_proxies());
  } else if (spec.has_trusted_proxies()) {
    text += ", trustedProxies";
  }
  return text;
}

// Hop 0 is the nearest: the walk goes away from us, as the resolver does.
void PrintHops(const v1::ExplainResponse& response, std::ostream& out) {
  out << "\nWho is it? The walk, from the nearest hop outwards:\n";
  Table table({"HOP", "ADDRESS", "FROM", "JUDGEMENT"});
  int number = 0;
  for (const v1::ExplainResponse::Hop& hop : response.hops()) {
    std::string address = hop.address();
    if (address.empty()) address = "\"" + hop.text() + "\"";
    table.Add({std::to_string(number++), address, hop.source(), hop.judgement()});
  }
  table.Print(out);
  out << "Trusted client: " << Escape(response.trusted_client()) << " ("
      << Escape(response.reason()) << ")\n";
}

std::string DecisionText(const v1::ExplainResponse& response) {
  switch (response.decision()) {
    case v1::ALLOW_DECISION:
      return "allow";
    case v1::DENY_DECISION:
      return "deny";
    case v1::DRY_RUN_DENY_DECISION:
      return "allow (a dry-run policy would deny)";
    default:
      return "unknown";
  }
}

void PrintPolicies(const v1::ExplainResponse& response, std::ostream& out) {
  out << "\nMay it enter?\n";
  if (response.policies().empty()) {
    out << "No policy selects this workload.\n";
  } else {
    Table table({"POLICY", "ACTION", "MATCHED", "WHY"});
    for (const v1::ExplainResponse::PolicyStep& step : response.policies()) {
      std::string matched = !step.matched()   ? "no"
                            : step.rule() < 0 ? "yes"
                                              : "rule " + std::to_string(step.rule());
      table.Add({step.policy(), step.action(), matched, step.why()});
    }
    table.Print(out);
  }
  out << "Decision: " << DecisionText(response);
  if (!response.deciding_policy().empty()) out << " by " << Escape(response.deciding_policy());
  if (!response.decision_reason().empty()) out << ": " << Escape(response.decision_reason());
  out << "\n";
}

void PrintUpstream(const v1::ExplainResponse& response, std::ostream& out) {
  // Denied, or nothing listens there: nothing goes upstream.
  if (response.upstream_source().empty() && response.upstream_headers().empty()) return;
  out << "\nWhat the application sees:\n";
  if (!response.upstream_source().empty()) {
    out << "connection from " << Escape(response.upstream_source()) << "\n";
  }
  for (const std::string& header : response.upstream_headers()) out << Escape(header) << "\n";
}

}  // namespace

void PrintExplanation(const v1::ExplainResponse& response, std::ostream& out) {
  out << "Workload: " << Escape(response.workload()) << " (" << RoleName(response.role())
      << "), revision " << response.revision() << "\n"
      << "Topology: " << Escape(TopologyText(response)) << "\n";
  PrintHops(response, out);
  PrintPolicies(response, out);
  PrintUpstream(response, out);
}

int Explain(const ExplainOptions& options, Session& session) {
  v1::ExplainResponse response;
  grpc::ClientContext context;
  SetDeadline(context, kReadDeadline);
  grpc::Status status =
      v1::ConfigService::NewStub(session.channel)->Explain(&context, options.request, &response);
  if (!status.ok()) return PrintFailure(session, status);
  if (options.output == Output::kJson) {
    session.out << ToJson(response);
    return kGood;
  }
  PrintExplanation(response, session.out);
  return kGood;
}

}  // namespace whence::ctl
