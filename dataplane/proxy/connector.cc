#include "dataplane/proxy/connector.h"

#include <cerrno>

#include "dataplane/os/socket.h"

namespace whence::proxy {
namespace {

using Outcome = Connector::Outcome;

// Ports in use are rare, or many in a row. So many here and there mean that the range is used up, or
// as good as.
constexpr int kPortTries = 64;
constexpr int kTriesInARow = 4;

bool IsUnderWay(int error) { return error == 0 || error == EINPROGRESS; }

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
    : loop_(loop), options_(options), tuples_(tuples), counters_(counters), ports_(ports) {}

Upstream::Key Connector::KeyOf(const net::SocketAddress& destination, const SourceChoice& source,
                               bool announced) {
  return {source.kind == SourceChoice::Kind::kOwn ? net::IpAddress() : source.address, destination,
          announced};
}

Outcome Connector::ConnectSpoofed(const net::SocketAddress& destination,
                                  const net::IpAddress& source, os::UniqueFd* out) {
  for (int tries = 0; tries < kPortTries; ++tries) {
    if (tries > 0) counters_.Add(Counter::kSourcePortRetries);
    if (tries > 0 && tries % kTriesInARow == 0) ports_.Jump();
    const net::SocketAddress from{source, ports_.Next()};
    if (tuples_.Contains(from, destination)) continue;
    os::UniqueFd fd = os::NewTcpSocket(source.is_v4());
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
    *out = std::move(fd);
    return outcome;
  }
  return Outcome::kSourceExhausted;
}

Outcome Connector::TryOpen(const net::SocketAddress& destination, const SourceChoice& source,
                           os::UniqueFd* out) {
  switch (source.kind) {
    case SourceChoice::Kind::kUnavailable:
      if (source.address.is_v4() != destination.ip.is_v4()) counters_.Add(Counter::kSourceFamily);
      return Outcome::kSourceUnavailable;
    case SourceChoice::Kind::kSpoofed:
      return ConnectSpoofed(destination, source.address, out);
    case SourceChoice::Kind::kFixed:
    case SourceChoice::Kind::kOwn:
      break;
  }
  *out = os::NewTcpSocket(destination.ip.is_v4());
  if (!*out) return Outcome::kFailed;
  return source.kind == SourceChoice::Kind::kFixed
             ? ConnectFixed(out->get(), destination, source.address)
             : ConnectFrom(out->get(), destination);
}

Connector::Opened Connector::Open(const net::SocketAddress& destination, const SourceChoice& source,
                                  const std::optional<SourceChoice>& fallback, UpstreamUser& user,
                                  const std::optional<proxy_protocol::HandoverKey>& announce) {
  Opened opened{Outcome::kFailed, nullptr};
  os::UniqueFd fd;
  const SourceChoice* used = &source;
  opened.outcome = TryOpen(destination, source, &fd);
  if (fallback && (opened.outcome == Outcome::kSourceUnavailable ||
                   opened.outcome == Outcome::kSourceExhausted)) {
    counters_.Add(Counter::kSourceFallback);
    opened.fell_back = true;
    used = &*fallback;
    opened.outcome = TryOpen(destination, *fallback, &fd);
  }
  if (opened.outcome == Outcome::kStarted) {
    os::SetUserTimeout(fd.get(), options_.limits.user_timeout);
    opened.upstream =
        std::make_unique<Upstream>(loop_, std::move(fd),
                                   KeyOf(destination, *used, announce.has_value()), user);
    if (announce) opened.upstream->Announce(*announce);
    if (opened.upstream->Start(options_.limits.connect_timeout)) {
      counters_.Add(Counter::kUpstreamConnects);
      return opened;
    }
    opened.upstream.reset();  // never registered: no event can name it
    opened.outcome = Outcome::kFailed;
  }
  counters_.Add(opened.outcome == Outcome::kSourceUnavailable ? Counter::kSourceUnavailable
                : opened.outcome == Outcome::kSourceExhausted ? Counter::kSourcePortExhausted
                                                              : Counter::kUpstreamConnectFailed);
  return opened;
}

}  // namespace whence::proxy
