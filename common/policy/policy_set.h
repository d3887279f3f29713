// May this request enter? The policies that apply to one workload, compiled.
//
// The semantics are Istio's AuthorizationPolicy, as far as it can be decided without certificates
// and tokens: a DENY rule that matches denies; else, with no ALLOW policy, the request is allowed;
// else a matching ALLOW rule allows; else it is denied. ipBlocks look at the direct peer,
// remoteIpBlocks at the trusted client, and each comes in its own type.
//
// Where that leaves a choice, the closed one is taken:
//   - CUSTOM asks an external authorizer, and there is none: what its rules match is denied, as Istio
//     does when the provider is unknown. AUDIT never counts.
//   - An expired policy no longer matches. An expired ALLOW policy still means that what nothing
//     allows is denied: the end of a grant must not open the door for everybody.
//   - On TCP an ALLOW rule that uses an HTTP attribute is void as a whole; in a DENY rule the
//     attribute is dropped, which widens it.
//   - A path that needs rewriting and is longer than kMaxNormalizedPath is denied, if any policy
//     looks at paths.
#ifndef WHENCE_COMMON_POLICY_POLICY_SET_H_
#define WHENCE_COMMON_POLICY_POLICY_SET_H_

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/http/header_field.h"
#include "common/net/cidr_set.h"
#include "common/net/roles.h"
#include "common/policy/path.h"
#include "common/policy/policy_spec.h"

namespace whence::policy {

// What is known about the connection or request. Borrowed.
struct RequestFacts {
  net::DirectPeer peer;
  net::TrustedClient client;
  net::OriginalDestination destination;
  bool is_http = false;
  // What of it is known. Before a request has come only the connection is: not what will be asked,
  // nor, if the peer speaks for others, for whom. Then denied is what would deny every request.
  enum class Known : uint8_t { kRequest, kConnection, kPeer };
  Known known = Known::kRequest;
  // HTTP only.
  std::string_view method = {};
  std::string_view host = {};    // the Host field as received, port included
  std::string_view target = {};  // the request target as received
  std::span<const http::HeaderField> headers = {};
  WallTime now = {};  // for policies that expire
};

enum class VerdictReason : uint8_t {
  kNoPolicy,     // allowed: no DENY rule matched and there is no ALLOW policy
  kAllowed,      // allowed by an ALLOW rule
  kDenied,       // denied by a DENY rule, or a CUSTOM one
  kNotAllowed,   // denied: there are ALLOW policies and none matched
  kPathTooLong,  // denied: see above
};

// Names point into the PolicySet and live as long as it does.
struct Verdict {
  bool allowed = false;
  VerdictReason reason = VerdictReason::kNotAllowed;
  // "namespace/name" of the policy that decided, and which of its rules; null when a default did.
  // If several of the deciding action match, the one whose key ns[…]-policy[…]-rule[…] is least in
  // byte order.
  const std::string* policy = nullptr;
  int rule = -1;
  // Allowed, but would be denied if the dry-run policies were enforced: by this policy (for a
  // default denial, the first dry-run ALLOW policy).
  bool dry_run_deny = false;
  const std::string* dry_run_policy = nullptr;
};

// "no-policy", "allowed", "denied", "not-allowed", "path-too-long".
std::string_view VerdictReasonText(VerdictReason reason);

// One rule that was looked at, for explanations.
struct PolicyStep {
  std::string policy;  // "namespace/name"
  Action action;
  bool dry_run;
  int rule;  // -1: the policy as a whole, which has no rules, expired or is not enforced
  bool matched;
  std::string why;  // "remoteIpBlocks 2.2.2.0/24 holds 2.2.2.2", "wants paths /admin*"
};

// Named IP sets, by "namespace/name"; null if there is none of that name.
using IpSetLookup = std::function<std::shared_ptr<const net::CidrSet>(const std::string& name)>;

constexpr size_t JudgedTargetMemory(size_t target_bytes) {
  return kMaxNormalizedPath + target_bytes;
}

// Immutable; safe from any thread. Evaluation allocates nothing; its cost grows with the number of
// rules, not with the number of addresses in them.
class PolicySet {
 public:
  // `specs` are the policies that apply to the workload, in any order. InvalidArgument lists every
  // fault with its field: `policy "foo/ip": spec.rules[0].from[0].source.ipBlocks[1]: …`, one a
  // line.
  static absl::StatusOr<std::shared_ptr<const PolicySet>> Compile(
      const std::vector<PolicySpec>& specs, const IpSetLookup& ip_sets,
      PathNormalization normalization = PathNormalization::kDecodeAndMergeSlashes);

  ~PolicySet();
  PolicySet(const PolicySet&) = delete;
  PolicySet& operator=(const PolicySet&) = delete;

  Verdict Evaluate(const RequestFacts& facts) const;
  // The same decision, and how it came about.
  Verdict Explain(const RequestFacts& facts, std::vector<PolicyStep>* steps) const;

  // The request target as it may go on after Evaluate allowed it: where a policy in force looks at
  // paths, with the path that was judged, or an application that merges and decodes in another
  // order would serve what nobody judged. Borrowed from `target` if nothing changes, else written
  // to `memory`, which must hold JudgedTargetMemory(target.size()).
  std::string_view JudgedTarget(std::string_view target, std::span<char> memory) const;

  // When, after `now`, an ALLOW policy in force ends for the first time: what it let in has to be
  // judged again then.
  std::optional<WallTime> NextEnd(WallTime now) const;

  size_t size() const;  // policies, enforced or not

 private:
  struct Impl;
  explicit PolicySet(std::unique_ptr<const Impl> impl);

  std::unique_ptr<const Impl> impl_;
};

}  // namespace whence::policy

#endif  // WHENCE_COMMON_POLICY_POLICY_SET_H_
