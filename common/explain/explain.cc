#include "common/explain/explain.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "common/explain/access.h"
#include "common/http/hop_by_hop.h"
#include "common/snapshot/router.h"
#include "common/trust/forwarding.h"
#include "common/trust/resolver.h"

namespace whence::explain {
namespace {

// Stands for the id that would be made.
constexpr std::string_view kFreshId = "(made for each request)";

const char* ActionText(policy::Action action) {
  switch (action) {
    case policy::Action::kAllow:
      return "ALLOW";
    case policy::Action::kDeny:
      return "DENY";
    case policy::Action::kAudit:
      return "AUDIT";
    case policy::Action::kCustom:
      return "CUSTOM";
  }
  return "";
}

// The first policy with a condition on the address that the connection was aimed at.
std::string LooksAtDestination(const v1::WorkloadBundle& bundle) {
  for (const v1::PolicyResource& policy : bundle.policies()) {
    for (const v1::PolicyRule& rule : policy.spec().rules()) {
      for (const v1::PolicyCondition& condition : rule.when()) {
        if (condition.key() != "destination.ip") continue;
        return absl::StrCat(policy.namespace_(), "/", policy.name());
      }
    }
  }
  return "";
}

// One access on its way through the agent, with a note at every step.
class Explainer {
 public:
  // `destination_user`: the policy that looks at the destination's address; empty: none.
  Explainer(const snapshot::Snapshot& snapshot, const Access& access, WallTime now,
            std::string destination_user, v1::ExplainResponse* response)
      : snapshot_(snapshot),
        access_(access),
        now_(now),
        destination_user_(std::move(destination_user)),
        response_(*response) {}

  void Run() {
    if (!PassesProxyProtocol()) return;
    trust::Trace trace;
    const trust::Resolution resolution =
        trust::Resolve(access_.peer, access_.Evidence(), snapshot_.topology, &trace);
    for (trust::TraceHop& hop : trace.hops) {
      v1::ExplainResponse::Hop* out = response_.add_hops();
      if (hop.address) out->set_address(hop.address->ToString());
      out->set_text(std::move(hop.text));
      out->set_source(std::move(hop.source));
      out->set_judgement(std::move(hop.judgement));
    }
    response_.set_trusted_client(resolution.client.ip().ToString());
    response_.set_reason(trust::ReasonText(resolution));
    if (Judge(resolution) && FindCluster(resolution)) Forward(resolution);
  }

 private:
  void Refuse(std::string reason) {
    response_.set_decision(v1::DENY_DECISION);
    response_.set_decision_reason(std::move(reason));
  }

  // Whether the connection lives long enough for anybody to ask who it is.
  bool PassesProxyProtocol() {
    const std::string peer = access_.peer.address.ip.ToString();
    const bool sends = access_.proxy_source.has_value();
    switch (trust::ProxyHeaderRuleFor(snapshot_.topology, access_.peer)) {
      case trust::ProxyHeaderRule::kOptional:
        return true;
      case trust::ProxyHeaderRule::kNotRead:
        // The header would reach the application as its first bytes, and is no HTTP.
        if (!sends || !access_.is_http) return true;
        Refuse(
            "PROXY protocol is not accepted here, so its header is taken for the request and "
            "answered with 400");
        return false;
      case trust::ProxyHeaderRule::kForbidden:
        if (!sends) return true;
        Refuse(absl::StrCat("the connection is closed before any policy: ", peer,
                            " may not send a PROXY protocol header"));
        return false;
      case trust::ProxyHeaderRule::kRequired:
        if (sends) return true;
        Refuse(absl::StrCat("the connection is closed before any policy: ", peer,
                            " must send a PROXY protocol header and does not"));
        return false;
      case trust::ProxyHeaderRule::kRefusePeer:
        Refuse(
            absl::StrCat("the connection is closed before any policy: every connection must "
                         "carry a PROXY protocol header, and ",
                         peer, " may not send one"));
        return false;
    }
    return false;
  }

  // True if it may enter.
  bool Judge(const trust::Resolution& resolution) {
    std::vector<policy::PolicyStep> steps;
    const policy::Verdict verdict = snapshot_.policies->Explain({.peer = access_.peer,
                                                                 .client = resolution.client,
                                                                 .destination = access_.destination,
                                                                 .is_http = access_.is_http,
                                                                 .method = access_.method,
                                                                 .host = access_.host,
                                                                 .target = access_.target,
                                                                 .headers = access_.fields,
                                                                 .now = now_},
                                                                &steps);
    std::string why;
    for (policy::PolicyStep& step : steps) {
      if (verdict.policy != nullptr && step.policy == *verdict.policy &&
          step.rule == verdict.rule) {
        why = step.why;
      }
      v1::ExplainResponse::PolicyStep* out = response_.add_policies();
      out->set_policy(std::move(step.policy));
      out->set_action(absl::StrCat(ActionText(step.action), step.dry_run ? " (dry run)" : ""));
      out->set_matched(step.matched);
      out->set_rule(step.rule);
      out->set_why(std::move(step.why));
    }
    const bool dry_run_deny = verdict.allowed && verdict.dry_run_deny;
    response_.set_decision(!verdict.allowed ? v1::DENY_DECISION
                           : dry_run_deny   ? v1::DRY_RUN_DENY_DECISION
                                            : v1::ALLOW_DECISION);
    const std::string* decider = dry_run_deny ? verdict.dry_run_policy : verdict.policy;
    if (decider != nullptr) response_.set_deciding_policy(*decider);
    response_.set_decision_reason(DecisionReason(verdict, why));
    if (!access_.has_destination && !destination_user_.empty()) {
      AddReason(absl::StrCat(destination_user_, " looks at destination.ip, which was not given: ",
                             access_.destination.address.ip.ToString(),
                             " was taken, and this may come out otherwise; give --destination"));
    }
    return verdict.allowed;
  }

  std::string DecisionReason(const policy::Verdict& verdict, const std::string& why) const {
    std::string text;
    switch (verdict.reason) {
      case policy::VerdictReason::kNoPolicy:
        text = "no DENY rule matches, and there is no ALLOW policy, which would shut out the rest";
        break;
      case policy::VerdictReason::kAllowed:
        text = absl::StrCat("its rule ", verdict.rule, " allows this: ", why);
        break;
      case policy::VerdictReason::kDenied:
        text = absl::StrCat("its rule ", verdict.rule, " denies this: ", why,
                            access_.is_http ? " (answered with 403)" : " (reset)");
        break;
      case policy::VerdictReason::kNotAllowed:
        text = absl::StrCat(
            "there are ALLOW policies for this workload, and none of them allows "
            "this",
            access_.is_http ? " (answered with 403)" : " (reset)");
        break;
      case policy::VerdictReason::kPathTooLong:
        text = "the path is too long to be normalised, and policies look at paths";
        break;
    }
    if (verdict.allowed && verdict.dry_run_deny) {
      absl::StrAppend(&text, "; ", *verdict.dry_run_policy, " would deny it if it were enforced");
    }
    return text;
  }

  void AddReason(const std::string& more) {
    response_.set_decision_reason(absl::StrCat(response_.decision_reason(), "; ", more));
  }

  // A gateway's next step: where the request goes. False if nowhere. Sidecars go to their workload.
  bool FindCluster(const trust::Resolution& resolution) {
    if (snapshot_.topology.role != trust::Role::kGateway) return true;
    const uint16_t port = access_.destination.address.port;
    if (access_.listener == nullptr) {
      AddReason(absl::StrCat("but no Gateway declares port ", port, ", so nothing listens there"));
      return false;
    }
    if (access_.listener->protocol == snapshot::Protocol::kTcp) {
      const snapshot::TcpRoute* route = snapshot::MatchTcp(*access_.listener, resolution.client);
      if (route != nullptr) return GoTo(route->destinations);
      AddReason("but no route takes connections on this port (reset)");
      return false;
    }
    const snapshot::RoutedRequest request{.host = access_.host,
                                          .target = access_.target,
                                          .method = access_.method,
                                          .fields = access_.fields,
                                          .ids = access_.ids,
                                          .peer_is_trusted = resolution.peer_is_trusted,
                                          .client = &resolution.client};
    const snapshot::Route* route = snapshot::Match(*access_.listener, request);
    if (route == nullptr) {
      AddReason(absl::StrCat("but no route takes host \"", access_.host, "\" and path \"",
                             access_.target, "\" (answered with 404)"));
      return false;
    }
    if (!route->name.empty()) AddReason(absl::StrCat("route \"", route->name, "\" takes it"));
    action_ = route->action.get();
    if (action_ == nullptr) return GoTo({{.cluster = route->cluster}});
    if (action_->destinations.empty()) {
      Answer(request);
      return false;
    }
    std::string memory;
    const std::string_view target = snapshot::RewriteTarget(*route, access_.target, &memory);
    if (target != access_.target) AddReason(absl::StrCat("its target becomes ", ToAbsl(target)));
    if (action_->rewrite && !action_->rewrite->authority.empty()) {
      AddReason(absl::StrCat("its Host becomes ", action_->rewrite->authority));
    }
    return GoTo(action_->destinations);
  }

  // The route's own answer.
  void Answer(const snapshot::RoutedRequest& request) {
    if (!action_->redirect) {
      return AddReason(
          absl::StrCat("the route answers it with ", action_->direct_response->status));
    }
    std::string location;
    snapshot::WriteLocation(*action_->redirect, request, &location);
    AddReason(
        absl::StrCat("the route answers it with ", action_->redirect->status, " to ", location));
  }

  // Of several destinations the first goes on being explained.
  bool GoTo(const std::vector<snapshot::Destination>& destinations) {
    cluster_ = &snapshot_.clusters[destinations.front().cluster];
    if (action_ != nullptr) edit_ = &destinations.front().request;
    if (destinations.size() > 1) {
      uint32_t before = 0;
      std::string shares;
      for (const snapshot::Destination& one : destinations) {
        absl::StrAppend(&shares, shares.empty() ? "" : ", ", one.upto - before, " to ",
                        snapshot_.clusters[one.cluster].name);
        before = one.upto;
      }
      AddReason(absl::StrCat("of ", before, " such, ", shares, "; taken here is the first"));
    }
    if (cluster_->endpoints.empty() && !cluster_->dns.empty()) {
      AddReason(absl::StrCat("it goes to ", cluster_->name, ", for which the agent asks DNS for ",
                             cluster_->dns.front().host));
      return true;
    }
    if (cluster_->endpoints.empty()) {
      AddReason(absl::StrCat("but ", cluster_->name,
                             " has no endpoint: no connected workload is behind it"));
      return false;
    }
    AddReason(absl::StrCat("it goes to ", cluster_->name, ", which has ",
                           cluster_->endpoints.size(),
                           cluster_->endpoints.size() == 1 ? " endpoint" : " endpoints",
                           BalancingText(cluster_->balancing)));
    return true;
  }

  static const char* BalancingText(const snapshot::LoadBalancing& balancing) {
    using HashOn = snapshot::LoadBalancing::HashOn;
    if (balancing.policy != snapshot::LoadBalancing::Policy::kMaglev) return "";
    switch (balancing.hash_on) {
      case HashOn::kClient:
        return "; always the same one for this client";
      case HashOn::kHeader:
        return "; always the same one for this value of its header";
      case HashOn::kCookie:
        return "; always the same one for this cookie";
      case HashOn::kQuery:
        return "; always the same one for this value of its query";
    }
    return "";
  }

  void Forward(const trust::Resolution& resolution) {
    response_.set_upstream_source(UpstreamSource(resolution));
    const bool has_sidecar = cluster_ != nullptr && !cluster_->endpoints.empty() &&
                             cluster_->endpoints.front().has_sidecar;
    if (!access_.is_http) {
      if (cluster_ == nullptr) return;
      const trust::ProxyVersion version =
          trust::ProxyVersionToSend(snapshot_.topology, has_sidecar);
      if (version == trust::ProxyVersion::kNone) return;
      response_.add_upstream_headers(
          absl::StrCat("(PROXY protocol v", version == trust::ProxyVersion::kV1 ? 1 : 2,
                       " header: ", resolution.client.ip().ToString(), ")"));
      return;
    }
    ForwardHeaders(resolution, has_sidecar);
  }

  void ForwardHeaders(const trust::Resolution& resolution, bool has_sidecar) {
    size_t head_bytes = access_.method.size() + access_.target.size();
    for (const http::HeaderField& field : access_.fields) {
      head_bytes += field.name.size() + field.value.size() + 4;
    }
    std::vector<char> memory(trust::ForwardingMemory(head_bytes));
    const auto plan = trust::PlanForwarding(
        access_.Evidence(), resolution, snapshot_.topology,
        {.endpoint_has_sidecar = has_sidecar, .fresh_request_id = kFreshId}, memory);
    if (!plan) {
      AddReason("but its header fields are too many to be forwarded (answered with 431)");
      return;
    }
    const http::FieldSet dropped =
        plan->dropped |
        http::ReadConnectionOptions(access_.fields, access_.ids, /*upgrade_may_pass=*/true).drop;
    for (size_t i = 0; i < access_.fields.size(); ++i) {
      if (!dropped.Contains(i)) AddReceived(access_.fields[i]);
    }
    for (const http::HeaderField& field : plan->Added()) AddHeader(field);
    if (edit_ != nullptr) {
      for (const auto& [name, value] : edit_->lines) AddHeader({name, value});
    }
    if (plan->spoof_attempts > 0) {
      AddReason(absl::StrCat(plan->spoof_attempts,
                             " header fields claimed what their sender may not claim and are "
                             "removed"));
    }
  }

  // As the route has it: `host` rewritten, or left out.
  void AddReceived(const http::HeaderField& field) {
    if (edit_ != nullptr && edit_->Drops(field.name)) return;
    const bool is_host = EqualsIgnoreCase(field.name, "host");
    if (is_host && action_ != nullptr && action_->rewrite && !action_->rewrite->authority.empty()) {
      return AddHeader({field.name, action_->rewrite->authority});
    }
    AddHeader(field);
  }

  void AddHeader(const http::HeaderField& field) {
    response_.add_upstream_headers(absl::StrCat(ToAbsl(field.name), ": ", ToAbsl(field.value)));
  }

  std::string UpstreamSource(const trust::Resolution& resolution) const {
    if (snapshot_.topology.role != trust::Role::kSidecar) return "the agent's own address";
    constexpr const char* kRedirect = " (where interception is REDIRECT: 127.0.0.6 or ::6)";
    switch (snapshot_.topology.upstream_source) {
      case trust::UpstreamSource::kDirectPeer:
        return absl::StrCat(access_.peer.address.ip.ToString(), kRedirect);
      case trust::UpstreamSource::kTrustedClient:
        return absl::StrCat(resolution.client.ip().ToString(), kRedirect);
      case trust::UpstreamSource::kAgent:
        break;
    }
    return "the agent's own address";
  }

  const snapshot::Snapshot& snapshot_;
  const Access& access_;
  const WallTime now_;
  const std::string destination_user_;
  v1::ExplainResponse& response_;
  const snapshot::Cluster* cluster_ = nullptr;
  const snapshot::RouteAction* action_ = nullptr;
  const snapshot::HeaderEdit* edit_ = nullptr;
};

}  // namespace

absl::StatusOr<v1::ExplainResponse> Explain(const snapshot::Snapshot& snapshot,
                                            const v1::WorkloadBundle& bundle,
                                            const v1::ExplainRequest& request, WallTime now) {
  absl::StatusOr<Access> access = DescribeAccess(snapshot, request);
  if (!access.ok()) return access.status();
  v1::ExplainResponse response;
  response.set_workload(absl::StrCat(bundle.namespace_(), "/", bundle.workload()));
  response.set_role(bundle.role());
  response.set_topology_source(bundle.trust().source());
  *response.mutable_topology() = bundle.trust().spec();
  response.set_revision(bundle.revision());
  Explainer(snapshot, *access, now, LooksAtDestination(bundle), &response).Run();
  return response;
}

}  // namespace whence::explain
