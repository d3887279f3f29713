#include "dataplane/proxy/tcp_session.h"

#include "common/proxy_protocol/formatter.h"
#include "common/snapshot/router.h"
#include "dataplane/os/socket.h"
#include "dataplane/proxy/detection.h"
#include "dataplane/proxy/judgement.h"
#include "dataplane/proxy/listeners.h"

namespace whence::proxy {

using access_log::Flag;

TcpSession::TcpSession(Context& context, Downstream& downstream, bool silent)
    : context_(context),
      downstream_(downstream),
      silent_(silent),
      began_(context.loop.now()),
      record_(std::make_unique_for_overwrite<access_log::Record>()) {
  downstream.BeginRecord(record_.get());
  context_.ring.Begin();
}

TcpSession::~TcpSession() = default;

void TcpSession::Run() {
  if (finished_) return;
  if (!started_ && !Start()) return;
  if (downstream_.stream.hung_up() && upstream_ && upstream_->state() != Upstream::State::kOpen) {
    record().Add(Flag::kDownstreamReset);
    context_.counters.Add(Counter::kDownstreamResets);
    return Finish(/*reset=*/true);
  }
  if (!upstream_ || upstream_->state() != Upstream::State::kOpen) return;
  if (!SendHeader()) return;
  if (silent_ && !SettleSilence()) return;
  MoveBytes();
}

std::optional<TcpSession::Target> TcpSession::Destination(const net::TrustedClient& client) {
  if (downstream_.listener_port() == 0) return Target{downstream_.destination().address};
  const snapshot::Snapshot& snapshot = *context_.snapshot;
  const snapshot::Listener* listener = FindListener(snapshot, downstream_.listener_port());
  const snapshot::TcpRoute* route =
      listener == nullptr ? nullptr : snapshot::MatchTcp(*listener, client);
  if (route == nullptr) {
    context_.counters.Add(Counter::kNoRoute);
    return std::nullopt;
  }
  const uint32_t cluster = route->Pick(context_.balancer.Random32());
  const snapshot::Cluster& known = snapshot.clusters[cluster];
  const Balancer::Chosen chosen = context_.balancer.Next(
      cluster, client.ip(), known.balancing.HashOf({.client = &client}), context_.loop.now());
  if (chosen.endpoint == nullptr) {
    context_.counters.Add(Counter::kNoEndpoint);
    return std::nullopt;
  }
  endpoint_ = chosen.state;
  if (endpoint_ != nullptr) ++endpoint_->active;
  const snapshot::Endpoint& endpoint = *chosen.endpoint;
  return Target{endpoint.address, endpoint.has_sidecar || endpoint.handover_key,
                endpoint.handover_key, known.limits, context_.pending.QuotaOf(cluster)};
}

void TcpSession::WriteHeader(const trust::Resolution& resolution, const Target& target) {
  if (downstream_.listener_port() == 0) return;  // the application gets what the client sent
  const trust::ProxyVersion version =
      trust::ProxyVersionToSend(context_.snapshot->topology, target.has_agent);
  if (version == trust::ProxyVersion::kNone) return;
  const ConnectionFacts& facts = downstream_.facts();
  const proxy_protocol::Addresses addresses{
      {resolution.client.ip(), facts.proxy_source.value_or(facts.peer.address).port},
      facts.destination.address};
  proxy_protocol::HandoverProof proof;
  proxy_protocol::Tlv tlv;
  std::span<const proxy_protocol::Tlv> tlvs;
  // The local end is known: connect() has chosen it.
  const auto own = target.handover_key ? os::LocalAddress(upstream_->stream.fd()) : std::nullopt;
  if (own) {
    proof = proxy_protocol::Prove(*target.handover_key, {proxy_protocol::Spoken::kByClient, *own,
                                                         target.address, addresses.source});
    tlv = {proxy_protocol::kTlvHandover, {proof.data(), proof.size()}};
    tlvs = {&tlv, 1};
  }
  const std::span<char> room = header_.Room(context_.buffers, proxy_protocol::kMaxPlainBytes);
  const auto size =
      version == trust::ProxyVersion::kV1
          ? proxy_protocol::FormatV1(addresses, room)
          : proxy_protocol::FormatV2(addresses, tlvs, proxy_protocol::Checksum::kNone, room);
  header_.Written(size.value_or(0));  // a header with a proof at most always fits
  has_header_ = true;
}

bool TcpSession::SendHeader() {
  if (header_.empty()) return true;
  if (!upstream_->stream.writable()) return false;
  const auto [io, bytes] = upstream_->stream.Write(header_.pending());
  if (io == Io::kBroken) {
    context_.counters.Add(Counter::kUpstreamResets);
    Fail(Flag::kUpstreamReset);
    return false;
  }
  header_.Sent(bytes);
  if (!header_.empty()) return false;
  header_.Clear();
  context_.counters.Add(Counter::kProxySent);
  return true;
}

bool TcpSession::Start() {
  started_ = true;
  const snapshot::Snapshot& snapshot = *context_.snapshot;
  const Judgement judgement =
      JudgeConnection(snapshot, downstream_.facts(), context_.loop.wall_now());
  Describe(judgement, &record());
  context_.counters.Add(ConnectionCounter(judgement.verdict));
  if (!judgement.verdict.allowed) {
    Finish(/*reset=*/true);
    return false;
  }
  return Connect(judgement.resolution);
}

bool TcpSession::Connect(const trust::Resolution& resolution) {
  const snapshot::Snapshot& snapshot = *context_.snapshot;
  const auto destination = Destination(resolution.client);
  if (!destination) {
    Fail(Flag::kNoRoute);
    return false;
  }
  if (IsOwnListener(context_.options, snapshot, destination->address)) {
    context_.counters.Add(Counter::kLoops);
    Fail(Flag::kLoop);
    return false;
  }
  ConnectionPlace place;
  if (destination->quota && !context_.pending.Take(destination->quota, context_.pool, &place)) {
    context_.counters.Add(Counter::kConnectionOverflow);
    Fail(Flag::kOverload);
    return false;
  }
  const SourceChoice source =
      ChooseSource(snapshot.topology, context_.options.interception, downstream_.peer(),
                   resolution.client, destination->address.ip);
  Connector::Opened opened = context_.connector.Open(
      destination->address, source, FallbackSource(snapshot.topology), /*first_bytes=*/{}, *this);
  if (opened.fell_back) record().Add(Flag::kSourceFallback);
  switch (opened.outcome) {
    case Connector::Outcome::kStarted:
      upstream_ = std::move(opened.upstream);
      upstream_->place = std::move(place);
      if (destination->limits.connect_timeout.count() > 0) {
        upstream_->ArmTimer(destination->limits.connect_timeout);
      }
      if (destination->limits.keep_alive) {
        upstream_->SetKeepAlive(*destination->limits.keep_alive);
      }
      WriteHeader(resolution, *destination);
      return true;
    case Connector::Outcome::kFailed:
      Fail(Flag::kUpstreamConnectFailed);
      return false;
    case Connector::Outcome::kSourceUnavailable:
    case Connector::Outcome::kSourceExhausted:
      Fail(Flag::kSourceUnavailable);
      return false;
  }
  return false;
}

void TcpSession::OnUpstream(Upstream& upstream) {
  if (finished_) return;
  if (upstream.state() == Upstream::State::kFailed) {
    const bool timeout = upstream.timed_out();
    context_.counters.Add(timeout ? Counter::kUpstreamConnectTimeouts
                                  : Counter::kUpstreamConnectFailed);
    const bool is_spoofed = upstream.is_spoofed;
    DropUpstream();
    if (context_.connector.TriesAnotherPort(is_spoofed, timeout, &port_tries_)) {
      Connect(ResolveConnection(*context_.snapshot, downstream_.facts()));
      return;
    }
    if (endpoint_ != nullptr) context_.balancer.Report(*endpoint_, 0, context_.loop.now());
    return Fail(timeout ? Flag::kUpstreamTimeout : Flag::kUpstreamConnectFailed);
  }
  Run();
}

bool TcpSession::SettleSilence() {
  if (upstream_->stream.readable()) {
    silent_ = false;  // the server spoke first, or is gone: not HTTP
    return true;
  }
  ReadBuffer& in = downstream_.in;
  if (downstream_.stream.readable()) {
    const auto [io, bytes] =
        downstream_.stream.Read(in.Room(context_.buffers, BufferPool::kNormal));
    in.Filled(bytes);
    if (io == Io::kBroken || io == Io::kEnd) {
      silent_ = false;  // the relay passes it on
      return true;
    }
    if (!downstream_.Admits(bytes)) {
      ForbidHeader();
      return false;
    }
  }
  if (in.empty()) {
    downstream_.ArmTimer(context_.options.limits.tcp_idle_timeout);
    return false;
  }
  const Detected detected = Detect(in.raw());
  if (detected == Detected::kHttp) {
    BecomeHttp();
    return false;
  }
  if (detected == Detected::kOther) silent_ = false;
  if (silent_) downstream_.ArmTimer(context_.options.limits.detection_timeout);
  return !silent_;
}

void TcpSession::BecomeHttp() {
  finished_ = true;
  if (has_header_) {
    // It was announced as this client's, and requests of others could come to share it.
    DropUpstream();
  }
  downstream_.BecomeHttp(std::move(upstream_));
}

void TcpSession::DropUpstream() {
  upstream_->Close();
  context_.loop.Retire(std::move(upstream_));
}

void TcpSession::ForbidHeader() {
  context_.counters.Add(Counter::kProxyForbidden);
  record().decision = access_log::Decision::kDeny;
  record().Add(Flag::kProxyHeaderUnexpected);
  Fail(Flag::kDownstreamProtocolError);
}

access_log::Record& TcpSession::record() {
  if (record_ == nullptr) {
    record_ = std::make_unique<access_log::Record>();
    packed_record_->UnpackTo(record_.get());
  }
  return *record_;
}

void TcpSession::PackRecord() {
  packed_record_.emplace(*record_);
  record_.reset();
}

void TcpSession::MoveBytes() {
  if (!relay_) {
    record().upstream_source = upstream_->local_address();
    PackRecord();
    relay_.emplace(context_.buffers, context_.pipes,
                   Relay::Side{downstream_.stream, downstream_.in},
                   Relay::Side{upstream_->stream, upstream_->in}, &downstream_.guard());
    downstream_.ArmTimer(context_.options.limits.tcp_idle_timeout);
  }
  using State = Relay::State;
  const Relay::Progress progress = relay_->Move();
  if (progress.moved) downstream_.ArmTimer(context_.options.limits.tcp_idle_timeout);
  switch (progress.state) {
    case State::kForbiddenHeader:
      return ForbidHeader();
    case State::kOpen:
      if (progress.cut_short) downstream_.Schedule();
      return;
    case State::kDone:
      return Finish(/*reset=*/false);
    case State::kDownstreamBroken:
      context_.counters.Add(Counter::kDownstreamResets);
      record().Add(Flag::kDownstreamReset);
      return Finish(/*reset=*/true);
    case State::kUpstreamBroken:
      context_.counters.Add(Counter::kUpstreamResets);
      record().Add(Flag::kUpstreamReset);
      return Finish(/*reset=*/true);
  }
}

void TcpSession::OnTimer() {
  if (finished_) return;
  if (silent_ && !downstream_.in.empty()) {
    // Its first words resemble a request and nothing more comes. As at the start of a connection
    // that is taken for HTTP, or half a request line would smuggle the rest past the parser.
    return BecomeHttp();
  }
  context_.counters.Add(Counter::kIdleTimeouts);
  record().Add(Flag::kDownstreamTimeout);
  Finish(/*reset=*/true);
}

void TcpSession::Rejudge() {
  if (finished_ || !started_) return;
  const Judgement judgement =
      JudgeConnection(*context_.snapshot, downstream_.facts(), context_.loop.wall_now());
  if (judgement.verdict.allowed) return;
  Describe(judgement, &record());
  context_.counters.Add(Counter::kPolicyClosed);
  record().Add(Flag::kPolicyClosed);
  Finish(/*reset=*/true);
}

void TcpSession::OnCut(Flag reason) {
  if (finished_) return;
  record().Add(reason);
  Finish(/*reset=*/true);
}

void TcpSession::Fail(Flag flag) {
  record().Add(flag);
  Finish(/*reset=*/true);
}

void TcpSession::Finish(bool reset) {
  if (finished_) return;
  finished_ = true;
  access_log::Record& entry = record();
  if (relay_) {
    entry.bytes_in = relay_->bytes_in();
    entry.bytes_out = relay_->bytes_out();
    context_.counters.Add(Counter::kBytesIn, entry.bytes_in);
    context_.counters.Add(Counter::kBytesOut, entry.bytes_out);
  }
  entry.duration_us = static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(context_.loop.now() - began_).count());
  downstream_.Push(&entry);
  if (endpoint_ != nullptr) --endpoint_->active;
  if (upstream_) {
    // Its end is the relay's, which both sides have said and heard.
    if (!reset && relay_ && os::IsAllAcknowledged(upstream_->stream.fd())) {
      context_.connector.End(std::move(upstream_));
    } else {
      if (reset) upstream_->stream.Reset();
      DropUpstream();
    }
  }
  downstream_.Close(reset);
}

}  // namespace whence::proxy
