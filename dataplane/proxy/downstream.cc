#include "dataplane/proxy/downstream.h"

#include "dataplane/proxy/detection.h"
#include "dataplane/proxy/http_session.h"
#include "dataplane/proxy/judgement.h"
#include "dataplane/proxy/listeners.h"
#include "dataplane/proxy/tcp_session.h"

namespace whence::proxy {

Downstream::Downstream(Context& context, os::UniqueFd fd, const Origin& origin)
    : stream(std::move(fd)),
      context_(context),
      origin_(origin),
      watched_(context.tuples.Add(origin.peer.address, origin.destination.address)),
      timer_(
          +[](void* self) { static_cast<Downstream*>(self)->OnTimer(); }, this) {}

Downstream::~Downstream() {
  if (watched_) context_.tuples.Remove(origin_.peer.address, origin_.destination.address);
}

bool Downstream::Start() {
  if (context_.loop.Add(stream.fd(), *this) != 0) return false;
  const snapshot::Protocol protocol =
      ProtocolOf(*context_.snapshot, origin_.listener_port, origin_.destination);
  if (protocol == snapshot::Protocol::kDetect) {
    ArmTimer(context_.options.limits.detection_timeout);
  } else {
    Begin(protocol);
  }
  return true;
}

void Downstream::Begin(snapshot::Protocol protocol, bool silent) {
  timer_.Cancel();
  if (protocol == snapshot::Protocol::kHttp) {
    context_.counters.Add(Counter::kConnectionsHttp);
    session_ = std::make_unique<HttpSession>(context_, *this);
  } else {
    context_.counters.Add(Counter::kConnectionsTcp);
    session_ = std::make_unique<TcpSession>(context_, *this, silent);
  }
  session_->OnDownstream();
}

void Downstream::BecomeHttp(std::unique_ptr<Upstream> upstream) {
  timer_.Cancel();
  context_.counters.Add(Counter::kConnectionsHttp);
  auto http = std::make_unique<HttpSession>(context_, *this);
  http->Adopt(std::move(upstream));
  context_.loop.Retire(std::exchange(session_, std::move(http)));  // we are called by it
  session_->OnDownstream();
}

void Downstream::OnEvents(uint32_t events) {
  if (closed()) return;
  stream.Note(events);
  if (session_) {
    session_->OnDownstream();
  } else {
    DetectProtocol();
  }
}

void Downstream::DetectProtocol() {
  if (!stream.readable()) return;
  const auto [io, bytes] = stream.Read(in.Room(context_.buffers, BufferPool::kNormal));
  in.Filled(bytes);
  if (io == Io::kBroken || (io == Io::kEnd && in.empty())) {
    Close();  // came and went without a word: nothing was asked, nothing is recorded
    return;
  }
  const Detected detected = Detect(in.raw());
  if (detected == Detected::kHttp) return Begin(snapshot::Protocol::kHttp);
  // An end without a whole first line: whatever it is, it will not become HTTP.
  if (detected == Detected::kOther || io == Io::kEnd) return Begin(snapshot::Protocol::kTcp);
}

void Downstream::OnTimer() {
  if (closed()) return;
  if (session_) {
    session_->OnTimer();
  } else if (in.empty()) {
    OnSilence();
  } else {
    // It began like a request and stopped: more likely a slow client than a protocol whose first
    // words are those of HTTP. The header timeout takes it from here.
    Begin(snapshot::Protocol::kHttp);
  }
}

void Downstream::OnSilence() {
  if (silence_judged_) return Begin(snapshot::Protocol::kTcp);  // which will refuse it
  silence_judged_ = true;
  const Judgement judgement =
      JudgeConnection(*context_.snapshot, peer(), destination(), context_.loop.wall_now());
  if (judgement.verdict.allowed) return Begin(snapshot::Protocol::kTcp, /*silent=*/true);
  // As TCP it may not enter, but a request may come that may: clients open connections ahead of
  // need. Until then nothing has gone upstream, so waiting harms nobody.
  ArmTimer(context_.options.limits.header_timeout);
}

void Downstream::OnSnapshot() {
  if (session_) session_->OnSnapshot();
}

void Downstream::OnDrain() {
  if (session_) return session_->OnDrain();
  if (in.empty()) Close();
}

void Downstream::Cut(access_log::Flag reason) {
  if (closed()) return;
  if (session_) session_->OnCut(reason);
  Close(/*reset=*/true);
}

void Downstream::Close(bool reset) {
  if (closed()) return;
  timer_.Cancel();
  context_.loop.Unschedule(*this);
  if (reset) {
    stream.Reset();
  } else {
    stream.Close();
  }
  context_.owner.Forget(*this);
}

access_log::Record Downstream::NewRecord() const {
  access_log::Record record;
  record.time_us = context_.loop.wall_now().time_since_epoch().count();
  record.SetDirectPeer(peer());
  record.SetDestination(destination());
  return record;
}

}  // namespace whence::proxy
