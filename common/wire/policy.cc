#include "common/wire/policy.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace whence::wire {
namespace {

using Strings = google::protobuf::RepeatedPtrField<std::string>;

std::vector<std::string> Copy(const Strings& values) { return {values.begin(), values.end()}; }

policy::Source ToSource(const v1::PolicySource& in) {
  policy::Source out;
  out.ip_blocks = Copy(in.ip_blocks());
  out.not_ip_blocks = Copy(in.not_ip_blocks());
  out.remote_ip_blocks = Copy(in.remote_ip_blocks());
  out.not_remote_ip_blocks = Copy(in.not_remote_ip_blocks());
  out.ip_sets = Copy(in.ip_sets());
  out.not_ip_sets = Copy(in.not_ip_sets());
  out.remote_ip_sets = Copy(in.remote_ip_sets());
  out.not_remote_ip_sets = Copy(in.not_remote_ip_sets());
  out.principals = Copy(in.principals());
  out.not_principals = Copy(in.not_principals());
  out.request_principals = Copy(in.request_principals());
  out.not_request_principals = Copy(in.not_request_principals());
  out.namespaces = Copy(in.namespaces());
  out.not_namespaces = Copy(in.not_namespaces());
  out.service_accounts = Copy(in.service_accounts());
  out.not_service_accounts = Copy(in.not_service_accounts());
  out.trust_domains = Copy(in.trust_domains());
  out.not_trust_domains = Copy(in.not_trust_domains());
  return out;
}

policy::Operation ToOperation(const v1::PolicyOperation& in) {
  return {Copy(in.hosts()),   Copy(in.not_hosts()),   Copy(in.ports()), Copy(in.not_ports()),
          Copy(in.methods()), Copy(in.not_methods()), Copy(in.paths()), Copy(in.not_paths())};
}

policy::Rule ToRule(const v1::PolicyRule& in) {
  policy::Rule out;
  for (const v1::PolicyFrom& from : in.from()) out.from.push_back(ToSource(from.source()));
  for (const v1::PolicyTo& to : in.to()) out.to.push_back(ToOperation(to.operation()));
  for (const v1::PolicyCondition& when : in.when()) {
    out.when.push_back({when.key(), Copy(when.values()), Copy(when.not_values())});
  }
  return out;
}

}  // namespace

absl::StatusOr<policy::PolicySpec> ToPolicySpec(const v1::PolicyResource& resource) {
  policy::PolicySpec spec;
  spec.namespace_ = resource.namespace_();
  spec.name = resource.name();
  // Dry run if either says so; the builder sets both, but a stray DRY_RUN must not be enforced.
  spec.dry_run = resource.dry_run() || resource.spec().mode() == v1::IpPolicySpec::DRY_RUN;
  spec.expires = resource.spec().expires();
  switch (resource.spec().action()) {
    case v1::IpPolicySpec::ALLOW:
      spec.action = policy::Action::kAllow;
      break;
    case v1::IpPolicySpec::DENY:
      spec.action = policy::Action::kDeny;
      break;
    case v1::IpPolicySpec::AUDIT:
      spec.action = policy::Action::kAudit;
      break;
    case v1::IpPolicySpec::CUSTOM:
      spec.action = policy::Action::kCustom;
      break;
    default:
      // From a newer control plane: taking it for ALLOW could open a door.
      return absl::InvalidArgumentError(absl::StrCat(
          "policy \"", resource.namespace_(), "/", resource.name(),
          "\": spec.action: unknown value ", static_cast<int>(resource.spec().action())));
  }
  for (const v1::PolicyRule& rule : resource.spec().rules()) spec.rules.push_back(ToRule(rule));
  return spec;
}

}  // namespace whence::wire
