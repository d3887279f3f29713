#include "dataplane/proxy/connector.h"

#include <algorithm>
#include <cerrno>

#include "dataplane/os/socket.h"

namespace whence::proxy {
namespace {

using Outcome = Connector::Outcome;

// Ports in use are rare, or many in a row. So many here and there mean that the range is used up,
// or as good as.
constexpr int kPortTries = 64;
constexpr int kTriesInARow = 4;

// Of connections that were refused, where the client picks its ports out of our range: it may have
// many in TIME_WAIT, which the packet rules cannot tell from half open. Else one will do: likelier
// the application is gone.
constexpr uint8_t kRefusals = 8;

bool IsUnderWay(int error) { return error == 0 || error == EINPROGRESS; }

// What completes the handshake then goes with our first bytes.
os::UniqueFd NewSocket(bool v4, bool speaks_first) {
  os::UniqueFd fd = os::NewTcpSocket(v4);
  if (fd && speaks_first) os::DelayAcks(fd.get());
  return fd;
}

Outcome ConnectFrom(int fd, const net::SocketAddress& destination) {
  const int error = os::Connect(fd, destination);
  if (IsUnderWay(error)) return Outcome::kStarted;
  return error == EADDRNOTAVAIL ? Outcome::kSourceExhausted : Outcome::kFailed;
}

Outcome ConnectFixed(int fd, const net::SocketAddress& destination, const net::IpAddress& source) {
  os::SetBindNoPort(fd);
  if (os::Bind(fd, {source, 0}) != 0) return Outcome::kSourceUnavailable;
  return ConnectFrom(fd, destination);
}

}  // namespace

Connector::Connector(loop::EventLoop& loop, const DataPlaneOptions& options,
                     const TupleTable& tuples, WorkerCounters& counters, PortSequence ports)
    : loop_(loop),
      options_(options),
      tuples_(tuples),
      counters_(counters),
      ports_(ports),
      spares_(loop) {}

Upstream::Key Connector::KeyOf(const net::SocketAddress& destination, const SourceChoice& source,
                               bool announced) {
  return {source.kind == SourceChoice::Kind::kOwn ? net::IpAddress() : source.address, destination,
          announced};
}

Outcome Connector::ConnectSpoofed(const net::SocketAddress& destination,
                                  const net::IpAddress& source, bool speaks_first, Made* out) {
  const auto& broadcast = options_.broadcast_addresses;
  if (std::find(broadcast.begin(), broadcast.end(), source) != broadcast.end()) {
    return Outcome::kSourceUnavailable;
  }
  for (int tries = 0; tries < kPortTries; ++tries) {
    if (tries > 0) counters_.Add(Counter::kSourcePortRetries);
    if (tries > 0 && tries % kTriesInARow == 0) ports_.Jump();
    const net::SocketAddress from{source, ports_.Next()};
    if (tuples_.Contains(from, destination)) continue;
    os::UniqueFd fd = NewSocket(source.is_v4(), speaks_first);
    if (!fd) return Outcome::kFailed;
    if (os::SetTransparent(fd.get(), source.is_v4()) != 0 ||
        os::SetMark(fd.get(), options_.marks.upstream) != 0 || os::SetReuseAddress(fd.get()) != 0) {
      return Outcome::kSourceUnavailable;
    }
    if (const int error = os::Bind(fd.get(), from); error != 0) {
      if (error == EADDRINUSE) continue;
      return Outcome::kSourceUnavailable;
    }
    const Outcome outcome = ConnectFrom(fd.get(), destination);
    if (outcome == Outcome::kSourceExhausted) continue;
    *out = {std::move(fd), from.port};
    return outcome;
  }
  return Outcome::kSourceExhausted;
}

Outcome Connector::TryOpen(const net::SocketAddress& destination, const SourceChoice& source,
                           bool speaks_first, Made* out) {
  switch (source.kind) {
    case SourceChoice::Kind::kUnavailable:
      if (source.address.is_v4() != destination.ip.is_v4()) counters_.Add(Counter::kSourceFamily);
      return Outcome::kSourceUnavailable;
    case SourceChoice::Kind::kSpoofed:
      return ConnectSpoofed(destination, source.address, speaks_first, out);
    case SourceChoice::Kind::kFixed:
    case SourceChoice::Kind::kOwn:
      break;
  }
  out->fd = NewSocket(destination.ip.is_v4(), speaks_first);
  if (!out->fd) return Outcome::kFailed;
  return source.kind == SourceChoice::Kind::kFixed
             ? ConnectFixed(out->fd.get(), destination, source.address)
             : ConnectFrom(out->fd.get(), destination);
}

std::unique_ptr<Upstream> Connector::Reconnect(const net::SocketAddress& destination,
                                               const SourceChoice& source, bool speaks_first,
                                               UpstreamUser& user) {
  if (source.kind != SourceChoice::Kind::kSpoofed) return nullptr;
  while (std::unique_ptr<Upstream> spare = spares_.Take(KeyOf(destination, source), loop_.now())) {
    if (speaks_first) os::DelayAcks(spare->stream.fd());
    const net::SocketAddress from{source.address, spare->source_port};
    if (!tuples_.Contains(from, destination) && IsUnderWay(spare->Reconnect(user))) return spare;
    spare->Close();
    loop_.Retire(std::move(spare));
  }
  return nullptr;
}

bool Connector::TriesAnotherPort(bool is_spoofed, bool timed_out, uint8_t* tries) {
  if (!is_spoofed || *tries >= (tuples_.has_met() && !timed_out ? kRefusals : 1)) {
    return false;
  }
  ++*tries;
  counters_.Add(Counter::kSourcePortRetries);
  return true;
}

void Connector::End(std::unique_ptr<Upstream> upstream) {
  if (upstream->source_port == 0) {
    upstream->stream.Reset();
    upstream->Close();
  } else if (upstream->Park()) {
    return spares_.Give(std::move(upstream), loop_.now());
  }
  loop_.Retire(std::move(upstream));
}

std::unique_ptr<Upstream> Connector::Wrap(
    Made made, const net::SocketAddress& destination, const SourceChoice& source,
    UpstreamUser& user, const std::optional<proxy_protocol::HandoverKey>& announce) {
  if (!is_near()) {
    // A host can vanish; an application in our own pod cannot without its sockets being closed.
    os::SetUserTimeout(made.fd.get(), options_.limits.user_timeout);
    os::SetKeepAlive(made.fd.get());
  }
  auto upstream = std::make_unique<Upstream>(
      loop_, std::move(made.fd), KeyOf(destination, source, announce.has_value()), user);
  upstream->is_spoofed = source.kind == SourceChoice::Kind::kSpoofed;
  upstream->source_port = made.port;
  if (announce) upstream->Announce(*announce);
  return upstream;
}

Outcome Connector::Begin(std::unique_ptr<Upstream> upstream, std::string_view first_bytes,
                         Opened* opened) {
  if (!first_bytes.empty()) opened->sent = upstream->SendFirst(first_bytes);
  if (upstream->state() == Upstream::State::kFailed ||
      !upstream->Start(options_.limits.connect_timeout)) {
    upstream->Close();
    loop_.Retire(std::move(upstream));
    return Outcome::kFailed;
  }
  opened->upstream = std::move(upstream);
  return Outcome::kStarted;
}

Connector::Opened Connector::Open(const net::SocketAddress& destination, const SourceChoice& source,
                                  const std::optional<SourceChoice>& fallback,
                                  std::string_view first_bytes, UpstreamUser& user,
                                  const std::optional<proxy_protocol::HandoverKey>& announce) {
  Opened opened{Outcome::kFailed, nullptr};
  Made made;
  const SourceChoice* used = &source;
  const bool speaks_first = is_near() && !announce && !first_bytes.empty();
  auto upstream = Reconnect(destination, source, speaks_first, user);
  opened.outcome =
      upstream != nullptr ? Outcome::kStarted : TryOpen(destination, source, speaks_first, &made);
  if (fallback && (opened.outcome == Outcome::kSourceUnavailable ||
                   opened.outcome == Outcome::kSourceExhausted)) {
    counters_.Add(Counter::kSourceFallback);
    opened.fell_back = true;
    used = &*fallback;
    opened.outcome = TryOpen(destination, *fallback, speaks_first, &made);
  }
  if (opened.outcome == Outcome::kStarted) {
    if (upstream == nullptr) upstream = Wrap(std::move(made), destination, *used, user, announce);
    opened.outcome =
        Begin(std::move(upstream), speaks_first ? first_bytes : std::string_view(), &opened);
  }
  counters_.Add(opened.outcome == Outcome::kStarted             ? Counter::kUpstreamConnects
                : opened.outcome == Outcome::kSourceUnavailable ? Counter::kSourceUnavailable
                : opened.outcome == Outcome::kSourceExhausted   ? Counter::kSourcePortExhausted
                                                                : Counter::kUpstreamConnectFailed);
  return opened;
}

}  // namespace whence::proxy
