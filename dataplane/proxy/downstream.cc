#include "dataplane/proxy/downstream.h"

#include <algorithm>

#include "common/proxy_protocol/tlv_text.h"
#include "dataplane/proxy/detection.h"
#include "dataplane/proxy/http_session.h"
#include "dataplane/proxy/listeners.h"
#include "dataplane/proxy/tcp_session.h"

namespace whence::proxy {
namespace {

// So long nobody need hear that the client went away.
constexpr std::chrono::milliseconds kUnwatched{8};

}  // namespace

Downstream::Downstream(Context& context, os::UniqueFd fd, const Origin& origin)
    : stream(std::move(fd)),
      context_(context),
      listener_port_(origin.listener_port),
      watched_(context.tuples.Add(origin.peer.address, origin.destination.address)),
      facts_{origin.peer, origin.destination},
      timer_(
          +[](void* self) { static_cast<Downstream*>(self)->OnTimer(); }, this) {}

Downstream::~Downstream() {
  if (watched_) context_.tuples.Remove(peer().address, destination().address);
}

bool Downstream::Start(bool is_readable) {
  if (is_readable) {
    stream.Note(EPOLLIN);
  } else if (!stream.Register(context_.loop, *this, loop::EventLoop::Interest::kRead)) {
    return false;
  }
  header_rule_ = trust::ProxyHeaderRuleFor(context_.snapshot->topology, peer());
  // A control plane from before the proofs sends no key: then an agent's address has to do.
  if (!context_.snapshot->handover_key) facts_.agent_word = trust::AgentWord::kOwn;
  switch (header_rule_) {
    case trust::ProxyHeaderRule::kRefusePeer:
      RefuseHeader(Counter::kProxyPeerRefused);
      break;
    case trust::ProxyHeaderRule::kOptional:
    case trust::ProxyHeaderRule::kRequired:
      awaits_header_ = true;
      ArmTimer(context_.options.limits.proxy_header_timeout);
      break;
    case trust::ProxyHeaderRule::kForbidden:
      guard_.Arm();
      BeginDetection();
      break;
    case trust::ProxyHeaderRule::kNotRead:
      BeginDetection();
      break;
  }
  if (!session_) Watch();
  return true;
}

void Downstream::Watch() {
  if (closed() || stream.registered()) return;
  using Interest = loop::EventLoop::Interest;
  const bool waited = timer_.armed();
  if (!stream.Register(context_.loop, *this,
                       stream.writable() ? Interest::kRead : Interest::kBoth)) {
    return Cut(access_log::Flag::kOverload);
  }
  if (waited) ArmTimer(patience_);
}

void Downstream::ArmTimer(std::chrono::milliseconds delay) {
  patience_ = delay;
  context_.loop.ArmAfter(timer_, stream.registered() ? delay : std::min(delay, kUnwatched));
}

void Downstream::TakeHeader() {
  while (stream.readable()) {
    const auto [io, bytes] = stream.Read(in.Room(context_.buffers, BufferPool::kNormal));
    in.Filled(bytes);
    if (io == Io::kBlocked) break;
    if (io == Io::kBroken || (io == Io::kEnd && in.empty())) return Close();
    if (ParseHeader()) return;
    if (io == Io::kEnd) return RefuseHeader(Counter::kProxyMalformed);
  }
  if (!in.empty()) stream.AckNow();
  in.Trim();
}

bool Downstream::ParseHeader() {
  const bool required = header_rule_ == trust::ProxyHeaderRule::kRequired;
  const proxy_protocol::ParseOptions options{
      .allow_missing = !required, .max_bytes = context_.options.limits.max_proxy_header_bytes};
  proxy_protocol::Header header;
  switch (proxy_protocol::Parse(in.raw(), options, &header).status) {
    case proxy_protocol::ParseStatus::kNeedMore:
      return false;
    case proxy_protocol::ParseStatus::kReject:
      RefuseHeader(proxy_protocol::HasSignature(in.raw()) ? Counter::kProxyMalformed
                                                          : Counter::kProxyMissing);
      return true;
    case proxy_protocol::ParseStatus::kAbsent:
      awaits_header_ = false;
      BeginDetection();
      return true;
    case proxy_protocol::ParseStatus::kDone:
      UseHeader(header);
      return true;
  }
  return true;
}

void Downstream::UseHeader(const proxy_protocol::Header& header) {
  awaits_header_ = false;
  const auto proof = ProofIn(header);
  const snapshot::Snapshot& snapshot = *context_.snapshot;
  if (!proof && !trust::MaySendUnproven(snapshot.topology, peer())) {
    return RefuseHeader(Counter::kProxyUnproven);
  }
  header_taken_ = true;
  if (std::string tlvs = proxy_protocol::TlvText(header.tlvs); !tlvs.empty()) {
    proxy_tlvs_ = std::make_unique<const std::string>(std::move(tlvs));
  }
  context_.counters.Add(header.has_addresses ? Counter::kProxyTaken : Counter::kProxyLocal);
  if (proof == proxy_protocol::Spoken::kByAgent) {
    facts_.agent_word = trust::AgentWord::kOwn;
  } else if (header.has_addresses) {
    facts_.proxy_source = header.source;
    facts_.agent_word = proof ? trust::AgentWord::kForClient : trust::AgentWord::kNone;
  } else if (snapshot.topology.IsMeshAgent(peer().address.ip)) {
    // It names no client. Whether it then relays or not, what follows is not to be believed.
    facts_.agent_word = trust::AgentWord::kNone;
  }
  in.Skip(header.bytes);
  guard_.Arm();
  if (!guard_.Admits(in.raw())) return RefuseHeader(Counter::kProxyForbidden);
  BeginDetection();
}

std::optional<proxy_protocol::Spoken> Downstream::ProofIn(
    const proxy_protocol::Header& header) const {
  const auto& key = context_.snapshot->handover_key;
  if (!key) return proxy_protocol::Spoken::kByClient;
  if (!header.has_addresses) return std::nullopt;
  const proxy_protocol::Handover handover{
      .from = facts_.peer.address, .to = facts_.destination.address, .source = header.source};
  return proxy_protocol::Verify(*key, handover, header.tlvs);
}

bool Downstream::SkipAgentsHeader() {
  if (!context_.snapshot->handover_key) return false;
  proxy_protocol::Header header;
  const proxy_protocol::ParseOptions options{
      .allow_v1 = false, .max_bytes = context_.options.limits.max_proxy_header_bytes};
  if (proxy_protocol::Parse(in.raw(), options, &header).status !=
      proxy_protocol::ParseStatus::kDone) {
    return false;
  }
  // Relayed bytes would pass for the agent's own if their header were dropped: where it is
  // forbidden they are refused with it.
  const auto spoken = ProofIn(header);
  const bool relayed = spoken == proxy_protocol::Spoken::kByClient;
  if (!spoken || (relayed && header_rule_ != trust::ProxyHeaderRule::kNotRead)) return false;
  // Believed as soon as a snapshot knows the agent.
  if (!relayed) facts_.agent_word = trust::AgentWord::kOwn;
  in.Skip(header.bytes);
  guard_.Arm();
  return guard_.Admits(in.raw());
}

bool Downstream::StillTakesHeaders() {
  header_rule_ = trust::ProxyHeaderRuleFor(context_.snapshot->topology, peer());
  return header_rule_ == trust::ProxyHeaderRule::kOptional ||
         header_rule_ == trust::ProxyHeaderRule::kRequired;
}

void Downstream::OnHeaderDeadline() {
  if (header_rule_ == trust::ProxyHeaderRule::kRequired || !in.empty()) {
    return RefuseHeader(Counter::kProxyLate);
  }
  // It need not come, and has not: from now on it may not.
  awaits_header_ = false;
  guard_.Arm();
  const snapshot::Protocol protocol =
      ProtocolOf(*context_.snapshot, listener_port_, facts_.destination);
  if (protocol != snapshot::Protocol::kDetect) return Begin(protocol);
  OnSilence();
}

void Downstream::RefuseHeader(Counter why) {
  context_.counters.Add(why);
  access_log::Record record;
  BeginRecord(&record);
  const trust::Resolution resolution = ResolveConnection(*context_.snapshot, facts_);
  record.SetClient(resolution.client);
  record.Set(access_log::Text::kReason, trust::ReasonText(resolution));
  record.decision = access_log::Decision::kDeny;
  record.Add(why == Counter::kProxyLate ? access_log::Flag::kDownstreamTimeout
                                        : access_log::Flag::kDownstreamProtocolError);
  if (why == Counter::kProxyForbidden) {
    record.Add(access_log::Flag::kProxyHeaderUnexpected);
  } else if (why != Counter::kProxyMalformed) {
    record.Add(access_log::Flag::kProxyHeaderMissing);
  }
  context_.ring.Begin();
  Push(&record);
  Close(/*reset=*/true);
}

void Downstream::BeginDetection() {
  const snapshot::Protocol protocol =
      ProtocolOf(*context_.snapshot, listener_port_, facts_.destination);
  if (protocol != snapshot::Protocol::kDetect) return Begin(protocol);
  ArmTimer(context_.options.limits.detection_timeout);
  if (!in.raw().empty()) Classify(stream.at_end());
  if (header_taken_ && in.raw().empty()) stream.AckNow();
  if (!session_ && !closed()) DetectProtocol();
}

void Downstream::Begin(snapshot::Protocol protocol, bool silent) {
  timer_.Cancel();
  if (protocol == snapshot::Protocol::kHttp) {
    context_.counters.Add(Counter::kConnectionsHttp);
    session_ = std::make_unique<HttpSession>(context_, *this);
  } else {
    context_.counters.Add(Counter::kConnectionsTcp);
    stream.AckNow();
    Watch();
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
  } else if (awaits_header_) {
    TakeHeader();
  } else {
    DetectProtocol();
  }
}

void Downstream::DetectProtocol() {
  if (!stream.readable()) return;
  const auto [io, bytes] = stream.Read(in.Room(context_.buffers, BufferPool::kNormal));
  in.Filled(bytes);
  if (io == Io::kBlocked) return in.Trim();
  if (io == Io::kBroken || (io == Io::kEnd && in.empty())) {
    Close();  // came and went without a word: nothing was asked, nothing is recorded
    return;
  }
  if (!AdmitsFirst(bytes)) return RefuseHeader(Counter::kProxyForbidden);
  Classify(io == Io::kEnd);
}

bool Downstream::AdmitsFirst(size_t bytes) {
  const bool is_first = bytes == in.raw().size();
  if (header_rule_ == trust::ProxyHeaderRule::kNotRead) {
    if (is_first && proxy_protocol::HasSignature(in.raw())) SkipAgentsHeader();
    return true;
  }
  return Admits(bytes) || (is_first && SkipAgentsHeader());
}

void Downstream::Classify(bool ended) {
  const Detected detected = Detect(in.raw());
  if (detected == Detected::kHttp) return Begin(snapshot::Protocol::kHttp);
  // An end without a whole first line: whatever it is, it will not become HTTP.
  if (detected == Detected::kOther || ended) return Begin(snapshot::Protocol::kTcp);
  stream.AckNow();
}

void Downstream::OnTimer() {
  if (closed()) return;
  if (!stream.registered()) {
    Watch();
    if (!closed()) ArmTimer(patience_);
  } else if (session_) {
    session_->OnTimer();
  } else if (context_.draining && in.empty()) {
    Close();
  } else if (awaits_header_) {
    OnHeaderDeadline();
  } else if (in.empty()) {
    OnSilence();
  } else {
    // It began like a request and stopped: more likely a slow client than a protocol whose first
    // words are those of HTTP. The header timeout takes it from here.
    Begin(snapshot::Protocol::kHttp);
  }
}

void Downstream::OnSilence() {
  if (context_.draining) return Close();
  context_.counters.Add(Counter::kDetectionTimeouts);
  if (silence_judged_) return Begin(snapshot::Protocol::kTcp);  // which will refuse it
  silence_judged_ = true;
  const Judgement judgement = JudgeConnection(*context_.snapshot, facts_, context_.loop.wall_now());
  if (judgement.verdict.allowed) return Begin(snapshot::Protocol::kTcp, /*silent=*/true);
  // As TCP it may not enter, but a request may come that may: clients open connections ahead of
  // need. Until then nothing has gone upstream, so waiting harms nobody.
  ArmTimer(context_.options.limits.header_timeout);
}

void Downstream::OnSnapshot() {
  if ((awaits_header_ || header_taken_) && !StillTakesHeaders()) {
    // Who the client is was this sender's word alone. Judged by what is left, the client would pass
    // for the sender, and what it wrote itself might be believed.
    if (!session_) return RefuseHeader(Counter::kProxyForbidden);
    context_.counters.Add(Counter::kPolicyClosed);
    return Cut(access_log::Flag::kPolicyClosed);
  }
  if (session_) session_->OnSnapshot();
}

void Downstream::OnDrain() {
  if (!session_) {
    stream.Note(EPOLLIN);  // a request may have arrived that no event has told of yet
    if (awaits_header_) {
      TakeHeader();  // or the sender's header would pass for a client's first words
    } else {
      DetectProtocol();
    }
  }
  if (session_) return session_->OnDrain();
  if (in.empty() && !closed()) ArmTimer(context_.drain_idle_timeout);
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

void Downstream::BeginRecord(access_log::Record* record) const {
  record->time_us = context_.loop.wall_now().time_since_epoch().count();
  record->SetDirectPeer(peer());
  record->SetDestination(destination());
  if (header_taken_) record->Add(access_log::Flag::kProxyProtocol);
}

void Downstream::Push(access_log::Record* record) {
  if (proxy_tlvs_ != nullptr) record->Set(access_log::Text::kProxyTlvs, *proxy_tlvs_);
  context_.ring.TryPush(*record);
}

}  // namespace whence::proxy
