#include "dataplane/proxy/http_session.h"

#include "dataplane/proxy/error_response.h"

namespace whence::proxy {

using access_log::Flag;

namespace {

// Per event and connection; then the others' turn.
constexpr int kMostSteps = 32;
// Longer than most applications think, and too short for people to notice.
constexpr std::chrono::milliseconds kRoomWait{50};

}  // namespace

HttpSession::HttpSession(Context& context, Downstream& downstream)
    : context_(context), downstream_(downstream) {
  downstream_.ArmTimer(context_.keep_alive_timeout());
}

HttpSession::~HttpSession() = default;

void HttpSession::Adopt(std::unique_ptr<Upstream> upstream) {
  upstream_ = std::move(upstream);
  if (upstream_) upstream_->set_user(*this);
}

void HttpSession::OnUpstream(Upstream& upstream) {
  if (phase_ == Phase::kClosed || &upstream != upstream_.get()) return;
  if (phase_ == Phase::kExchange || phase_ == Phase::kTunnel) return Pump();
  // Between requests it has nothing to say: an end, an error or unasked bytes all spoil it.
  if (upstream.stream.readable() || upstream.state() == Upstream::State::kFailed) {
    ReleaseUpstream(/*reusable=*/false);
  }
}

void HttpSession::Pump() {
  MoveAll();
  if (!downstream_.stream.registered() && !WaitsForUpstreamOnly()) downstream_.Watch();
}

bool HttpSession::WaitsForUpstreamOnly() const {
  return phase_ == Phase::kExchange && upstream_ && !exchange_->local &&
         exchange_->request_body.done() && !exchange_->response_head_done &&
         downstream_.stream.writable();
}

void HttpSession::MoveAll() {
  const uint64_t most = context_.pipes.moved() + PipePool::kMostPerTurn;
  for (int step = 0; step < kMostSteps && context_.pipes.moved() < most; ++step) {
    bool more = false;
    switch (phase_) {
      case Phase::kHead:
        more = AwaitHead();
        break;
      case Phase::kExchange:
        more = MoveExchange();
        break;
      case Phase::kTunnel:
        more = MoveTunnel();
        break;
      case Phase::kDiscard:
        more = Discard();
        break;
      case Phase::kBreaking:
        return Break();
      case Phase::kClosed:
        return;
    }
    if (!more) return;
  }
  if (phase_ != Phase::kClosed) downstream_.Schedule();
}

bool HttpSession::AwaitHead() {
  ReadBuffer& in = downstream_.in;
  if (unparsed_ && !in.raw().empty()) {
    if (!head_began_) {
      head_began_ = true;
      downstream_.ArmTimer(context_.options.limits.header_timeout);
    }
    unparsed_ = false;
    if (TakeHead()) return true;
    downstream_.stream.AckNow();
  }
  if (downstream_.stream.at_end()) return HeadEnded();  // read behind the body before this head
  if (!downstream_.stream.readable()) return false;
  const auto [io, bytes] = downstream_.stream.Read(in.Room(context_.buffers, BufferPool::kNormal));
  switch (io) {
    case Io::kMoved:
      in.Filled(bytes);
      unparsed_ = true;
      if (downstream_.Admits(bytes)) return true;
      downstream_.RefuseHeader(Counter::kProxyForbidden);
      Close(/*reset=*/true);
      return false;
    case Io::kBlocked:
      in.Trim();
      return false;
    case Io::kEnd:
      return HeadEnded();
    case Io::kBroken:
      Close(/*reset=*/true);
      return false;
  }
  return false;
}

bool HttpSession::HeadEnded() {
  if (downstream_.in.raw().empty()) {
    Close(/*reset=*/false);
  } else {
    RejectHead(http::ParseResult::Reject(400, "connection ended within the head"));
  }
  return true;
}

bool HttpSession::TakeHead() {
  http::RequestHead head;
  const http::ParseResult result = http::ParseRequestHead(
      downstream_.in.raw(), context_.head_limits(), context_.heads, &head, &head_progress_);
  switch (result.status) {
    case http::ParseStatus::kNeedMore:
      return false;
    case http::ParseStatus::kReject:
      RejectHead(result);
      return true;
    case http::ParseStatus::kDone:
      BeginExchange();
      Serve(head);
      return true;
  }
  return false;
}

void HttpSession::BeginExchange() {
  auto& spare = context_.spare_exchanges;
  exchange_ = spare.empty() ? std::make_unique<Exchange>() : spare.Take();
  context_.ring.Begin();
  downstream_.BeginRecord(&exchange_->record);
  exchange_->began = context_.loop.now();
  phase_ = Phase::kExchange;
  head_began_ = false;
  head_progress_ = {};
  ++requests_;
  downstream_.ArmTimer(context_.options.limits.stream_idle_timeout);
}

bool HttpSession::MoveExchange() {
  if (downstream_.stream.hung_up()) {
    context_.counters.Add(Counter::kDownstreamResets);
    Abort(Flag::kDownstreamReset);
    return false;
  }
  if (upstream_ && !exchange_->local) {
    if (upstream_->state() == Upstream::State::kConnecting) return false;
    if (upstream_->state() == Upstream::State::kFailed) {
      ConnectFailed(upstream_->timed_out());
      return true;
    }
  }
  if (exchange_->timed && upstream_ && !exchange_->local && !KeepTime()) return true;
  bool moved = MoveRequest();
  if (phase_ == Phase::kExchange) moved |= MoveResponse();
  if (phase_ != Phase::kExchange) return true;
  if (ResponseFinished()) {
    FinishExchange();
    return true;
  }
  if (moved) {
    downstream_.ArmTimer(context_.options.limits.stream_idle_timeout);
  } else {
    AskForRest();
  }
  return moved;
}

void HttpSession::AskForRest() {
  Exchange& x = *exchange_;
  if (!x.request_body.done() && !x.rest_of_request_asked) {
    x.rest_of_request_asked = true;
    downstream_.stream.AckNow();
  }
  const bool has_begun = x.response_head_done || (upstream_ && !upstream_->in.empty());
  if (has_begun && upstream_ && !x.local && !x.response_over() && !x.rest_of_response_asked) {
    x.rest_of_response_asked = true;
    upstream_->stream.AckNow();
  }
  AskForRoom();
}

void HttpSession::AskForRoom() {
  Exchange& x = *exchange_;
  if (!upstream_ || !upstream_->is_spoofed || upstream_->used || x.local) return;
  if (x.response_head_done || !upstream_->in.empty()) return;  // it is being served
  const bool first = x.room_wait.count() == 0;
  if (!first && !upstream_->timed_out()) return;
  if (!first) context_.owner.MakeRoom();
  // Again and again, since those that are served meanwhile are kept in their turn; ever more
  // rarely, since most of those who wait so long wait for something else.
  x.room_wait = first ? kRoomWait : 2 * x.room_wait;
  upstream_->ArmTimer(x.room_wait);
}

void HttpSession::WriteRecord() {
  wait_.reset();
  access_log::Record& record = exchange_->record;
  record.duration_us = static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(context_.loop.now() - exchange_->began)
          .count());
  if (tunnel_) {
    record.bytes_in += tunnel_->bytes_in();
    record.bytes_out += tunnel_->bytes_out();
  }
  context_.counters.Add(Counter::kBytesIn, record.bytes_in);
  context_.counters.Add(Counter::kBytesOut, record.bytes_out);
  downstream_.Push(&record);
  CountEndpoint(nullptr);
  exchange_->Renew();
  context_.spare_exchanges.Give(std::move(exchange_));
}

void HttpSession::FinishExchange() {
  Exchange& x = *exchange_;
  if (x.tunnel) {
    phase_ = Phase::kTunnel;
    context_.counters.Add(Counter::kUpgrades);
    x.record.Add(Flag::kUpgrade);
    tunnel_ = std::make_unique<Relay>(context_.buffers, context_.pipes,
                                      Relay::Side{downstream_.stream, downstream_.in},
                                      Relay::Side{upstream_->stream, upstream_->in});
    downstream_.ArmTimer(context_.options.limits.tcp_idle_timeout);
    return;
  }
  const bool request_whole = RequestSent();
  const bool clean = x.upstream_keep_alive && request_whole && !x.truncated && !x.local;
  const bool truncated = x.truncated;
  // A response that ends with the connection looks complete unless the end is a reset.
  const bool reset = truncated && x.until_close;
  // A body that was read but not sent would go out behind the next request's head, and be taken for
  // a request that nobody judged.
  const bool keep =
      x.keep_alive && x.request_body.done() && (request_whole || x.local) && !truncated;
  const bool client_may_send = !(x.client_closes && x.request_body.done());
  if (upstream_ && !x.local) {
    // What else it says belongs to no request: the next one must not get it for its answer.
    const bool silent = upstream_->in.empty() && !upstream_->stream.readable();
    const bool reusable = clean && silent && !upstream_->stream.at_end();
    // Both sides have said all there is. A reset ends it with one packet and leaves no TIME_WAIT;
    // who sent a body may not have been read to the end, and gets the slower way.
    if (!reusable && request_whole && !truncated && !x.had_body) {
      context_.connector.End(std::move(upstream_));
    } else {
      ReleaseUpstream(reusable);
    }
  }
  WriteRecord();
  if (truncated) return reset ? Break() : Close(/*reset=*/false);
  if (!keep) return EndConnection(client_may_send);
  phase_ = Phase::kHead;
  unparsed_ = true;
  downstream_.in.Trim();
  downstream_.stream.EndPace();
  downstream_.ArmTimer(context_.keep_alive_timeout());
}

void HttpSession::ReleaseUpstream(bool reusable) {
  if (!upstream_) return;
  if (reusable) {
    upstream_->used = true;
    const snapshot::ConnectionLimits& limits = exchange_->limits;
    upstream_->idle_timeout = limits.idle_timeout;
    if (limits.max_requests_per_connection != 0 &&
        ++upstream_->requests >= limits.max_requests_per_connection) {
      return ReleaseUpstream(/*reusable=*/false);
    }
    upstream_->in.Trim();
    upstream_->stream.EndPace();
    upstream_->CancelTimer();  // a request's clock
    const bool is_ours_alone = downstream_.listener_port() == 0;
    if (!is_ours_alone) GiveUpstreamAway();
    return;
  }
  upstream_->Close();
  context_.loop.Retire(std::move(upstream_));
}

bool HttpSession::GiveUpstreamAway() {
  if (upstream_->is_personal || !upstream_->used || context_.draining) return false;
  const Limits& limits = context_.options.limits;
  if (downstream_.listener_port() != 0) {
    const auto own = upstream_->idle_timeout;
    context_.pool.Give(std::move(upstream_), own.count() > 0 ? own : limits.pool_idle_timeout);
    return true;
  }
  // From our own address it could be anybody's.
  if (!upstream_->is_spoofed) return false;
  context_.pool.Give(std::move(upstream_), limits.warm_idle_timeout);
  return true;
}

void HttpSession::EndConnection(bool client_may_send) {
  // What was not clean is gone already: this one waits for a next request, though not for ours.
  if (upstream_ && !GiveUpstreamAway()) ReleaseUpstream(/*reusable=*/false);
  const bool more_waits = !downstream_.in.raw().empty() || downstream_.stream.readable();
  if (downstream_.stream.at_end() || (!client_may_send && !more_waits)) return Close(false);
  // Closing with unread bytes would send a reset, which can overtake our answer. So we end our side
  // and read on for a moment (RFC 9112, 9.6).
  phase_ = Phase::kDiscard;
  downstream_.stream.ShutdownWrite();
  downstream_.ArmTimer(context_.options.limits.linger_timeout);
}

bool HttpSession::Discard() {
  ReadBuffer& in = downstream_.in;
  in.DropReady();
  in.Skip(in.raw().size());
  if (!downstream_.stream.readable()) {
    in.Trim();
    return false;
  }
  const auto [io, bytes] = downstream_.stream.Read(in.Room(context_.buffers, BufferPool::kNormal));
  in.Filled(bytes);
  if (io == Io::kEnd || io == Io::kBroken) {
    Close(false);
    return false;
  }
  return io == Io::kMoved;
}

void HttpSession::Break() {
  Stream& stream = downstream_.stream;
  if (stream.hung_up() || stream.IsAllSent()) return Close(/*reset=*/true);
  if (phase_ == Phase::kBreaking) return;
  phase_ = Phase::kBreaking;
  stream.TellWhenSent();
  downstream_.ArmTimer(context_.options.limits.linger_timeout);
}

bool HttpSession::MoveTunnel() {
  const Relay::Progress progress = tunnel_->Move();
  if (progress.moved) downstream_.ArmTimer(context_.options.limits.tcp_idle_timeout);
  switch (progress.state) {
    case Relay::State::kOpen:
      return progress.cut_short;
    case Relay::State::kForbiddenHeader:
      return false;  // cannot be: a tunnel's first bytes are not looked at
    case Relay::State::kDone:
      WriteRecord();
      upstream_->Close();
      Close(/*reset=*/false);
      return false;
    case Relay::State::kDownstreamBroken:
      context_.counters.Add(Counter::kDownstreamResets);
      Abort(Flag::kDownstreamReset);
      return false;
    case Relay::State::kUpstreamBroken:
      context_.counters.Add(Counter::kUpstreamResets);
      Abort(Flag::kUpstreamReset);
      return false;
  }
  return false;
}

void HttpSession::OnTimer() {
  switch (phase_) {
    case Phase::kHead:
      if (!head_began_) {
        context_.counters.Add(Counter::kKeepAliveTimeouts);
        return Close(/*reset=*/false);
      }
      context_.counters.Add(Counter::kHeaderTimeouts);
      RejectHead(http::ParseResult::Reject(408, "the head did not arrive in time"));
      exchange_->record.Add(Flag::kDownstreamTimeout);
      return Pump();
    case Phase::kExchange: {
      context_.counters.Add(Counter::kIdleTimeouts);
      Exchange& x = *exchange_;
      const bool unsent = !x.to_downstream.empty() || (upstream_ && upstream_->in.has_ready());
      const bool waits_for_client =
          unsent || (!x.request_body.done() && !downstream_.in.has_ready());
      const Flag flag = waits_for_client ? Flag::kDownstreamTimeout : Flag::kUpstreamTimeout;
      if (x.response_head_done) return Abort(flag);
      if (!waits_for_client) context_.counters.Add(Counter::kUpstreamTimeouts);
      x.record.Add(flag);
      x.keep_alive = false;
      Reply(waits_for_client ? 408 : 504,
            waits_for_client ? "the request body did not arrive in time" : "upstream timeout");
      return Pump();
    }
    case Phase::kTunnel:
      context_.counters.Add(Counter::kIdleTimeouts);
      return Abort(Flag::kDownstreamTimeout);
    case Phase::kDiscard:
      context_.counters.Add(Counter::kLingerTimeouts);
      return Close(/*reset=*/false);
    case Phase::kBreaking:
      context_.counters.Add(Counter::kLingerTimeouts);
      return Close(/*reset=*/true);
    case Phase::kClosed:
      return;
  }
}

// The next request will be judged anyway. But who may ask nothing any more should not keep a
// connection, and an idle one may always be closed.
void HttpSession::JudgeIdle() {
  if (!downstream_.in.empty()) return;
  const Judgement judgement =
      JudgeAnyRequest(*context_.snapshot, downstream_.facts(), context_.loop.wall_now());
  if (judgement.verdict.allowed) return;
  context_.ring.Begin();
  access_log::Record record;
  downstream_.BeginRecord(&record);
  record.protocol = access_log::Protocol::kHttp11;
  Describe(judgement, &record);
  record.Add(Flag::kPolicyClosed);
  context_.counters.Add(Counter::kPolicyClosed);
  downstream_.Push(&record);
  Close(/*reset=*/false);
}

void HttpSession::OnSnapshot() {
  if (exchange_) exchange_->cluster.reset();  // an index into the snapshot that is gone
  Rejudge();
}

void HttpSession::Rejudge() {
  if (phase_ == Phase::kHead) return JudgeIdle();
  // A request under way and a tunnel are judged again; one that we answer ourselves is over.
  if (phase_ != Phase::kTunnel && (phase_ != Phase::kExchange || exchange_->local)) return;
  http::RequestHead head;
  const std::string_view text = exchange_->received_head.pending();
  if (!http::ParseRequestHead(text, context_.head_limits(), context_.heads, &head).done()) {
    return;  // cannot be: it was parsed before
  }
  const Judgement judgement =
      JudgeRequest(*context_.snapshot, downstream_.facts(), head, context_.loop.wall_now());
  if (judgement.verdict.allowed) return;
  Describe(judgement, &exchange_->record);
  context_.counters.Add(Counter::kPolicyClosed);
  if (phase_ == Phase::kTunnel || exchange_->response_head_done) return Abort(Flag::kPolicyClosed);
  exchange_->record.Add(Flag::kPolicyClosed);
  Reply(403, kDeniedBody);
  Pump();
}

void HttpSession::OnDrain() {
  // A request may have arrived that no event has told of yet.
  downstream_.stream.Note(EPOLLIN);
  Pump();
  // Its next request may be on its way: it is answered, with the word that it is the last.
  if (phase_ == Phase::kHead && !head_began_) downstream_.ArmTimer(context_.drain_idle_timeout);
}

void HttpSession::OnCut(Flag reason) {
  if (phase_ == Phase::kExchange || phase_ == Phase::kTunnel) {
    Abort(reason);
  } else if (phase_ != Phase::kClosed) {
    Close(/*reset=*/true);
  }
}

void HttpSession::Abort(Flag flag) {
  exchange_->record.Add(flag);
  WriteRecord();
  Close(/*reset=*/true);
}

void HttpSession::Close(bool reset) {
  if (phase_ == Phase::kClosed) return;
  const bool is_idle = phase_ == Phase::kHead;
  phase_ = Phase::kClosed;
  if (upstream_ && !(is_idle && GiveUpstreamAway())) {
    if (reset) upstream_->stream.Reset();
    if (upstream_->stream.open()) upstream_->Close();
    upstream_->CancelTimer();
    context_.loop.Retire(std::move(upstream_));
  }
  downstream_.Close(reset);
}

}  // namespace whence::proxy
