#include "common/bundle/destination_rules.h"

#include "common/base/strings.h"
#include "common/bundle/service_names.h"
#include "common/net/ip_address.h"

namespace whence::bundle {
namespace {

std::string ToLower(std::string text) {
  for (char& c : text) c = ToLowerAscii(c);
  return text;
}

// How well a rule's host fits; 0: not at all.
size_t Fit(const std::string& rule_host, const std::string& rule_space, const std::string& host) {
  if (rule_host == "*") return 1;
  if (rule_host.rfind("*.", 0) == 0) {
    const std::string suffix = ToLower(rule_host.substr(1));
    const bool ends = host.size() > suffix.size() &&
                      host.compare(host.size() - suffix.size(), suffix.size(), suffix) == 0;
    return ends ? 1 + suffix.size() : 0;
  }
  // Beyond any wildcard.
  return CanonicalHost(ToLower(rule_host), rule_space) == host ? 1'000 : 0;
}

const v1::DestinationRuleSpec* BestOf(const ConfigView& view, const std::string& space,
                                      const std::string& host) {
  const v1::DestinationRuleSpec* best = nullptr;
  size_t best_fit = 0;
  for (auto at = view.destination_rules().lower_bound({space, ""});
       at != view.destination_rules().end() && at->first.first == space; ++at) {
    const v1::DestinationRuleSpec& rule = at->second->destination_rule();
    const size_t fit = Fit(rule.host(), space, host);
    if (fit <= best_fit) continue;
    best = &rule;
    best_fit = fit;
  }
  return best;
}

template <typename Policy>
void ApplyParts(const Policy& policy, v1::ClusterResource* cluster) {
  if (policy.has_load_balancer()) *cluster->mutable_load_balancer() = policy.load_balancer();
  if (policy.has_connection_pool()) *cluster->mutable_connection_pool() = policy.connection_pool();
  if (policy.has_outlier_detection()) {
    *cluster->mutable_outlier_detection() = policy.outlier_detection();
  }
}

void Apply(const v1::TrafficPolicy& policy, uint32_t port, v1::ClusterResource* cluster) {
  ApplyParts(policy, cluster);
  for (const auto& settings : policy.port_level_settings()) {
    if (settings.port().number() == port) ApplyParts(settings, cluster);
  }
}

const v1::DestinationRuleSpec::Subset* FindSubset(const v1::DestinationRuleSpec& rule,
                                                  const std::string& name) {
  for (const auto& subset : rule.subsets()) {
    if (subset.name() == name) return &subset;
  }
  return nullptr;
}

}  // namespace

std::string CanonicalHost(const std::string& host, const std::string& space) {
  if (net::IpAddress::Parse(host)) return host;
  const auto name = ServiceName(host, space);
  return name ? name->second + "." + name->first + ".svc.cluster.local" : host;
}

const v1::DestinationRuleSpec* FindDestinationRule(const ConfigView& view, const std::string& host,
                                                   const std::string& space,
                                                   const std::string& gateway_space) {
  if (view.destination_rules().empty()) return nullptr;
  const std::string canonical = CanonicalHost(host, space);
  const auto service = ServiceName(host, space);
  for (const std::string& from :
       {gateway_space, service ? service->first : space, space, view.root_namespace()}) {
    if (const auto* rule = BestOf(view, from, canonical)) return rule;
  }
  return nullptr;
}

const LabelMap* SubsetLabels(const v1::DestinationRuleSpec* rule, const std::string& name) {
  const auto* subset = rule == nullptr ? nullptr : FindSubset(*rule, name);
  return subset == nullptr ? nullptr : &subset->labels();
}

void ApplyTrafficPolicy(const v1::DestinationRuleSpec& rule, const std::string& subset,
                        uint32_t port, v1::ClusterResource* cluster) {
  Apply(rule.traffic_policy(), port, cluster);
  if (const auto* found = FindSubset(rule, subset)) Apply(found->traffic_policy(), port, cluster);
}

}  // namespace whence::bundle
