// What a gateway's route does with a request: where it goes, how long it may take, how often it is
// tried, or what is answered instead.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "common/http/head_writer.h"
#include "common/snapshot/router.h"
#include "dataplane/proxy/error_response.h"
#include "dataplane/proxy/header_edit.h"
#include "dataplane/proxy/http_session.h"
#include "dataplane/proxy/listeners.h"

namespace whence::proxy {

using access_log::Flag;
using snapshot::RetryPolicy;

bool HttpSession::ChooseDestination(const http::RequestHead& head,
                                    const trust::Resolution& resolution) {
  Exchange& x = *exchange_;
  if (downstream_.listener_port() == 0) {
    x.destination = downstream_.destination().address;
    return true;
  }
  const snapshot::Listener* listener =
      FindListener(*context_.snapshot, downstream_.listener_port());
  const snapshot::RoutedRequest request{.host = head.host,
                                        .target = head.target,
                                        .method = head.method,
                                        .fields = head.fields,
                                        .ids = head.ids,
                                        .peer_is_trusted = resolution.peer_is_trusted,
                                        .client = &resolution.client};
  const snapshot::Route* route =
      listener == nullptr ? nullptr : snapshot::Match(*listener, request);
  if (route == nullptr) {
    context_.counters.Add(Counter::kNoRoute);
    x.record.Add(Flag::kNoRoute);
    Reply(404, "no route for this host and path");
    return false;
  }
  if (route->action == nullptr) return ChooseEndpoint(route->cluster, request);
  x.action = route->action;
  if (x.action->destinations.empty()) {
    AnswerFromRoute(request);
    return false;
  }
  x.share = &x.action->Pick(context_.balancer.Random32());
  if (x.action->retries) x.tries_left = x.action->retries->attempts;
  x.timed = x.action->timeout.count() > 0 ||
            (x.action->retries && x.action->retries->per_try_timeout.count() > 0);
  const std::string_view target =
      snapshot::RewriteTarget(*route, head.target, &context_.route_memory);
  if (target.data() != context_.route_memory.data()) context_.route_memory.clear();
  return ChooseEndpoint(x.share->cluster, request);
}

bool HttpSession::ChooseEndpoint(uint32_t cluster, const snapshot::RoutedRequest& request) {
  Exchange& x = *exchange_;
  const snapshot::Snapshot& snapshot = *context_.snapshot;
  const snapshot::Cluster& known = snapshot.clusters[cluster];
  std::optional<uint64_t> hash;
  if (known.balancing.policy == snapshot::LoadBalancing::Policy::kMaglev) {
    hash = known.balancing.HashOf(request);
    if (!hash && known.balancing.cookie_ttl) hash = MakeCookie(known.balancing);
  }
  const Balancer::Chosen chosen =
      context_.balancer.Next(cluster, request.client->ip(), hash, context_.loop.now());
  const snapshot::Endpoint* endpoint = chosen.endpoint;
  if (endpoint == nullptr) {
    context_.counters.Add(Counter::kNoEndpoint);
    x.record.Add(Flag::kNoRoute);
    Reply(503, "no endpoint is connected");
    return false;
  }
  if (IsOwnListener(context_.options, snapshot, endpoint->address)) {
    context_.counters.Add(Counter::kLoops);
    x.record.Add(Flag::kLoop);
    Reply(503, "the route leads back to this gateway");
    return false;
  }
  x.destination = endpoint->address;
  x.cluster = cluster;
  x.endpoint_has_sidecar = endpoint->has_sidecar;
  x.handover_key = endpoint->handover_key;
  x.limits = known.limits;
  x.quota = context_.pending.QuotaOf(cluster);
  CountEndpoint(chosen.state);
  return true;
}

uint64_t HttpSession::MakeCookie(const snapshot::LoadBalancing& balancing) {
  std::string& line = exchange_->set_cookie;
  char value[17];
  std::snprintf(value, sizeof(value), "%016llx",
                static_cast<unsigned long long>(context_.balancer.Random64()));
  line = balancing.name + "=" + value;
  if (balancing.cookie_ttl->count() > 0) {
    line += "; Max-Age=" + std::to_string(balancing.cookie_ttl->count());
  }
  if (!balancing.cookie_path.empty()) line += "; Path=" + balancing.cookie_path;
  line += "; HttpOnly";
  return snapshot::StableHash(value);
}

void HttpSession::CountEndpoint(EndpointState* state) {
  EndpointState*& counted = exchange_->endpoint;
  if (counted != nullptr) --counted->active;
  counted = state;
  if (state != nullptr) ++state->active;
}

void HttpSession::ReportEndpoint(int status) {
  if (exchange_->endpoint == nullptr) return;
  context_.balancer.Report(*exchange_->endpoint, status, context_.loop.now());
}

void HttpSession::AnswerFromRoute(const snapshot::RoutedRequest& request) {
  Exchange& x = *exchange_;
  const snapshot::RouteAction& action = *x.action;
  std::string& location = context_.route_memory;
  location.clear();
  if (action.redirect) snapshot::WriteLocation(*action.redirect, request, &location);
  const int status = action.redirect ? action.redirect->status : action.direct_response->status;
  const std::string_view body =
      action.redirect ? std::string_view() : std::string_view(action.direct_response->body);
  const bool has_body = status != 204 && status != 304;  // RFC 9110, 6.4.1
  constexpr size_t kOwnLines = 256;
  BeginReply();
  http::HeadWriter writer(x.to_downstream.Room(
      context_.buffers, location.size() + body.size() + action.response.line_bytes + kOwnLines));
  writer.StatusLine(status, ReasonPhrase(status));
  writer.Field("date", context_.DateText());
  if (!location.empty()) writer.Field("location", location);
  if (has_body) writer.Field("content-length", body.size());
  const bool has_type = body.empty() || action.response.Drops("content-type") ||
                        action.response.Writes("content-type");
  if (!has_type) writer.Field("content-type", "text/plain");
  WriteEdited(action.response, &writer);
  if (!x.keep_alive) writer.Field("connection", "close");
  writer.End();
  if (has_body && !x.response_context.head) writer.Raw(body);
  x.to_downstream.Written(writer.written().size());
  EndReply(status);
}

std::chrono::milliseconds HttpSession::TimeLeft() const {
  const Exchange& x = *exchange_;
  std::chrono::milliseconds left = std::chrono::milliseconds::max();
  if (x.deadline) {
    left = std::chrono::ceil<std::chrono::milliseconds>(*x.deadline - context_.loop.now());
  }
  if (!x.response_head_done && x.action->retries &&
      x.action->retries->per_try_timeout.count() > 0) {
    left = std::min(left, x.action->retries->per_try_timeout);
  }
  return std::max(left, std::chrono::milliseconds(0));
}

void HttpSession::StartClock() {
  Exchange& x = *exchange_;
  if (!x.deadline && x.action->timeout.count() > 0) {
    x.deadline = context_.loop.now() + x.action->timeout;
  }
}

void HttpSession::TimeConnect() {
  exchange_->try_timed = false;
  auto limit = exchange_->limits.connect_timeout;
  if (limit.count() == 0) limit = context_.options.limits.connect_timeout;
  upstream_->ArmTimer(exchange_->timed ? std::min(limit, TimeLeft()) : limit);
}

void HttpSession::TimeResponse() {
  // From here on only the whole counts: an answer that has begun cannot be taken back.
  if (exchange_->deadline && !exchange_->tunnel) {
    upstream_->ArmTimer(TimeLeft());
  } else {
    upstream_->CancelTimer();
  }
}

bool HttpSession::KeepTime() {
  Exchange& x = *exchange_;
  if (upstream_->timed_out()) {
    TryTimedOut();
    return false;
  }
  if (x.try_timed || x.response_head_done || !x.request_body.done()) return true;
  x.try_timed = true;
  StartClock();
  upstream_->ArmTimer(TimeLeft());
  return true;
}

void HttpSession::TryTimedOut() {
  Exchange& x = *exchange_;
  context_.counters.Add(Counter::kUpstreamTimeouts);
  if (x.response_head_done) return Abort(Flag::kUpstreamTimeout);
  ReportEndpoint(0);
  if (MayTryAgain(RetryPolicy::kTimeout)) return TryAgain();
  x.record.Add(Flag::kUpstreamTimeout);
  Reply(504, "upstream request timeout");
}

bool HttpSession::MayTryAgain() const {
  const Exchange& x = *exchange_;
  if (x.tries_left == 0 || x.response_head_done || x.local || !x.replayable) return false;
  if (!x.idempotent && !x.to_upstream.untouched()) return false;
  if (x.deadline && *x.deadline <= context_.loop.now()) return false;
  return x.cluster && *x.cluster < context_.snapshot->clusters.size();
}

bool HttpSession::MayTryAgain(uint8_t cause) const {
  return exchange_->tries_left > 0 && exchange_->action->retries->Wants(cause) && MayTryAgain();
}

void HttpSession::TryAgain() {
  Exchange& x = *exchange_;
  --x.tries_left;
  context_.counters.Add(Counter::kUpstreamRetries);
  ReleaseUpstream(/*reusable=*/false);
  x.to_upstream.Rewind();
  x.request_given_up = x.try_timed = false;
  x.response_progress = {};
  // The same one again if there is no other: a policy's attempts are meant for that, too.
  GoToAnother();
  ObtainUpstream();
}

bool HttpSession::GoToAnother() {
  Exchange& x = *exchange_;
  const Balancer::Chosen other =
      context_.balancer.Another(*x.cluster, x.record.client_address, x.destination,
                                x.endpoint_has_sidecar, context_.loop.now());
  if (other.endpoint == nullptr) return false;
  x.destination = other.endpoint->address;
  x.handover_key = other.endpoint->handover_key;
  CountEndpoint(other.state);
  return true;
}

void HttpSession::KeepBody() {
  Exchange& x = *exchange_;
  const std::string_view body = downstream_.in.ready();
  if (!x.replayable || x.to_upstream.room() < body.size()) {
    x.replayable = false;
    return;
  }
  std::memcpy(x.to_upstream.Room(context_.buffers, body.size()).data(), body.data(), body.size());
  x.to_upstream.Written(body.size());
  downstream_.in.Sent(body.size());
}

}  // namespace whence::proxy
