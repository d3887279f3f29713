// The access that an ExplainRequest describes, in the form in which an agent would meet it.
#ifndef WHENCE_COMMON_EXPLAIN_ACCESS_H_
#define WHENCE_COMMON_EXPLAIN_ACCESS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/http/field_id.h"
#include "common/http/field_set.h"
#include "common/http/header_field.h"
#include "common/net/roles.h"
#include "common/snapshot/snapshot.h"
#include "common/trust/resolver.h"
#include "whence/v1/admin.pb.h"

namespace whence::explain {

// Borrows from the request, which must outlive it. Copies keep borrowing from the same.
struct Access {
  net::DirectPeer peer;
  net::OriginalDestination destination;
  bool has_destination = false;  // else its address is nobody's, and only its port means something
  bool is_http = true;
  std::string method, target, host;
  std::vector<http::HeaderField> fields;  // as they would be received, Host first
  std::vector<http::FieldId> ids;         // parallel
  std::optional<net::SocketAddress> proxy_source;
  const snapshot::Listener* listener = nullptr;  // a gateway's, for the port

  // Of an agent of the mesh it is taken that it proves to be one, as ours do.
  trust::Evidence Evidence() const {
    return {fields, ids, proxy_source,
            proxy_source ? trust::AgentWord::kForClient : trust::AgentWord::kOwn};
  }
};

// Fills in what is not said: GET, "/", and the port of the gateway's first listener or 80.
// InvalidArgument names the field of the request that is wrong.
absl::StatusOr<Access> DescribeAccess(const snapshot::Snapshot& snapshot,
                                      const v1::ExplainRequest& request);

}  // namespace whence::explain

#endif  // WHENCE_COMMON_EXPLAIN_ACCESS_H_
