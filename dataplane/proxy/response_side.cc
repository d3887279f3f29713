// The way of a response: read, checked, rewritten, sent.
#include <algorithm>
#include <cstring>

#include "common/http/head_writer.h"
#include "dataplane/proxy/dechunk.h"
#include "dataplane/proxy/error_response.h"
#include "dataplane/proxy/header_edit.h"
#include "dataplane/proxy/http_session.h"
#include "dataplane/proxy/splice.h"

namespace whence::proxy {

using access_log::Flag;

namespace {

constexpr size_t kOwnLines = 128;  // status line (its reason aside), Connection, Date

}  // namespace

bool HttpSession::MoveResponse() {
  bool moved = false;
  if (!exchange_->local && upstream_) {
    moved |= ReadResponse();
    if (phase_ == Phase::kExchange && !exchange_->local && !exchange_->response_head_done) {
      moved |= TakeResponseHead();
    }
    if (phase_ == Phase::kExchange && !exchange_->local && exchange_->response_head_done) {
      moved |= TakeResponseBody();
    }
    if (phase_ == Phase::kExchange && !exchange_->local && upstream_ &&
        !exchange_->response_over() && upstream_->in.raw().empty() &&
        (upstream_->stream.at_end() || upstream_->stream.broken())) {
      ResponseEnded();
      moved = true;
    }
  }
  if (phase_ != Phase::kExchange) return true;
  return SendResponse() || moved;
}

bool HttpSession::ReadResponse() {
  Exchange& x = *exchange_;
  Upstream& up = *upstream_;
  if (!up.stream.readable() || x.response_over()) return false;
  const uint64_t ahead = x.response_head_done ? x.response_body.payload_ahead() : 0;
  if (const auto spliced = SpliceIn(up.stream, ahead, context_.pipes, up.in)) {
    x.response_body.AdvancePayload(spliced->bytes);
    up.stream.NotePace(spliced->bytes, BytesAhead(x.response_body, up.in));
    return spliced->io != Io::kBlocked;
  }
  const bool is_long = x.response_head_done && (up.stream.fast() || ahead >= kLongBody);
  const std::span<char> room =
      up.in.Room(context_.buffers, is_long ? BufferPool::kLarge : BufferPool::kNormal);
  if (room.empty()) {
    context_.counters.Add(Counter::kBufferFullOut);
    return false;
  }
  const auto [io, bytes] = up.stream.Read(room);
  up.in.Filled(bytes);
  if (x.response_head_done) up.stream.NotePace(bytes, BytesAhead(x.response_body, up.in));
  return io != Io::kBlocked;
}

bool HttpSession::TakeResponseHead() {
  Exchange& x = *exchange_;
  ReadBuffer& in = upstream_->in;
  // One head at a time on its way to the client: a flood of interim responses waits in the socket.
  if (in.raw().empty() || !x.to_downstream.empty()) return false;
  http::ResponseHead head;
  const http::ParseResult result =
      http::ParseResponseHead(in.raw(), context_.head_limits(), x.response_context, context_.heads,
                              &head, &x.response_progress);
  if (result.status == http::ParseStatus::kReject) {
    if (result.over_limit()) context_.counters.Add(Counter::kHeadsOverLimit);
    BadResponse(result.reason);
    return true;
  }
  if (result.status == http::ParseStatus::kNeedMore) {
    if (!upstream_->stream.at_end() && !upstream_->stream.broken()) return false;
    BadResponse("upstream ended within the response head");
    return true;
  }
  if (head.interim()) {
    WriteInterim(head);
    in.Skip(head.head_bytes);
    return true;
  }
  ReportEndpoint(head.status);
  if (x.tries_left > 0 && x.action->retries->WantsStatus(head.status) && MayTryAgain()) {
    TryAgain();
    return true;
  }
  if (head.tunnel && !RequestSent()) {
    // What is left of the request would go on as bytes of the tunnel, and what the client sends
    // behind it without being judged.
    BadResponse("switched before it had the whole request");
    return true;
  }
  if (!WriteResponseHead(head)) {
    BadResponse("the response head is too large");
    return true;
  }
  in.Skip(head.head_bytes);
  return true;
}

void HttpSession::WriteInterim(const http::ResponseHead& head) {
  Exchange& x = *exchange_;
  const bool wanted = !x.http10 && (head.status != 100 || x.expects_continue);
  if (!wanted) return;
  const size_t room = head.head_bytes + kOwnLines;
  http::HeadWriter writer(x.to_downstream.Room(context_.buffers, room));
  writer.StatusLine(head.status, head.reason);
  writer.Fields(head.fields, head.hop_by_hop);
  writer.End();
  if (writer.ok()) x.to_downstream.Written(writer.written().size());
}

bool HttpSession::WriteResponseHead(const http::ResponseHead& head) {
  Exchange& x = *exchange_;
  x.tunnel = head.tunnel;
  x.until_close = head.framing == http::BodyFraming::kUntilClose && !head.tunnel;
  x.dechunk = x.http10 && head.framing == http::BodyFraming::kChunked;
  x.upstream_keep_alive = head.keep_alive && !x.until_close && !head.tunnel;
  // An answer before the whole request was sent: what is left of it may never come, or may come and
  // be taken for a request; only the end of the connection is certain.
  const bool early = !RequestSent() || x.request_given_up;
  x.keep_alive = x.keep_alive && !x.until_close && !x.dechunk && !early && !context_.draining;

  http::FieldSet drop = head.hop_by_hop;
  if (x.http10) {
    for (size_t i = 0; i < head.fields.size(); ++i) {
      if (head.ids[i] == http::FieldId::kTransferEncoding) drop.Add(i);
    }
  }
  const snapshot::HeaderEdit* edit = x.share == nullptr ? nullptr : &x.share->response;
  if (edit != nullptr) DropEdited(*edit, head.fields, &drop);
  const size_t room =
      head.head_bytes + x.set_cookie.size() + kOwnLines + (edit == nullptr ? 0 : edit->line_bytes);
  http::HeadWriter writer(x.to_downstream.Room(context_.buffers, room));
  writer.StatusLine(head.status, head.reason);
  writer.Fields(head.fields, drop);
  if (std::memchr(head.ids.data(), static_cast<int>(http::FieldId::kDate), head.ids.size()) ==
      nullptr) {
    writer.Field("date", context_.DateText());
  }
  if (edit != nullptr) WriteEdited(*edit, &writer);
  if (!x.set_cookie.empty()) writer.Field("set-cookie", x.set_cookie);
  if (head.tunnel && head.status == 101) {
    writer.Field("connection", "upgrade");
  } else if (!x.keep_alive) {
    writer.Field("connection", "close");
  } else if (x.http10) {
    writer.Field("connection", "keep-alive");
  }
  writer.End();
  if (!writer.ok()) return false;

  x.to_downstream.Written(writer.written().size());
  x.record.status = static_cast<uint16_t>(head.status);
  x.response_head_done = true;
  if (x.timed) TimeResponse();
  if (head.status == 401 || head.status == 407) upstream_->is_personal = true;
  // What follows the head of a tunnel is not a body: the relay takes it.
  x.response_body =
      head.tunnel ? http::BodyDecoder() : http::BodyDecoder(head.framing, head.content_length);
  return true;
}

bool HttpSession::TakeResponseBody() {
  Exchange& x = *exchange_;
  ReadBuffer& in = upstream_->in;
  if (x.response_over() || in.has_ready() || in.raw().empty()) return false;
  const auto passed =
      x.dechunk ? Dechunk(x.response_body, in.mutable_raw())
                : x.response_body.PassThrough(in.mutable_raw(), http::TrailerPolicy::kForwardSafe);
  in.Pass(passed.consumed, passed.produced);
  if (passed.status == http::ParseStatus::kReject) {
    context_.counters.Add(Counter::kUpstreamProtocolErrors);
    x.record.Add(Flag::kUpstreamProtocolError);
    x.truncated = true;
    return true;
  }
  // A chunk line that is cut off at the end will never be complete.
  if (passed.consumed == 0 && (upstream_->stream.at_end() || upstream_->stream.broken())) {
    in.Skip(in.raw().size());
    return true;
  }
  return passed.consumed > 0;
}

void HttpSession::ResponseEnded() {
  Exchange& x = *exchange_;
  const bool broken = upstream_->stream.broken();
  if (x.response_head_done) {
    if (!broken && x.response_body.EndOfInput()) return;
    context_.counters.Add(Counter::kUpstreamResets);
    x.record.Add(Flag::kUpstreamReset);
    x.truncated = true;
    return;
  }
  if (upstream_->used && x.idempotent_bodiless && !x.retried) {
    // It had been closed by the other side while our request was under way to it. Nothing of an
    // answer was seen, so this is as if it had been found closed before.
    x.retried = true;
    context_.counters.Add(Counter::kUpstreamRetries);
    ReleaseUpstream(/*reusable=*/false);
    x.to_upstream.Rewind();
    x.request_given_up = false;
    return ConnectUpstream();
  }
  context_.counters.Add(Counter::kUpstreamResets);
  ReportEndpoint(0);
  if (MayTryAgain(snapshot::RetryPolicy::kReset)) return TryAgain();
  x.record.Add(Flag::kUpstreamReset);
  Reply(502, "upstream closed before it answered");
}

void HttpSession::BadResponse(std::string_view reason) {
  context_.counters.Add(Counter::kUpstreamProtocolErrors);
  ReportEndpoint(0);
  if (MayTryAgain(snapshot::RetryPolicy::kReset)) return TryAgain();
  exchange_->record.Add(Flag::kUpstreamProtocolError);
  Reply(502, reason);
}

bool HttpSession::SendResponse() {
  Exchange& x = *exchange_;
  static constexpr std::string_view kNothing;
  const std::string_view body =
      x.local || !upstream_ || !x.response_head_done || x.tunnel ? kNothing : upstream_->in.ready();
  // Of a tunnel nothing is read here, and what upstream brought before we answered ourselves is gone.
  const bool piped = upstream_ && upstream_->in.piped() > 0;
  if (x.to_downstream.empty() && body.empty() && !piped) return false;
  if (!downstream_.stream.writable()) return false;
  // Unless the connection goes on, its end follows these bytes. A reset would not take them along.
  const bool is_last = x.response_over() && !x.keep_alive && !x.tunnel && !x.truncated;
  const bool splices = piped && x.to_downstream.empty();
  const auto [io, bytes] =
      splices ? SpliceOut(upstream_->stream, upstream_->in, downstream_.stream, is_last)
              : downstream_.stream.Write(x.to_downstream.pending(), body, is_last || piped);
  if (io == Io::kBroken) {
    context_.counters.Add(Counter::kDownstreamResets);
    Abort(Flag::kDownstreamReset);
    return true;
  }
  const size_t head = splices ? 0 : std::min(bytes, x.to_downstream.pending().size());
  x.to_downstream.Sent(head);
  if (!splices && bytes > head) upstream_->in.Sent(bytes - head);
  x.record.bytes_out += bytes;
  if (x.to_downstream.empty()) x.to_downstream.Clear();
  return bytes > 0;
}

bool HttpSession::ResponseFinished() const {
  const Exchange& x = *exchange_;
  if (!x.response_over() || !x.to_downstream.empty()) return false;
  return x.local || x.tunnel || !upstream_ || !upstream_->in.has_ready();
}

}  // namespace whence::proxy
