// Who is it, and may they? The core's two questions, asked for a request or a connection. Pure.
#ifndef WHENCE_DATAPLANE_PROXY_JUDGEMENT_H_
#define WHENCE_DATAPLANE_PROXY_JUDGEMENT_H_

#include <optional>

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

// What a connection is, whatever is said on it.
struct ConnectionFacts {
  net::DirectPeer peer;
  net::OriginalDestination destination;
  // The client that the PROXY protocol header named.
  std::optional<net::SocketAddress> proxy_source = {};
  trust::AgentWord agent_word = trust::AgentWord::kNone;
};

Judgement JudgeRequest(const snapshot::Snapshot& snapshot, const ConnectionFacts& connection,
                       const http::RequestHead& head, WallTime now);
Judgement JudgeConnection(const snapshot::Snapshot& snapshot, const ConnectionFacts& connection,
                          WallTime now);

// An HTTP connection on which nothing is being asked: denied if every request would be, whatever it
// asks for and, where the peer may speak for others, whoever it names.
Judgement JudgeAnyRequest(const snapshot::Snapshot& snapshot, const ConnectionFacts& connection,
                          WallTime now);

// The evidence of a request; borrowed from its head.
trust::Evidence EvidenceOf(const ConnectionFacts& connection, const http::RequestHead& head);
// Of a connection of which nothing was understood, for its record.
trust::Resolution ResolveConnection(const snapshot::Snapshot& snapshot,
                                    const ConnectionFacts& connection);

// Writes client, reason, decision and policy into the record.
void Describe(const Judgement& judgement, access_log::Record* record);

// Which of a decision's three counters counts it.
Counter RequestCounter(const policy::Verdict& verdict);
Counter ConnectionCounter(const policy::Verdict& verdict);

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_JUDGEMENT_H_
