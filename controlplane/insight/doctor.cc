#include "controlplane/insight/doctor.h"

#include <algorithm>

#include "controlplane/insight/chart.h"

namespace whence::insight {
namespace {

struct Rule {
  const char* name;  // as in the findings; of a rule with several, what they have in common
  void (*find)(const Chart& chart, Findings* out);
};
constexpr Rule kRules[] = {
    {"client-is-node", FindNodeAsClient},
    {"redirect-hides-client", FindRedirect},
    {"forwarded-untrusted", FindUntrustedForwarding},
    {"chain-too-short", FindShortChains},
    {"proxy-header", FindProxyHeaders},
    {"clients-disagree", FindDisagreement},
    {"spoof-attempts", FindSpoofing},
    {"excluded-ports", FindExcludedPorts},
    {"agent-refused", FindRefusals},
    {"agent-lost", FindLostAgents},
};

}  // namespace

std::vector<v1::Finding> Examine(const Patient& patient) {
  const Chart chart(patient);
  Findings findings;
  for (const Rule& rule : kRules) rule.find(chart, &findings);
  std::stable_sort(findings.begin(), findings.end(),
                   [](const auto& a, const auto& b) { return a.severity() > b.severity(); });
  return findings;
}

std::vector<std::string> RuleNames() {
  std::vector<std::string> names;
  for (const Rule& rule : kRules) names.emplace_back(rule.name);
  return names;
}

}  // namespace whence::insight
