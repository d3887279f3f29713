#include "dataplane/proxy/upstream.h"

#include <cerrno>

#include "common/proxy_protocol/formatter.h"
#include "dataplane/os/socket.h"

namespace whence::proxy {

Upstream::Upstream(loop::EventLoop& loop, os::UniqueFd fd, const Key& key, UpstreamUser& user)
    : stream(std::move(fd), Stream::Nagle::kOffAtNextWrite),
      loop_(loop),
      key_(key),
      user_(&user),
      local_(key.source),
      timer_(
          +[](void* self) { static_cast<Upstream*>(self)->OnTimeout(); }, this) {}

void Upstream::SetKeepAlive(const snapshot::KeepAlive& keep_alive) {
  os::KeepAlive probing;
  if (keep_alive.probes != 0) probing.probes = static_cast<int>(keep_alive.probes);
  if (keep_alive.time.count() != 0) probing.time = keep_alive.time;
  if (keep_alive.interval.count() != 0) probing.interval = keep_alive.interval;
  os::SetKeepAlive(stream.fd(), probing);
  // This is what ends a silent connection, whatever the number of probes says (tcp(7)).
  os::SetUserTimeout(stream.fd(), probing.time + probing.probes * probing.interval);
}

void Upstream::Announce(const proxy_protocol::HandoverKey& receiver) {
  stream.DisableNagle();  // what follows must not wait until this is acknowledged
  const auto own = os::LocalAddress(stream.fd());
  if (!own) return;  // then the connection is broken, which the loop will tell
  const proxy_protocol::HandoverProof proof = proxy_protocol::Prove(
      receiver, {proxy_protocol::Spoken::kByAgent, *own, key_.destination, *own});
  const proxy_protocol::Tlv tlv{proxy_protocol::kTlvHandover, {proof.data(), proof.size()}};
  announcement_ = std::make_unique<Announcement>();
  const auto size =
      proxy_protocol::FormatV2(proxy_protocol::Addresses{*own, key_.destination}, {&tlv, 1},
                               proxy_protocol::Checksum::kNone, announcement_->bytes);
  announcement_->size = size.value_or(0);
}

bool Upstream::SendAnnouncement() {
  if (announcement_ == nullptr) return true;
  const auto announcement = std::move(announcement_);
  return os::SendAhead(stream.fd(), {announcement->bytes.data(), announcement->size});
}

size_t Upstream::SendFirst(std::string_view bytes) {
  const auto [io, sent] = stream.Write(bytes);
  if (io == Io::kMoved) state_ = State::kOpen;
  if (io == Io::kBroken) state_ = State::kFailed;
  return sent;
}

bool Upstream::Start(std::chrono::milliseconds timeout) {
  using Interest = loop::EventLoop::Interest;
  const bool is_settled = state_ == State::kOpen && stream.writable();
  if (!stream.registered()) {
    if (!stream.Register(loop_, *this, is_settled ? Interest::kRead : Interest::kBoth))
      return false;
  } else if (!is_settled) {
    stream.WatchWritable();
  }
  if (state_ == State::kConnecting) ArmTimer(timeout);
  return true;
}

void Upstream::OnEvents(uint32_t events) {
  if (!stream.open() || state_ == State::kParked) return;
  if (state_ == State::kConnecting) {
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0) return;
    timer_.Cancel();
    if (events & (EPOLLERR | EPOLLHUP)) error_ = os::TakeError(stream.fd());
    if (error_ == 0 && !SendAnnouncement()) error_ = EPIPE;
    state_ = error_ == 0 ? State::kOpen : State::kFailed;
  }
  stream.Note(events);
  user_->OnUpstream(*this);
}

void Upstream::OnTimeout() {
  if (!stream.open()) return;
  timed_out_ = true;
  if (state_ == State::kConnecting) {
    state_ = State::kFailed;
    error_ = ETIMEDOUT;
  }
  user_->OnUpstream(*this);
}

const net::IpAddress& Upstream::local_address() {
  if (local_.is_unspecified()) {
    if (const auto local = os::LocalAddress(stream.fd())) local_ = local->ip;
  }
  return local_;
}

void Upstream::Close() {
  timer_.Cancel();
  stream.Close();
  place.Return();
}

bool Upstream::Park() {
  timer_.Cancel();
  place.Return();
  in.Clear();
  state_ = State::kParked;
  return stream.Dissolve();
}

int Upstream::Reconnect(UpstreamUser& user) {
  user_ = &user;
  state_ = State::kConnecting;
  timed_out_ = false;
  error_ = 0;
  used = is_personal = false;
  requests = 0;
  idle_timeout = std::chrono::milliseconds(0);
  return os::Connect(stream.fd(), key_.destination);
}

}  // namespace whence::proxy
