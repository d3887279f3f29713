// The way of a request: judged, given a destination, rewritten, sent.
#include <algorithm>
#include <charconv>
#include <cstring>

#include "common/base/strings.h"
#include "common/http/head_writer.h"
#include "common/proxy_protocol/parser.h"
#include "common/trust/forwarding.h"
#include "dataplane/proxy/error_response.h"
#include "dataplane/proxy/header_edit.h"
#include "dataplane/proxy/http_session.h"
#include "dataplane/proxy/splice.h"

namespace whence::proxy {

using access_log::Flag;
using access_log::Text;

namespace {

// RFC 9110, 9.2.2, without those that change something: sending them twice changes nothing either,
// but the application may have logged or metered the first.
bool IsSafeToRepeat(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS";
}
// All of them: for routes that ask for retries.
bool IsIdempotent(std::string_view method) {
  return IsSafeToRepeat(method) || method == "PUT" || method == "DELETE";
}

// Queries carry tokens and names; the log has the path, unless the mesh wants them.
std::string_view WithoutQuery(std::string_view target) {
  return target.substr(0, target.find('?'));
}

void DescribeRequest(const http::RequestHead& head, bool keep_query, access_log::Record* record) {
  record->protocol =
      head.minor_version == 0 ? access_log::Protocol::kHttp10 : access_log::Protocol::kHttp11;
  record->Set(Text::kMethod, head.method);
  record->Set(Text::kHost, head.host);
  record->Set(Text::kPath, keep_query ? head.target : WithoutQuery(head.target));
  for (size_t i = 0; i < head.fields.size(); ++i) {
    if (head.ids[i] == http::FieldId::kXForwardedFor) {
      record->AppendListItem(Text::kForwardedFor, head.fields[i].value);
    }
  }
}

// RFC 9110, 7.6.2. The value to send on; nullopt: the field is malformed.
std::optional<uint64_t> ReadMaxForwards(std::string_view value) {
  uint64_t hops = 0;
  const char* const end = value.data() + value.size();
  const auto [rest, error] = std::from_chars(value.data(), end, hops);
  if (error != std::errc() || rest != end) return std::nullopt;
  return hops;
}

bool IsMaxForwards(const http::HeaderField& field) {
  return EqualsIgnoreCase(field.name, "max-forwards");
}

// Fields that our own head needs besides: `Connection`, for what it must name.
std::string_view ConnectionFor(const http::RequestHead& head) {
  bool te = false;
  if (std::memchr(head.ids.data(), static_cast<int>(http::FieldId::kTe), head.ids.size())) {
    for (size_t i = 0; i < head.ids.size(); ++i) {
      te |= head.ids[i] == http::FieldId::kTe && !head.hop_by_hop.Contains(i);
    }
  }
  if (head.upgrade.empty()) return te ? "te" : "";
  return te ? "upgrade, te" : "upgrade";
}

// RFC 4559, 6: one such header vouches for all that follows on the connection.
bool AuthenticatesConnection(const http::RequestHead& head) {
  for (size_t i = 0; i < head.fields.size(); ++i) {
    const http::HeaderField& field = head.fields[i];
    if (head.ids[i] != http::FieldId::kOther || !EqualsIgnoreCase(field.name, "authorization")) {
      continue;
    }
    for (const std::string_view scheme : {"negotiate", "ntlm"}) {
      if (EqualsIgnoreCase(field.value.substr(0, scheme.size()), scheme)) return true;
    }
  }
  return false;
}

size_t AddedBytes(const trust::Forwarding& plan) {
  size_t bytes = 0;
  for (const http::HeaderField& field : plan.Added()) {
    bytes += field.name.size() + field.value.size() + 4;
  }
  return bytes;
}

}  // namespace

void HttpSession::RejectHead(const http::ParseResult& result) {
  BeginExchange();
  Exchange& x = *exchange_;
  const trust::Resolution nobody = ResolveConnection(*context_.snapshot, downstream_.facts());
  x.record.protocol = access_log::Protocol::kHttp11;
  x.record.SetClient(nobody.client);
  x.record.Set(Text::kReason, trust::ReasonText(nobody));
  x.record.decision = access_log::Decision::kDeny;
  x.record.Add(Flag::kDownstreamProtocolError);
  if (proxy_protocol::HasSignature(downstream_.in.raw())) {
    x.record.Add(Flag::kProxyHeaderUnexpected);
  }
  x.record.bytes_in = downstream_.in.raw().size();
  context_.counters.Add(Counter::kBadRequests);
  if (result.over_limit()) context_.counters.Add(Counter::kHeadsOverLimit);
  Reply(result.http_status, result.reason);
}

void HttpSession::Serve(const http::RequestHead& head) {
  Exchange& x = *exchange_;
  const Limits& limits = context_.options.limits;
  // The views of `head` stay valid: nothing is read into the buffer before we return.
  const std::string_view head_text = downstream_.in.raw().substr(0, head.head_bytes);
  downstream_.in.Skip(head.head_bytes);
  x.record.bytes_in = head.head_bytes;
  x.request_body = http::BodyDecoder(head.framing, head.content_length);
  x.had_body = !x.request_body.done();
  x.http10 = head.minor_version == 0;
  x.expects_continue = head.expect_continue;
  x.client_closes = !head.keep_alive;
  const bool was_last =
      limits.max_requests_per_connection != 0 && requests_ >= limits.max_requests_per_connection;
  if (was_last) context_.counters.Add(Counter::kConnectionsRecycled);
  x.keep_alive = head.keep_alive && !was_last && !context_.draining;
  x.idempotent_bodiless = x.request_body.done() && IsSafeToRepeat(head.method);
  x.idempotent = IsIdempotent(head.method);
  x.authenticates_connection = AuthenticatesConnection(head);
  x.response_context = {.head = head.method == "HEAD",
                        .connect = head.method == "CONNECT",
                        .upgrade_requested = !head.upgrade.empty()};
  DescribeRequest(head, context_.snapshot->keep_query, &x.record);

  const snapshot::Snapshot& snapshot = *context_.snapshot;
  const Judgement judgement =
      JudgeRequest(snapshot, downstream_.facts(), head, context_.loop.wall_now());
  Describe(judgement, &x.record);
  context_.counters.Add(RequestCounter(judgement.verdict));
  // The path that was judged is the one that is routed and served, where a policy looked at it.
  http::RequestHead onward = head;
  onward.target = snapshot.policies->JudgedTarget(head.target, context_.target_memory);
  const bool goes_on = judgement.verdict.allowed && MayGoFurther(head) &&
                       ChooseDestination(onward, judgement.resolution);

  // Planned for denied requests as well: who tried to pass for another is counted all the more.
  const auto& own = context_.options.own_addresses;
  const trust::ForwardingContext forwarding{
      .downstream_tls = false,
      .own_address = own.empty() ? downstream_.destination().address.ip : own.front(),
      .endpoint_has_sidecar = x.endpoint_has_sidecar,
      .fresh_request_id = context_.request_ids.Next()};
  const auto plan =
      trust::PlanForwarding(EvidenceOf(downstream_.facts(), head), judgement.resolution,
                            snapshot.topology, forwarding, context_.forwarding_memory);
  if (plan) NoteForwarding(*plan);
  if (!judgement.verdict.allowed) return Reply(403, kDeniedBody);
  if (!goes_on) return;
  if (!plan || !WriteUpstreamHead(onward, *plan)) return Reply(431, "too many header fields");
  KeepHead(head_text);
  x.source = ChooseSource(snapshot.topology, context_.options.interception, downstream_.peer(),
                          judgement.resolution.client, x.destination.ip);
  if (x.timed && x.request_body.done()) StartClock();
  ObtainUpstream();
}

void HttpSession::KeepHead(std::string_view text) {
  WriteBuffer& kept = exchange_->received_head;
  std::copy(text.begin(), text.end(), kept.Room(context_.buffers, text.size()).begin());
  kept.Written(text.size());
}

void HttpSession::NoteForwarding(const trust::Forwarding& plan) {
  access_log::Record& record = exchange_->record;
  record.Set(Text::kRequestId, plan.request_id);
  if (const auto external = net::IpAddress::Parse(plan.external_address)) {
    record.external_address = *external;
  }
  if (plan.spoof_attempts == 0) return;
  record.Add(Flag::kSpoofedHeaders);
  context_.counters.Add(Counter::kSpoofedHeaders, plan.spoof_attempts);
}

bool HttpSession::MayGoFurther(const http::RequestHead& head) {
  if (head.method != "OPTIONS") return true;
  for (const http::HeaderField& field : head.fields) {
    if (!IsMaxForwards(field)) continue;
    const auto hops = ReadMaxForwards(field.value);
    if (hops && *hops > 0) continue;
    if (!hops) exchange_->keep_alive = false;
    Reply(hops ? 200 : 400, hops ? "" : "malformed Max-Forwards");
    return false;
  }
  return true;
}

bool HttpSession::WriteUpstreamHead(const http::RequestHead& head, const trust::Forwarding& plan) {
  Exchange& x = *exchange_;
  http::FieldSet drop = head.hop_by_hop | plan.dropped;
  for (size_t i = 0; i < head.fields.size(); ++i) {
    const http::FieldId id = head.ids[i];
    // HTTP/1.0 knows no interim response, and an origin would send one.
    if (id == http::FieldId::kHost || (id == http::FieldId::kExpect && x.http10)) drop.Add(i);
  }
  std::string_view target = head.target, host = head.host;
  const snapshot::HeaderEdit* edit = nullptr;
  if (x.action != nullptr) {
    if (!context_.route_memory.empty()) target = context_.route_memory;
    if (x.action->rewrite && !x.action->rewrite->authority.empty()) {
      host = x.action->rewrite->authority;
    }
    edit = &x.share->request;
    DropEdited(*edit, head.fields, &drop);
  }
  // Our Host for HTTP/1.0 clients without one, Connection, Max-Forwards.
  constexpr size_t kOwnLines = 192;
  const size_t room = head.head_bytes + target.size() + host.size() + AddedBytes(plan) +
                      (edit == nullptr ? 0 : edit->line_bytes) + kOwnLines;
  // What may have to be sent again is kept behind the head.
  const bool keeps_body = x.tries_left > 0 && !x.request_body.done();
  http::HeadWriter writer(x.to_upstream.Room(
      context_.buffers, keeps_body ? std::max(room, BufferPool::kNormal) : room));
  writer.RequestLine(head.method, target);
  if (host.empty()) {
    writer.Field("host", x.destination.ToString());
  } else {
    writer.Field("host", host);
  }
  if (head.method == "OPTIONS") {
    const auto limit = std::find_if(head.fields.begin(), head.fields.end(), IsMaxForwards);
    if (limit != head.fields.end()) {
      writer.Field("max-forwards", ReadMaxForwards(limit->value).value_or(1) - 1);
      for (size_t i = 0; i < head.fields.size(); ++i) {
        if (IsMaxForwards(head.fields[i])) drop.Add(i);
      }
    }
  }
  writer.Fields(head.fields, drop);
  if (edit != nullptr) WriteEdited(*edit, &writer);
  for (const http::HeaderField& field : plan.Added()) writer.Field(field.name, field.value);
  if (const auto options = ConnectionFor(head); !options.empty()) {
    writer.Field("connection", options);
  }
  writer.End();
  if (!writer.ok()) return false;
  x.to_upstream.Written(writer.written().size());
  return true;
}

void HttpSession::ObtainUpstream() {
  Exchange& x = *exchange_;
  const Upstream::Key key = Connector::KeyOf(x.destination, x.source, x.handover_key.has_value());
  if (upstream_ && upstream_->key() != key) ReleaseUpstream(/*reusable=*/false);
  // Who came first is first.
  if (!upstream_ && x.quota && !wait_ && x.quota->waiting() > 0) return AwaitPlace();
  // A client's new connection cannot have gone stale, so what may be lost on one that has, and not
  // be sent again, gets a new one upstream as well.
  const bool may_be_stale = x.idempotent_bodiless || downstream_.listener_port() != 0;
  if (!upstream_ && may_be_stale) {
    upstream_ = context_.pool.Take(key);
    if (upstream_) upstream_->set_user(*this);
  } else if (!upstream_) {
    // An application with few threads would not look at the new one while it waits on the old.
    context_.pool.Drop(key);
  }
  if (!upstream_) ConnectUpstream();
  if (!upstream_) return;
  wait_.reset();
  upstream_->is_personal |= x.authenticates_connection;
  if (upstream_->state() == Upstream::State::kOpen) {
    if (upstream_->used) context_.counters.Add(Counter::kUpstreamReused);
    x.record.upstream_source = upstream_->local_address();
  }
}

void HttpSession::AwaitPlace() {
  Exchange& x = *exchange_;
  if (wait_) return;
  wait_ = context_.pending.Join(x.quota, *this);
  if (!wait_) {
    context_.counters.Add(Counter::kPendingOverflow);
    x.record.Add(Flag::kOverload);
    return Reply(503, "too many requests wait for a connection to this destination");
  }
  context_.counters.Add(Counter::kRequestsPending);
  if (!x.timed || x.action->timeout.count() == 0) return;
  StartClock();
  wait_->ArmTimer(
      std::max(std::chrono::ceil<std::chrono::milliseconds>(*x.deadline - context_.loop.now()),
               std::chrono::milliseconds(0)));
}

void HttpSession::OnPlace() {
  ObtainUpstream();
  if (!wait_) Pump();
}

void HttpSession::OnWaitTimeout() {
  context_.counters.Add(Counter::kUpstreamTimeouts);
  exchange_->record.Add(Flag::kUpstreamTimeout);
  Reply(504, "no connection to the destination became free in time");
  Pump();
}

void HttpSession::ConnectUpstream() {
  Exchange& x = *exchange_;
  ConnectionPlace place;
  if (x.quota && !context_.pending.Take(x.quota, context_.pool, &place)) return AwaitPlace();
  // With a body it goes with the body's first bytes, in one call and one packet.
  const std::string_view first_bytes =
      x.request_body.done() ? x.to_upstream.pending() : std::string_view();
  Connector::Opened opened =
      context_.connector.Open(x.destination, x.source, FallbackSource(context_.snapshot->topology),
                              first_bytes, *this, x.handover_key);
  if (opened.fell_back) x.record.Add(Flag::kSourceFallback);
  switch (opened.outcome) {
    case Connector::Outcome::kStarted:
      upstream_ = std::move(opened.upstream);
      upstream_->place = std::move(place);
      if (x.limits.keep_alive) upstream_->SetKeepAlive(*x.limits.keep_alive);
      upstream_->is_personal = x.authenticates_connection;
      x.to_upstream.Sent(opened.sent);
      x.record.upstream_source = upstream_->local_address();
      if (x.timed || x.limits.connect_timeout.count() > 0) TimeConnect();
      return;
    case Connector::Outcome::kFailed:
      place.Return();  // for another attempt
      return ConnectFailed(/*timed_out=*/false);
    case Connector::Outcome::kSourceUnavailable:
      x.record.Add(Flag::kSourceUnavailable);
      return Reply(503, "the client's address cannot be used as the source");
    case Connector::Outcome::kSourceExhausted:
      x.record.Add(Flag::kSourceUnavailable);
      return Reply(503, "no source port is left");
  }
}

void HttpSession::ConnectFailed(bool timed_out) {
  Exchange& x = *exchange_;
  // A connection that failed at once was counted by the connector.
  if (upstream_) {
    context_.counters.Add(timed_out ? Counter::kUpstreamConnectTimeouts
                                    : Counter::kUpstreamConnectFailed);
  }
  ReleaseUpstream(/*reusable=*/false);
  const bool is_spoofed = x.source.kind == SourceChoice::Kind::kSpoofed;
  if (context_.connector.TriesAnotherPort(is_spoofed, timed_out, &x.port_tries)) {
    return ConnectUpstream();
  }
  ReportEndpoint(0);
  if (x.action != nullptr && x.action->retries) {
    if (MayTryAgain(snapshot::RetryPolicy::kConnectFailure)) return TryAgain();
  } else if (x.cluster && !x.retried && *x.cluster < context_.snapshot->clusters.size()) {
    x.retried = true;
    if (GoToAnother()) {
      context_.counters.Add(Counter::kUpstreamRetries);
      return ObtainUpstream();
    }
  }
  x.record.Add(timed_out ? Flag::kUpstreamTimeout : Flag::kUpstreamConnectFailed);
  Reply(timed_out ? 504 : 503,
        timed_out ? "upstream did not accept in time" : "upstream connect failed");
}

bool HttpSession::MoveRequest() {
  if (exchange_->local || exchange_->request_given_up) return false;
  const bool read = ReadRequestBody();
  if (phase_ != Phase::kExchange || exchange_->local) return true;
  return SendRequest() || read;
}

Io HttpSession::ReadBodyBytes() {
  Exchange& x = *exchange_;
  Stream& from = downstream_.stream;
  ReadBuffer& in = downstream_.in;
  const uint64_t ahead = x.request_body.payload_ahead();
  // What may have to be sent again is copied.
  const bool is_kept = x.tries_left > 0 && x.replayable;
  auto result = SpliceIn(from, is_kept ? 0 : ahead, context_.pipes, in);
  if (result) {
    x.request_body.AdvancePayload(result->bytes);
    x.record.bytes_in += result->bytes;
  } else {
    const bool is_long = from.fast() || ahead >= kLongBody;
    const std::span<char> room =
        in.Room(context_.buffers, is_long ? BufferPool::kLarge : BufferPool::kNormal);
    if (room.empty()) {
      context_.counters.Add(Counter::kBufferFullIn);
      return Io::kBlocked;
    }
    result = from.Read(room);
    in.Filled(result->bytes);
  }
  from.NotePace(result->bytes, BytesAhead(x.request_body, in));
  return result->io;
}

bool HttpSession::ReadRequestBody() {
  Exchange& x = *exchange_;
  ReadBuffer& in = downstream_.in;
  if (x.request_body.done()) return false;
  bool moved = false;
  if (downstream_.stream.readable()) {
    const Io io = ReadBodyBytes();
    if (io == Io::kBroken) return BreakOff();
    moved = io == Io::kMoved;
  }
  if (in.has_ready()) return moved;
  // What came before the client's end may still complete the body; the end alone says nothing.
  if (in.raw().empty()) return downstream_.stream.at_end() ? BreakOff() : moved;
  // Where a field of the operator's choice names the client, a trailer might be taken for it.
  const bool has_client_field =
      context_.snapshot->topology.client_address_from == trust::ClientAddressFrom::kHeader;
  const auto passed = x.request_body.PassThrough(
      in.mutable_raw(),
      has_client_field ? http::TrailerPolicy::kDrop : http::TrailerPolicy::kForwardSafe);
  in.Pass(passed.consumed, passed.produced);
  x.record.bytes_in += passed.consumed;
  if (passed.status == http::ParseStatus::kReject) {
    context_.counters.Add(Counter::kBadRequests);
    x.keep_alive = false;
    if (x.response_head_done) {
      Abort(Flag::kDownstreamProtocolError);
    } else {
      x.record.Add(Flag::kDownstreamProtocolError);
      Reply(400, passed.reason);
    }
    return true;
  }
  if (passed.consumed == 0 && !x.request_body.done() && downstream_.stream.at_end()) {
    return BreakOff();
  }
  return moved || passed.consumed > 0;
}

bool HttpSession::BreakOff() {
  context_.counters.Add(Counter::kDownstreamResets);
  Abort(Flag::kDownstreamReset);
  return true;
}

bool HttpSession::SendRequest() {
  Exchange& x = *exchange_;
  ReadBuffer& in = downstream_.in;
  if (!upstream_ || !upstream_->stream.writable()) return false;
  if (x.tries_left > 0 && !in.ready().empty()) KeepBody();
  if (x.to_upstream.empty() && !in.has_ready()) return false;
  const bool piped = x.to_upstream.empty() && in.piped() > 0;
  const auto [io, bytes] = piped ? SpliceOut(downstream_.stream, in, upstream_->stream)
                                 : upstream_->stream.Write(x.to_upstream.pending(), in.ready());
  if (io == Io::kBroken) {
    // It takes no more, but may have answered before it went: the response side finds out.
    x.request_given_up = true;
    upstream_->stream.Note(EPOLLIN);
    return true;
  }
  if (piped) return bytes > 0;
  const size_t head = std::min(bytes, x.to_upstream.pending().size());
  x.to_upstream.Sent(head);
  in.Sent(bytes - head);
  return bytes > 0;
}

bool HttpSession::RequestSent() const {
  const Exchange& x = *exchange_;
  return x.request_body.done() && !downstream_.in.has_ready() && x.to_upstream.empty();
}

void HttpSession::Reply(int status, std::string_view body) {
  BeginReply();
  Exchange& x = *exchange_;
  x.to_downstream.Written(
      WriteErrorResponse({.status = status,
                          .body = body,
                          .date = context_.DateText(),
                          .close = !x.keep_alive,
                          .head = x.response_context.head},
                         x.to_downstream.Room(context_.buffers, kMaxErrorResponse)));
  EndReply(status);
}

void HttpSession::BeginReply() {
  Exchange& x = *exchange_;
  wait_.reset();
  // One that was in the middle of this request is spoiled; one that waits for the next is not.
  if (upstream_ && (!x.to_upstream.untouched() || !upstream_->in.empty())) {
    ReleaseUpstream(/*reusable=*/false);
  }
  x.tunnel = x.truncated = false;
  ReadBuffer& in = downstream_.in;
  in.DropReady();
  if (!x.request_body.done() && !in.raw().empty()) {
    const auto passed = x.request_body.PassThrough(in.mutable_raw());
    in.Pass(passed.consumed, 0);
    x.record.bytes_in += passed.consumed;
  }
  x.keep_alive = x.keep_alive && x.request_body.done() && !x.http10;
  x.local = true;
  x.to_downstream.Clear();
}

void HttpSession::EndReply(int status) {
  Exchange& x = *exchange_;
  x.record.status = static_cast<uint16_t>(status);
  x.response_head_done = true;
  x.response_body = http::BodyDecoder();
}

}  // namespace whence::proxy
