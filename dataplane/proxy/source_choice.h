// From which address does an upstream connection leave? Pure.
//
//   gateway, node agent   its own: replies to a foreign address would not come back to it
//   sidecar, REDIRECT     127.0.0.6 or ::6, as people know it: nothing can be spoofed there
//   sidecar, TPROXY       what the topology says: the direct peer's, the trusted client's, its own
//
// A client address of the other family than the destination, or that no client can have, cannot be
// a source at all; that is an answer of its own, so that nobody takes another address in its place
// silently.
#ifndef WHENCE_DATAPLANE_PROXY_SOURCE_CHOICE_H_
#define WHENCE_DATAPLANE_PROXY_SOURCE_CHOICE_H_

#include <optional>

#include "common/net/roles.h"
#include "common/trust/topology.h"
#include "dataplane/proxy/data_plane.h"

namespace whence::proxy {

struct SourceChoice {
  enum class Kind : uint8_t {
    kOwn,          // the kernel's choice
    kFixed,        // `address`, which is ours
    kSpoofed,      // `address`, which is not ours
    kUnavailable,  // `address` is wanted and cannot be used for this destination
  };
  Kind kind = Kind::kOwn;
  net::IpAddress address;

  friend bool operator==(const SourceChoice&, const SourceChoice&) = default;
};

SourceChoice ChooseSource(const trust::Topology& topology, InterceptionMode interception,
                          const net::DirectPeer& peer, const net::TrustedClient& client,
                          const net::IpAddress& destination);

// The same where the wanted source failed: own address if the topology allows that, else nothing.
std::optional<SourceChoice> FallbackSource(const trust::Topology& topology);

// 127.0.0.6 or ::6.
net::IpAddress RedirectSource(bool v4);

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_SOURCE_CHOICE_H_
