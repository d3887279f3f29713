#include "dataplane/proxy/judgement.h"

namespace whence::proxy {
namespace {

Counter Pick(const policy::Verdict& verdict, Counter allow, Counter deny, Counter dry_run) {
  if (!verdict.allowed) return deny;
  return verdict.dry_run_deny ? dry_run : allow;
}

}  // namespace

trust::Evidence EvidenceOf(const ConnectionFacts& connection, const http::RequestHead& head) {
  return {.fields = head.fields,
          .ids = head.ids,
          .proxy_source = connection.proxy_source,
          .agent_word = connection.agent_word};
}

trust::Resolution ResolveConnection(const snapshot::Snapshot& snapshot,
                                    const ConnectionFacts& connection) {
  return trust::Resolve(
      connection.peer,
      {.proxy_source = connection.proxy_source, .agent_word = connection.agent_word},
      snapshot.topology);
}

Judgement JudgeRequest(const snapshot::Snapshot& snapshot, const ConnectionFacts& connection,
                       const http::RequestHead& head, WallTime now) {
  const trust::Resolution resolution =
      trust::Resolve(connection.peer, EvidenceOf(connection, head), snapshot.topology);
  const policy::Verdict verdict = snapshot.policies->Evaluate({
      .peer = connection.peer,
      .client = resolution.client,
      .destination = connection.destination,
      .is_http = true,
      .method = head.method,
      .host = head.host,
      .target = head.target,
      .headers = head.fields,
      .now = now,
  });
  return {resolution, verdict};
}

Judgement JudgeConnection(const snapshot::Snapshot& snapshot, const ConnectionFacts& connection,
                          WallTime now) {
  const trust::Resolution resolution = ResolveConnection(snapshot, connection);
  const policy::Verdict verdict = snapshot.policies->Evaluate({
      .peer = connection.peer,
      .client = resolution.client,
      .destination = connection.destination,
      .is_http = false,
      .now = now,
  });
  return {resolution, verdict};
}

Judgement JudgeAnyRequest(const snapshot::Snapshot& snapshot, const ConnectionFacts& connection,
                          WallTime now) {
  using Known = policy::RequestFacts::Known;
  const trust::Resolution resolution = ResolveConnection(snapshot, connection);
  const policy::Verdict verdict = snapshot.policies->Evaluate({
      .peer = connection.peer,
      .client = resolution.client,
      .destination = connection.destination,
      .is_http = true,
      .known = resolution.peer_is_trusted ? Known::kPeer : Known::kConnection,
      .now = now,
  });
  return {resolution, verdict};
}

void Describe(const Judgement& judgement, access_log::Record* record) {
  using access_log::Decision;
  char reason[trust::kMaxReasonText];
  record->SetClient(judgement.resolution.client);
  record->Set(access_log::Text::kReason,
              {reason, trust::FormatReason(judgement.resolution, reason)});
  const policy::Verdict& verdict = judgement.verdict;
  const bool dry_run = verdict.allowed && verdict.dry_run_deny;
  record->decision = !verdict.allowed ? Decision::kDeny
                     : dry_run        ? Decision::kDryRunDeny
                                      : Decision::kAllow;
  const std::string* policy = dry_run ? verdict.dry_run_policy : verdict.policy;
  if (policy != nullptr) record->Set(access_log::Text::kPolicy, *policy);
}

Counter RequestCounter(const policy::Verdict& verdict) {
  return Pick(verdict, Counter::kRequestsAllowed, Counter::kRequestsDenied,
              Counter::kRequestsDryRunDenied);
}

Counter ConnectionCounter(const policy::Verdict& verdict) {
  return Pick(verdict, Counter::kTcpAllowed, Counter::kTcpDenied, Counter::kTcpDryRunDenied);
}

}  // namespace whence::proxy
