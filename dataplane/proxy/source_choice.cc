#include "dataplane/proxy/source_choice.h"

namespace whence::proxy {
namespace {

using Kind = SourceChoice::Kind;

SourceChoice Spoof(const net::IpAddress& source, const net::IpAddress& destination) {
  const bool usable = source.is_v4() == destination.is_v4() && source.is_unicast();
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
      return Spoof(peer.address.ip, destination);
    case trust::UpstreamSource::kTrustedClient:
      return Spoof(client.ip(), destination);
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
