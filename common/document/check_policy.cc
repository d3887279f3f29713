// IpPolicy and AuthorizationPolicy. What a rule that is nearly right would do to an open port is
// the reason for every refusal here.
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/strings.h"
#include "common/document/check.h"
#include "common/document/dry_run.h"
#include "common/document/edit_distance.h"
#include "common/policy/policy_set.h"
#include "common/wire/policy.h"

namespace whence::document {
namespace {

constexpr int kMaxRules = 512;  // Istio's limits
constexpr int kMaxFrom = 512;

constexpr std::array<std::string_view, 7> kIdentityKeys = {
    "source.namespace",      "source.principal",       "source.serviceAccount",
    "source.trustDomain",    "request.auth.principal", "request.auth.audiences",
    "request.auth.presenter"};
constexpr std::array<std::string_view, 4> kKeys = {"source.ip", "remote.ip", "destination.ip",
                                                   "destination.port"};

bool HasPrefix(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

void WarnOfIdentity(int count, const char* field, const std::string& path, CheckContext& context) {
  if (count == 0) return;
  context.Warn(path + "." + field,
               "connections have no identity here: this never matches, and its negation always");
}

Complaint NotEmpty(std::string_view text) {
  return text.empty() ? Complaint("an empty string matches nothing; remove it") : std::nullopt;
}

void CheckSource(const v1::PolicySource& source, const std::string& path, CheckContext& context) {
  if (source.ByteSizeLong() == 0) {
    context.Fault(path, "is empty: name at least one of ipBlocks, remoteIpBlocks, ipSets, …");
    return;
  }
  context.CheckCidrs(source.ip_blocks(), path + ".ipBlocks");
  context.CheckCidrs(source.not_ip_blocks(), path + ".notIpBlocks");
  context.CheckCidrs(source.remote_ip_blocks(), path + ".remoteIpBlocks");
  context.CheckCidrs(source.not_remote_ip_blocks(), path + ".notRemoteIpBlocks");
  context.CheckEach(source.ip_sets(), path + ".ipSets", CheckReference);
  context.CheckEach(source.not_ip_sets(), path + ".notIpSets", CheckReference);
  context.CheckEach(source.remote_ip_sets(), path + ".remoteIpSets", CheckReference);
  context.CheckEach(source.not_remote_ip_sets(), path + ".notRemoteIpSets", CheckReference);
  WarnOfIdentity(source.principals_size(), "principals", path, context);
  WarnOfIdentity(source.not_principals_size(), "notPrincipals", path, context);
  WarnOfIdentity(source.request_principals_size(), "requestPrincipals", path, context);
  WarnOfIdentity(source.not_request_principals_size(), "notRequestPrincipals", path, context);
  WarnOfIdentity(source.namespaces_size(), "namespaces", path, context);
  WarnOfIdentity(source.not_namespaces_size(), "notNamespaces", path, context);
  WarnOfIdentity(source.service_accounts_size(), "serviceAccounts", path, context);
  WarnOfIdentity(source.not_service_accounts_size(), "notServiceAccounts", path, context);
  WarnOfIdentity(source.trust_domains_size(), "trustDomains", path, context);
  WarnOfIdentity(source.not_trust_domains_size(), "notTrustDomains", path, context);
}

void CheckOperation(const v1::PolicyOperation& operation, const std::string& path,
                    CheckContext& context) {
  if (operation.ByteSizeLong() == 0) {
    context.Fault(path, "is empty: name at least one of hosts, ports, methods, paths");
    return;
  }
  context.CheckEach(operation.hosts(), path + ".hosts", NotEmpty);
  context.CheckEach(operation.not_hosts(), path + ".notHosts", NotEmpty);
  context.CheckEach(operation.ports(), path + ".ports", CheckPortText);
  context.CheckEach(operation.not_ports(), path + ".notPorts", CheckPortText);
  context.CheckEach(operation.methods(), path + ".methods", NotEmpty);
  context.CheckEach(operation.not_methods(), path + ".notMethods", NotEmpty);
  context.CheckEach(operation.paths(), path + ".paths", NotEmpty);
  context.CheckEach(operation.not_paths(), path + ".notPaths", NotEmpty);
}

// What becomes of a rule with a condition on something that connections never have here.
std::string FateOfRule(const v1::PolicyCondition& condition, v1::IpPolicySpec::Action action) {
  if (condition.values().empty()) return "kept: the condition always holds";
  if (action != v1::IpPolicySpec::ALLOW) return "kept: the rule never matches";
  return "kept: the rule never matches, and what no other ALLOW rule lets in is denied";
}

// `what`, of which nothing is known here: values never match, notValues always. So an ALLOW rule
// may ask for values, which closes it, and a DENY rule for the absence of some.
void CheckUnknown(const v1::PolicyCondition& condition, v1::IpPolicySpec::Action action,
                  const std::string& path, const std::string& what, CheckContext& context) {
  const bool never_matches = !condition.values().empty();
  const bool closes = action == v1::IpPolicySpec::ALLOW ? never_matches : !never_matches;
  if (closes || action == v1::IpPolicySpec::AUDIT) {
    return context.Unsupported(path, what, FateOfRule(condition, action));
  }
  context.Fault(path, what + ", and ignoring it would let in more than the policy says; remove it");
}

void CheckHeaderKey(const v1::PolicyCondition& condition, const std::string& name,
                    v1::IpPolicySpec::Action action, const std::string& path,
                    CheckContext& context) {
  if (!HasPrefix(name, ":")) return context.Expect(CheckHeaderName(name), path);
  // ":path" is the policy compiler's to refuse.
  for (const std::string_view known : {":authority", ":method", ":path"}) {
    if (EqualsIgnoreCase(name, known)) return;
  }
  CheckUnknown(condition, action, path,
               absl::StrCat("\"", name,
                            "\" is a pseudo-header that Whence does not act on yet; known are "
                            ":authority and :method"),
               context);
}

// Keys in brackets: request.headers[x-token], request.auth.claims[iss].
void CheckKey(const v1::PolicyCondition& condition, v1::IpPolicySpec::Action action,
              const std::string& path, CheckContext& context) {
  const std::string& key = condition.key();
  constexpr std::string_view kHeader = "request.headers[";
  if (HasPrefix(key, kHeader) && key.back() == ']') {
    const std::string name = key.substr(kHeader.size(), key.size() - kHeader.size() - 1);
    return CheckHeaderKey(condition, name, action, path, context);
  }
  for (const std::string_view known : kKeys) {
    if (key == known) return;
  }
  const bool is_claim = HasPrefix(key, "request.auth.claims[") && key.back() == ']';
  for (const std::string_view known : kIdentityKeys) {
    if (key == known || is_claim) {
      context.Warn(path, "connections have no identity here: values never match, notValues always");
      return;
    }
  }
  if (key == "connection.sni") {
    return CheckUnknown(condition, action, path, "is an Istio key that Whence does not act on yet",
                        context);
  }
  if (HasPrefix(key, "experimental.envoy.filters.")) {
    // The policy engine has no meaning for it, so there is nothing that could be kept.
    return context.Fault(path, "is an Istio key that Whence does not act on yet; remove it");
  }
  std::vector<std::string_view> names(kKeys.begin(), kKeys.end());
  names.insert(names.end(), kIdentityKeys.begin(), kIdentityKeys.end());
  names.push_back("request.headers[name]");
  names.push_back("request.auth.claims[name]");
  const std::string nearest = Nearest(key, names);
  context.Fault(path, absl::StrCat("\"", key, "\" is no known key",
                                   nearest.empty() ? "; expected such as source.ip, remote.ip, "
                                                     "destination.port, request.headers[name]"
                                                   : "; did you mean \"" + nearest + "\"?"));
}

void CheckCondition(const v1::PolicyCondition& condition, v1::IpPolicySpec::Action action,
                    const std::string& path, CheckContext& context) {
  if (condition.key().empty()) {
    context.Fault(path + ".key", "is missing");
    return;
  }
  CheckKey(condition, action, path + ".key", context);
  if (condition.values().empty() && condition.not_values().empty()) {
    context.Fault(path, "needs values or notValues");
  }
  if (condition.key() == "source.ip" || condition.key() == "remote.ip" ||
      condition.key() == "destination.ip") {
    context.CheckCidrs(condition.values(), path + ".values");
    context.CheckCidrs(condition.not_values(), path + ".notValues");
  } else if (condition.key() == "destination.port") {
    context.CheckEach(condition.values(), path + ".values", CheckPortText);
    context.CheckEach(condition.not_values(), path + ".notValues", CheckPortText);
  } else {
    context.CheckEach(condition.values(), path + ".values", NotEmpty);
    context.CheckEach(condition.not_values(), path + ".notValues", NotEmpty);
  }
}

void CheckRule(const v1::PolicyRule& rule, v1::IpPolicySpec::Action action, const std::string& path,
               CheckContext& context) {
  if (rule.from_size() > kMaxFrom) {
    context.Fault(path + ".from", absl::StrCat("has more than ", kMaxFrom, " sources"));
  }
  for (int i = 0; i < rule.from_size(); ++i) {
    CheckSource(rule.from(i).source(), Item(path + ".from", i) + ".source", context);
  }
  for (int i = 0; i < rule.to_size(); ++i) {
    CheckOperation(rule.to(i).operation(), Item(path + ".to", i) + ".operation", context);
  }
  for (int i = 0; i < rule.when_size(); ++i) {
    CheckCondition(rule.when(i), action, Item(path + ".when", i), context);
  }
}

void CheckDryRun(CheckContext& context) {
  const auto& annotations = context.document().metadata().annotations();
  const auto found = annotations.find(kDryRunAnnotation);
  if (found == annotations.end() || ParseGoBool(found->second)) return;
  context.Fault(absl::StrCat("metadata.annotations.", kDryRunAnnotation),
                absl::StrCat("must be \"true\" or \"false\", not \"", found->second, "\""));
}

// The last word is the policy engine's: what an agent would refuse must not be committed. It has
// rules of its own (path templates), and repeats ours, which the context then keeps silent.
void CheckCompiles(const v1::IpPolicySpec& spec, CheckContext& context) {
  v1::PolicyResource resource;
  resource.set_namespace_("n");
  resource.set_name("p");
  *resource.mutable_spec() = spec;
  const auto policy = wire::ToPolicySpec(resource);
  if (!policy.ok()) return context.Fault("spec", std::string(policy.status().message()));
  // Whether sets exist is a question to the whole configuration (Validate).
  const auto any_set = [](const std::string&) { return std::make_shared<const net::CidrSet>(); };
  const auto compiled = policy::PolicySet::Compile({*policy}, any_set);
  if (compiled.ok()) return;
  constexpr absl::string_view kPrefix = "policy \"n/p\": ";
  for (absl::string_view line : absl::StrSplit(compiled.status().message(), '\n')) {
    absl::ConsumePrefix(&line, kPrefix);
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(": ", 1));
    context.Fault(std::string(parts.first), std::string(parts.second));
  }
}

}  // namespace

void CheckIpPolicy(const v1::IpPolicySpec& spec, CheckContext& context) {
  CheckDryRun(context);
  context.CheckSelector(spec.selector().match_labels(), "spec.selector.matchLabels");
  if (spec.action() == v1::IpPolicySpec::AUDIT) {
    context.Unsupported("spec.action", "AUDIT is an Istio action that Whence does not act on yet",
                        "kept: decides nothing");
  }
  if (spec.action() == v1::IpPolicySpec::CUSTOM) {
    context.Unsupported(
        "spec.action", "CUSTOM is an Istio action that Whence does not act on yet",
        IsDryRun(context.document())
            ? "kept: logged as denying whatever it matches, but not enforced"
            : "kept: denies whatever it matches, since there is no external authorizer");
  }
  if (spec.action() != v1::IpPolicySpec::ALLOW && spec.rules().empty()) {
    context.Fault("spec.rules", absl::StrCat(v1::IpPolicySpec::Action_Name(spec.action()),
                                             " without rules never matches; to match everything "
                                             "write rules: [{}]"));
  }
  if (spec.rules_size() > kMaxRules) {
    context.Fault("spec.rules", absl::StrCat("has more than ", kMaxRules, " rules"));
  }
  for (int i = 0; i < spec.rules_size(); ++i) {
    CheckRule(spec.rules(i), spec.action(), Item("spec.rules", i), context);
  }
  if (!spec.expires().empty()) context.Expect(CheckTimestamp(spec.expires()), "spec.expires");
  CheckCompiles(spec, context);
}

}  // namespace whence::document
