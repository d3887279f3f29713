// One request and its response, as far as they got. Data only; http_session.h says how it moves.
#ifndef WHENCE_DATAPLANE_PROXY_EXCHANGE_H_
#define WHENCE_DATAPLANE_PROXY_EXCHANGE_H_

#include <algorithm>
#include <memory>
#include <new>
#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/http/body_decoder.h"
#include "common/http/response_head.h"
#include "common/net/socket_address.h"
#include "common/proxy_protocol/handover.h"
#include "common/snapshot/cluster.h"
#include "common/snapshot/route_action.h"
#include "dataplane/access_log/record.h"
#include "dataplane/proxy/balancer.h"
#include "dataplane/proxy/buffer.h"
#include "dataplane/proxy/connection_quota.h"
#include "dataplane/proxy/source_choice.h"
#include "dataplane/proxy/stream.h"

namespace whence::proxy {

// Bodies at least this long are read in large pieces.
inline constexpr uint64_t kLongBody = 128 * 1024;

// What is certain to come behind the bytes in `in`, of which the decoder has passed none of `raw`.
inline uint64_t BytesAhead(const http::BodyDecoder& body, const ReadBuffer& in) {
  if (body.framing() != http::BodyFraming::kContentLength) return Stream::kUnknown;
  return body.payload_ahead() - std::min<uint64_t>(body.payload_ahead(), in.raw().size());
}

// Taken from and given back to Context::spare_exchanges. An idle connection has none.
struct Exchange : InPages {
  access_log::Record record;
  SteadyTime began;

  // Request.
  WriteBuffer received_head;  // of a request that goes on, to judge it again; never sent
  http::BodyDecoder request_body;
  WriteBuffer to_upstream;  // the head; kept until the response begins, for a retry
  bool http10 = false;      // the client's version: no chunks and no interim responses
  bool expects_continue = false;
  bool keep_alive = false;                // downstream may carry another request
  bool client_closes = false;             // the client said that it sends no other
  bool idempotent_bodiless = false;       // may be sent again when a stale connection swallowed it
  bool authenticates_connection = false;  // by NTLM or Negotiate: the upstream is this client's
  bool request_given_up = false;          // upstream takes no more of it
  bool had_body = false;
  std::chrono::milliseconds room_wait{0};  // 0: it was not asked for yet (HttpSession::AskForRoom)
  bool rest_of_request_asked = false, rest_of_response_asked = false;  // Stream::AckNow

  // Where it goes.
  net::SocketAddress destination;
  SourceChoice source;
  std::optional<uint32_t> cluster;  // gateways; until there is a newer snapshot
  bool endpoint_has_sidecar = false;
  std::optional<proxy_protocol::HandoverKey> handover_key;  // of the endpoint's agent
  bool retried = false;
  uint8_t port_tries = 0;             // Connector::TriesAnotherPort
  EndpointState* endpoint = nullptr;  // counts this exchange as under way; null: nothing is counted
  snapshot::ConnectionLimits limits;  // of the cluster
  std::shared_ptr<ConnectionQuota> quota;  // null: it has as many connections as it likes
  std::string set_cookie;                  // for a client that came without the cookie to hash on

  // What the route asks for besides; null: nothing.
  std::shared_ptr<const snapshot::RouteAction> action;
  const snapshot::Destination* share = nullptr;  // in `action`: where it goes
  uint32_t tries_left = 0;                       // of action->retries
  bool idempotent = false;                       // RFC 9110, 9.2.2
  bool replayable = true;              // all that was sent of the request is still in to_upstream
  bool timed = false;                  // the route has timeouts
  bool try_timed = false;              // and the one of this try runs
  std::optional<SteadyTime> deadline;  // of the whole; begins when the request is complete

  // Response.
  http::ResponseContext response_context;
  http::HeadProgress response_progress;
  http::BodyDecoder response_body;
  WriteBuffer to_downstream;        // heads, or the whole of an answer of our own
  bool local = false;               // we answer ourselves
  bool response_head_done = false;  // of the final response
  bool until_close = false;         // the response ends with the connection
  bool dechunk = false;
  bool upstream_keep_alive = false;
  bool tunnel = false;
  bool truncated =
      false;  // the response broke off: what there is goes out, then the connection ends

  // As it was at first. In place, and without the parentheses that would clear it before: of the
  // record's text, which is most of it, nobody reads what nobody wrote.
  void Renew() {
    std::destroy_at(this);
    ::new (static_cast<void*>(this)) Exchange;
  }

  // The response is complete as far as upstream, or we, are concerned.
  bool response_over() const { return response_head_done && (response_body.done() || truncated); }
};

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_EXCHANGE_H_
