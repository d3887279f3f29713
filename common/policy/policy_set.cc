#include "common/policy/policy_set.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "common/policy/compiler.h"
#include "common/policy/rule.h"

namespace whence::policy {
namespace {

// Of one action, by key: the first that matches is the one to report.
using Rules = std::vector<const CompiledRule*>;

// The policies of one mode, enforced or dry-run, in the order in which they are asked.
struct Group {
  Rules custom;
  Rules deny;
  Rules allow;
  // The least ALLOW policy, with or without rules: if there is one, what nothing allows is denied.
  const CompiledPolicy* first_allow = nullptr;
  // A rule that looks at the path, if any does.
  const CompiledRule* path_user = nullptr;

  Rules* RulesOf(Action action) {
    switch (action) {
      case Action::kCustom:
        return &custom;
      case Action::kDeny:
        return &deny;
      case Action::kAllow:
        return &allow;
      case Action::kAudit:
        return nullptr;
    }
    return nullptr;
  }
};

const CompiledRule* FirstMatch(const Rules& rules, const Request& request,
                               std::vector<PolicyStep>* steps) {
  for (const CompiledRule* rule : rules) {
    const bool matched = rule->Matches(request);
    if (steps != nullptr) {
      steps->push_back(PolicyStep{.policy = *rule->policy,
                                  .action = rule->action,
                                  .dry_run = rule->is_dry_run,
                                  .rule = rule->index,
                                  .matched = matched,
                                  .why = rule->Why(request)});
    }
    if (matched) return rule;
  }
  return nullptr;
}

Verdict By(const CompiledRule& rule, bool allowed) {
  return Verdict{.allowed = allowed,
                 .reason = allowed ? VerdictReason::kAllowed : VerdictReason::kDenied,
                 .policy = rule.policy,
                 .rule = rule.index};
}

Verdict ByDefault(bool allowed) {
  return Verdict{.allowed = allowed,
                 .reason = allowed ? VerdictReason::kNoPolicy : VerdictReason::kNotAllowed};
}

}  // namespace

struct PolicySet::Impl {
  std::vector<CompiledPolicy> policies;  // by name; rules point into it
  PathNormalization normalization = PathNormalization::kDecodeAndMergeSlashes;
  Group enforced;
  Group dry_run;

  void Index();
  Verdict Decide(const RequestFacts& facts, std::vector<PolicyStep>* steps) const;
  Verdict Enforce(const Request& request, std::vector<PolicyStep>* steps) const;
  void TryDryRun(const Request& request, Verdict* verdict, std::vector<PolicyStep>* steps) const;
  void NotePoliciesWithoutSay(std::vector<PolicyStep>* steps) const;
};

void PolicySet::Impl::Index() {
  for (CompiledPolicy& policy : policies) {
    Group& group = policy.is_dry_run ? dry_run : enforced;
    if (policy.action == Action::kAllow && group.first_allow == nullptr) {
      group.first_allow = &policy;
    }
    Rules* rules = group.RulesOf(policy.action);
    for (CompiledRule& rule : policy.rules) {
      rule.policy = &policy.name;
      if (rules == nullptr) continue;
      rules->push_back(&rule);
      if (group.path_user == nullptr && rule.uses_path) group.path_user = &rule;
    }
  }
  for (Group* group : {&enforced, &dry_run}) {
    for (Rules* rules : {&group->custom, &group->deny, &group->allow}) {
      std::sort(rules->begin(), rules->end(),
                [](const CompiledRule* a, const CompiledRule* b) { return a->key < b->key; });
    }
  }
}

Verdict PolicySet::Impl::Decide(const RequestFacts& facts, std::vector<PolicyStep>* steps) const {
  if (steps != nullptr) NotePoliciesWithoutSay(steps);
  char buffer[kMaxNormalizedPath];
  std::optional<std::string_view> path = std::string_view();
  const bool is_request = facts.is_http && facts.known == RequestFacts::Known::kRequest;
  if (is_request && (enforced.path_user != nullptr || dry_run.path_user != nullptr)) {
    path = NormalizePath(facts.target, normalization, buffer);
  }
  if (!path && enforced.path_user != nullptr) {
    return Verdict{.allowed = false, .reason = VerdictReason::kPathTooLong};
  }
  const Request request{facts, path.value_or(std::string_view())};
  Verdict verdict = Enforce(request, steps);
  if (!verdict.allowed) return verdict;
  if (path) {
    TryDryRun(request, &verdict, steps);
  } else {
    verdict.dry_run_deny = true;
    verdict.dry_run_policy = dry_run.path_user->policy;
  }
  return verdict;
}

Verdict PolicySet::Impl::Enforce(const Request& request, std::vector<PolicyStep>* steps) const {
  for (const Rules* denying : {&enforced.custom, &enforced.deny}) {
    if (const CompiledRule* rule = FirstMatch(*denying, request, steps)) return By(*rule, false);
  }
  if (enforced.first_allow == nullptr) return ByDefault(true);
  if (const CompiledRule* rule = FirstMatch(enforced.allow, request, steps)) return By(*rule, true);
  return ByDefault(false);
}

// What would happen if the dry-run policies were enforced beside the others, which allow.
void PolicySet::Impl::TryDryRun(const Request& request, Verdict* verdict,
                                std::vector<PolicyStep>* steps) const {
  for (const Rules* denying : {&dry_run.custom, &dry_run.deny}) {
    const CompiledRule* rule = FirstMatch(*denying, request, steps);
    if (rule == nullptr) continue;
    verdict->dry_run_deny = true;
    verdict->dry_run_policy = rule->policy;
    return;
  }
  // An enforced ALLOW rule that matched would still match.
  if (verdict->policy != nullptr || dry_run.first_allow == nullptr) return;
  if (FirstMatch(dry_run.allow, request, steps) != nullptr) return;
  verdict->dry_run_deny = true;
  verdict->dry_run_policy = &dry_run.first_allow->name;
}

void PolicySet::Impl::NotePoliciesWithoutSay(std::vector<PolicyStep>* steps) const {
  for (const CompiledPolicy& policy : policies) {
    const bool is_audit = policy.action == Action::kAudit;
    if (!is_audit && !policy.rules.empty()) continue;
    steps->push_back(
        PolicyStep{.policy = policy.name,
                   .action = policy.action,
                   .dry_run = policy.is_dry_run,
                   .rule = -1,
                   .matched = false,
                   .why = is_audit ? "AUDIT decides nothing" : "without rules it never matches"});
  }
}

std::string_view VerdictReasonText(VerdictReason reason) {
  switch (reason) {
    case VerdictReason::kNoPolicy:
      return "no-policy";
    case VerdictReason::kAllowed:
      return "allowed";
    case VerdictReason::kDenied:
      return "denied";
    case VerdictReason::kNotAllowed:
      return "not-allowed";
    case VerdictReason::kPathTooLong:
      return "path-too-long";
  }
  return "";
}

absl::StatusOr<std::shared_ptr<const PolicySet>> PolicySet::Compile(
    const std::vector<PolicySpec>& specs, const IpSetLookup& ip_sets,
    PathNormalization normalization) {
  std::vector<std::string> faults;
  auto impl = std::make_unique<Impl>();
  impl->normalization = normalization;
  std::set<std::string> names;
  for (const PolicySpec& spec : specs) {
    CompiledPolicy policy = CompilePolicy(spec, ip_sets, &faults);
    if (!names.insert(policy.name).second) {
      faults.push_back("policy \"" + policy.name + "\": given twice");
    }
    impl->policies.push_back(std::move(policy));
  }
  if (!faults.empty()) {
    std::string message;
    for (const std::string& fault : faults) message += (message.empty() ? "" : "\n") + fault;
    return absl::InvalidArgumentError(message);
  }
  std::sort(impl->policies.begin(), impl->policies.end(),
            [](const CompiledPolicy& a, const CompiledPolicy& b) { return a.name < b.name; });
  impl->Index();
  return std::shared_ptr<const PolicySet>(new PolicySet(std::move(impl)));
}

PolicySet::PolicySet(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
PolicySet::~PolicySet() = default;

std::string_view PolicySet::JudgedTarget(std::string_view target, std::span<char> memory) const {
  if (impl_->enforced.path_user == nullptr || !target.starts_with('/')) return target;
  const auto path = NormalizePath(target, impl_->normalization, memory.data());
  if (!path || path->data() != memory.data()) return target;
  const size_t query = target.find('?');
  size_t size = path->size();
  if (query != std::string_view::npos) {
    const std::string_view rest = target.substr(query);
    std::copy(rest.begin(), rest.end(), memory.begin() + static_cast<std::ptrdiff_t>(size));
    size += rest.size();
  }
  return {memory.data(), size};
}

Verdict PolicySet::Evaluate(const RequestFacts& facts) const {
  return impl_->Decide(facts, nullptr);
}

Verdict PolicySet::Explain(const RequestFacts& facts, std::vector<PolicyStep>* steps) const {
  return impl_->Decide(facts, steps);
}

std::optional<WallTime> PolicySet::NextEnd(WallTime now) const {
  std::optional<WallTime> next;
  for (const CompiledRule* rule : impl_->enforced.allow) {
    if (!rule->can_expire || rule->expires <= now) continue;
    if (!next || rule->expires < *next) next = rule->expires;
  }
  return next;
}

size_t PolicySet::size() const { return impl_->policies.size(); }

}  // namespace whence::policy
