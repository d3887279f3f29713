// Who is it, and may they? The core's two questions, asked for a request or a connection. Pure.
#ifndef WHENCE_DATAPLANE_PROXY_JUDGEMENT_H_
#define WHENCE_DATAPLANE_PROXY_JUDGEMENT_H_

#include "common/base/clock.h"
#include "common/http/request_head.h"
#include "common/net/roles.h"
#include "common/policy/policy_set.h"
#include "common/snapshot/snapshot.h"
#include "common/trust/resolver.h"
#include "dataplane/access_log/record.h"
#include "dataplane/proxy/counters.h"

namespace whence::proxy {

struct Judgement {
  trust::Resolution resolution;
  policy::Verdict verdict;  // borrows from the snapshot
};

Judgement JudgeRequest(const snapshot::Snapshot& snapshot, const net::DirectPeer& peer,
                       const net::OriginalDestination& destination, const http::RequestHead& head,
                       WallTime now);
Judgement JudgeConnection(const snapshot::Snapshot& snapshot, const net::DirectPeer& peer,
                          const net::OriginalDestination& destination, WallTime now);

// The evidence of a request head; borrowed from it.
trust::Evidence EvidenceOf(const http::RequestHead& head);

// Writes client, reason, decision and policy into the record.
void Describe(const Judgement& judgement, access_log::Record* record);

// Which of a decision's three counters counts it.
Counter RequestCounter(const policy::Verdict& verdict);
Counter ConnectionCounter(const policy::Verdict& verdict);

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_JUDGEMENT_H_
