// What every connection of one worker shares. Loop-affine; owned by the worker, outlives its
// connections.
#ifndef WHENCE_DATAPLANE_PROXY_CONTEXT_H_
#define WHENCE_DATAPLANE_PROXY_CONTEXT_H_

#include <memory>
#include <string>
#include <vector>

#include "common/http/head.h"
#include "common/http/http_date.h"
#include "common/snapshot/snapshot.h"
#include "dataplane/access_log/ring.h"
#include "dataplane/loop/event_loop.h"
#include "dataplane/proxy/balancer.h"
#include "dataplane/proxy/buffer.h"
#include "dataplane/proxy/connector.h"
#include "dataplane/proxy/counters.h"
#include "dataplane/proxy/data_plane.h"
#include "dataplane/proxy/pending_requests.h"
#include "dataplane/proxy/request_id.h"
#include "dataplane/proxy/source_port.h"
#include "dataplane/proxy/spares.h"
#include "dataplane/proxy/upstream_pool.h"

namespace whence::proxy {

class Downstream;
struct Exchange;

// Who owns the downstream connections.
class DownstreamOwner {
 public:
  virtual void Adopt(std::unique_ptr<Downstream> connection) = 0;
  // Takes `connection` out and destroys it at the end of the round.
  virtual void Forget(Downstream& connection) = 0;
  virtual size_t connection_count() const = 0;
  // An application does not answer: it may have few threads, which wait on connections that are
  // kept for clients of the past. All workers close theirs.
  virtual void MakeRoom() = 0;

 protected:
  ~DownstreamOwner() = default;
};

struct Context {
  // Constant after construction.
  loop::EventLoop& loop;
  const DataPlaneOptions& options;
  WorkerCounters& counters;
  access_log::Ring& ring;
  TupleTable& tuples;
  DownstreamOwner& owner;

  BufferPool buffers;
  PipePool pipes;
  Connector connector;
  Balancer balancer;
  PendingRequests pending;
  UpstreamPool pool;
  RequestIds request_ids;

  std::shared_ptr<const snapshot::Snapshot> snapshot;  // the newest; never null while running
  bool draining = false;
  std::chrono::milliseconds drain_idle_timeout{0};  // while draining

  // Memory for one head at a time: a head is parsed, judged and written in one go, so that one
  // place serves all connections.
  http::HeadStorage heads;
  std::vector<char> forwarding_memory;
  std::vector<char> target_memory;
  std::string route_memory;  // a rewritten target, or a Location; keeps its capacity
  Spares<std::unique_ptr<Exchange>> spare_exchanges;
  http::HttpDate date;

  // For a Date field. Valid until the next call.
  std::string_view DateText() {
    return date.At(
        std::chrono::floor<std::chrono::seconds>(loop.wall_now().time_since_epoch()).count());
  }
  // How long a connection may wait for its next request.
  std::chrono::milliseconds keep_alive_timeout() const {
    return draining ? drain_idle_timeout : options.limits.keep_alive_timeout;
  }
  http::HeadLimits head_limits() const {
    return {.max_bytes = options.limits.max_header_bytes,
            .max_fields = options.limits.max_header_fields};
  }
};

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_CONTEXT_H_
