// Rules that look at the agents themselves.
#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/bundle/selection.h"
#include "common/bundle/service_names.h"
#include "common/document/kinds.h"
#include "common/explain/recorded.h"
#include "controlplane/insight/chart.h"

namespace whence::insight {
namespace {

// Longer than a slow agent takes for a large configuration.
constexpr int64_t kMaxLagUs = 30'000'000;

bool Holds(const std::vector<uint16_t>& ports, uint32_t port) {
  return std::find(ports.begin(), ports.end(), port) != ports.end();
}

// What is said of ports: by whom, and what it comes to where connections pass the agent by.
class PortClaims {
 public:
  PortClaims(const Chart& chart, const bundle::Workload& agent) : agent_(agent) {
    const bundle::ConfigView& view = *chart.patient().config.view;
    for (const auto& [name, written] : view.services()) {
      const v1::ServiceSpec& service = written->service();
      if (name.first != agent.namespace_ || service.selector().empty() ||
          !bundle::Selects(service.selector(), agent.labels)) {
        continue;
      }
      for (const auto& port : service.ports()) {
        const uint32_t target = bundle::TargetPort(port);
        if (target != 0) Add(target, document::DisplayName(*written), "sends clients there");
      }
    }
    for (const auto& [name, written] : view.policies()) {
      const v1::IpPolicySpec& policy = written->ip_policy();
      if (!bundle::InScope(view, name.first, agent.namespace_) ||
          !bundle::Selects(policy.selector().match_labels(), agent.labels)) {
        continue;
      }
      for (const auto& rule : policy.rules()) AddRule(rule, document::DisplayName(*written));
    }
  }

  // Of ports that are not intercepted only: "port 8080: Service shop/web sends clients there".
  const std::map<uint32_t, std::string>& past_the_agent() const { return claims_; }

 private:
  void AddRule(const v1::PolicyRule& rule, const std::string& name) {
    constexpr char kWhat[] = "decides about it, and is not asked";
    for (const auto& to : rule.to()) {
      for (const std::string& port : to.operation().ports()) Add(Number(port), name, kWhat);
    }
    for (const auto& condition : rule.when()) {
      if (condition.key() != "destination.port") continue;
      for (const std::string& port : condition.values()) Add(Number(port), name, kWhat);
    }
  }
  static uint32_t Number(const std::string& text) {
    uint32_t port = 0;
    std::from_chars(text.data(), text.data() + text.size(), port);
    return port;
  }
  void Add(uint32_t port, const std::string& name, const char* what) {
    if (port == 0 || agent_.Intercepts(port)) return;
    std::string& claim = claims_[port];
    const std::string text = absl::StrCat(name, " ", what);
    if (claim.find(text) != std::string::npos) return;
    absl::StrAppend(&claim, claim.empty() ? absl::StrCat("port ", port, ": ") : "; ", text);
  }

  const bundle::Workload& agent_;
  std::map<uint32_t, std::string> claims_;
};

// The flags that leave out what is left out now, but for these ports.
std::string PortFlags(const bundle::Workload& agent, const std::map<uint32_t, std::string>& ports) {
  constexpr uint32_t kAgentPorts[] = {15020, 15021};  // always excluded, without a flag
  std::vector<uint32_t> excluded;
  std::vector<uint32_t> included(agent.included_ports.begin(), agent.included_ports.end());
  for (const uint16_t port : agent.excluded_ports) {
    const bool is_ours =
        std::find(std::begin(kAgentPorts), std::end(kAgentPorts), port) != std::end(kAgentPorts);
    if (!is_ours && !ports.contains(port)) excluded.push_back(port);
  }
  if (!included.empty()) {
    for (const auto& [port, claim] : ports) {
      if (!Holds(agent.included_ports, port)) included.push_back(port);
    }
  }
  std::string flags;
  if (!included.empty()) {
    absl::StrAppend(&flags, " --include-inbound-ports ", absl::StrJoin(included, ","));
  }
  if (!excluded.empty()) {
    absl::StrAppend(&flags, " --exclude-inbound-ports ", absl::StrJoin(excluded, ","));
  }
  return flags;
}

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

// A port that nobody speaks of may be left out on purpose; one that a Service or a policy names is
// meant to be guarded.
void FindExcludedPorts(const Chart& chart, Findings* out) {
  for (const bundle::Workload& workload : chart.patient().workloads) {
    const std::string id = absl::StrCat(workload.namespace_, "/", workload.name);
    const v1::AgentState* agent = chart.Agent(id);
    if (agent == nullptr || !workload.has_sidecar) continue;
    const PortClaims claims(chart, workload);
    const std::map<uint32_t, std::string>& ports = claims.past_the_agent();
    if (ports.empty()) continue;
    v1::Finding finding = MakeFinding("excluded-ports", v1::Finding::WARNING, id);
    finding.set_summary("connections to some ports reach the application past the agent");
    finding.set_cause(
        "the packet rules leave these ports out: no policy holds there, no client is found, and "
        "nothing is recorded");
    for (const auto& [port, claim] : ports) finding.add_evidence(claim);
    finding.set_remedy(
        "intercept them: in the pod's network namespace, and in what installs the rules there (the "
        "annotations {include,exclude}InboundPorts where pods are injected)");
    finding.add_commands("whence-agent intercept remove");
    finding.add_commands(absl::StrCat("whence-agent intercept install --mode ",
                                      agent->interception(), PortFlags(workload, ports)));
    finding.add_commands(absl::StrCat("whence-agent run --interception ", agent->interception(),
                                      "   # and the flags it runs with now"));
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
