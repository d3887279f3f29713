#include "dataplane/proxy/source_choice.h"

namespace whence::proxy {
namespace {

using Kind = SourceChoice::Kind;

// 0.0.0.0/8: a host that does not know its network yet.
bool IsThisNetwork(const net::IpAddress& address) {
  return address.is_v4() && address.bytes()[12] == 0;
}

// Who comes over a network has no loopback address (RFC 1122, 3.2.1.3), but the application may let
// in those who say so.
SourceChoice Spoof(const net::IpAddress& source, const net::DirectPeer& peer,
                   const net::IpAddress& destination) {
  const bool usable = source.is_v4() == destination.is_v4() && source.is_unicast() &&
                      (!source.is_loopback() || peer.address.ip.is_loopback()) &&
                      !IsThisNetwork(source);
  return {usable ? Kind::kSpoofed : Kind::kUnavailable, source};
}

}  // namespace

net::IpAddress RedirectSource(bool v4) {
  return v4 ? net::IpAddress::FromV4({127, 0, 0, 6})
            : net::IpAddress::FromV6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6});
}

SourceChoice ChooseSource(const trust::Topology& topology, InterceptionMode interception,
                          const net::DirectPeer& peer, const net::TrustedClient& client,
                          const net::IpAddress& destination) {
  if (topology.role != trust::Role::kSidecar) return {};
  if (interception == InterceptionMode::kRedirect) {
    return {Kind::kFixed, RedirectSource(destination.is_v4())};
  }
  switch (topology.upstream_source) {
    case trust::UpstreamSource::kDirectPeer:
      return Spoof(peer.address.ip, peer, destination);
    case trust::UpstreamSource::kTrustedClient:
      return Spoof(client.ip(), peer, destination);
    case trust::UpstreamSource::kAgent:
      break;
  }
  return {};
}

std::optional<SourceChoice> FallbackSource(const trust::Topology& topology) {
  if (topology.upstream_fallback != trust::UpstreamFallback::kAgent) return std::nullopt;
  return SourceChoice{};
}

}  // namespace whence::proxy
