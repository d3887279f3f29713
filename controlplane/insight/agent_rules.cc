// Rules that look at the agents themselves.
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/explain/recorded.h"
#include "controlplane/insight/chart.h"

namespace whence::insight {
namespace {

// Longer than a slow agent takes for a large configuration.
constexpr int64_t kMaxLagUs = 30'000'000;

}  // namespace

void FindRedirect(const Chart& chart, Findings* out) {
  std::map<std::string, Cases> cases;
  for (const v1::LogRow& row : chart.patient().records) {
    const std::string source = explain::AddressText(row.record().upstream_source());
    if (source == "127.0.0.6" || source == "::6") {
      cases[row.agent()].Add(row, source);
    }
  }
  for (const v1::AgentState& agent : chart.patient().agents) {
    if (agent.role() != v1::SIDECAR || agent.interception() != "redirect") continue;
    v1::Finding finding = MakeFinding("redirect-hides-client", v1::Finding::WARNING, Id(agent));
    finding.set_summary("the application sees 127.0.0.6 (::6) as the peer of every connection");
    finding.set_cause("the sidecar intercepts with REDIRECT, which cannot keep the source address");
    finding.add_evidence("the agent says interception: redirect");
    if (auto seen = cases.find(Id(agent)); seen != cases.end()) {
      seen->second.Describe("that reached the application from", &finding);
    }
    finding.set_remedy("intercept with TPROXY: in the pod's network namespace");
    finding.add_commands("whence-agent intercept remove");
    finding.add_commands("whence-agent intercept install --mode tproxy");
    finding.add_commands(
        "whence-agent run --interception tproxy   # and the flags it runs with now");
    out->push_back(std::move(finding));
  }
}

void FindRefusals(const Chart& chart, Findings* out) {
  for (const v1::AgentState& agent : chart.patient().agents) {
    v1::Finding finding = MakeFinding("agent-refused", v1::Finding::ERROR, Id(agent));
    for (const v1::ResourceState& resource : agent.resources()) {
      if (resource.refused_version().empty()) continue;
      finding.add_evidence(absl::StrCat(resource.type(), " ", resource.name(), " version ",
                                        resource.refused_version(), ": ", resource.error()));
    }
    if (finding.evidence().empty()) continue;
    finding.set_summary("the agent refused its configuration and runs an older one");
    finding.set_cause("it cannot use what was applied, for the reason that it gives");
    finding.set_remedy("mend the document that it names, or go back to the revision that it runs");
    if (agent.acked_revision() != 0) {
      finding.add_commands(absl::StrCat("whencectl diff ", agent.acked_revision()));
      finding.add_commands(absl::StrCat("whencectl rollback ", agent.acked_revision()));
    }
    out->push_back(std::move(finding));
  }
}

void FindLostAgents(const Chart& chart, Findings* out) {
  for (const std::string& id : chart.patient().lost) {
    v1::Finding finding = MakeFinding("agent-lost", v1::Finding::ERROR, id);
    finding.set_summary("the connection to this agent broke and has not come back");
    finding.set_cause(
        "it died, or cannot reach the control plane; if it died, what its rules intercept is "
        "refused");
    finding.add_evidence("its stream ended without a farewell");
    finding.set_remedy("see in the pod whether it runs and what its log says; start it again");
    finding.add_commands("whence-agent intercept check   # in the pod's network namespace");
    out->push_back(std::move(finding));
  }
  for (const v1::AgentState& agent : chart.patient().agents) {
    if (agent.lag_us() <= kMaxLagUs) continue;
    v1::Finding finding = MakeFinding("agent-lost", v1::Finding::ERROR, Id(agent));
    finding.set_summary("the agent does not answer to its configuration");
    finding.set_cause("it hangs, or its connection is dead and nobody has noticed yet");
    finding.add_evidence(absl::StrCat("it was sent revision ", agent.sent_revision(), " ",
                                      agent.lag_us() / 1'000'000, " s ago and runs revision ",
                                      agent.acked_revision()));
    finding.set_remedy("see in the pod what its log says; restart it");
    out->push_back(std::move(finding));
  }
}

}  // namespace whence::insight
