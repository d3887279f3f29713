// An address has a role, and the role is a type.
//
// The same 16 bytes may be the peer the kernel saw, the client a header claims, or where a
// connection was aimed. Mixing them up is this field's classic security bug, so each has its own
// type and none converts to another.
#ifndef WHENCE_COMMON_NET_ROLES_H_
#define WHENCE_COMMON_NET_ROLES_H_

#include "common/net/socket_address.h"

namespace whence::trust {
class TrustedClientFactory;
}

namespace whence::net {

// Source of the connection we accepted, from the kernel; never taken from bytes.
struct DirectPeer {
  SocketAddress address;
};

// Where the downstream aimed before interception.
struct OriginalDestination {
  SocketAddress address;
};

// The resolver's answer; the only client address that policy, balancing and the application may
// look at. Only trust::Resolve can make one, through the factory that is private to it.
class TrustedClient {
 public:
  const IpAddress& ip() const { return ip_; }
  friend bool operator==(const TrustedClient&, const TrustedClient&) = default;

 private:
  friend class trust::TrustedClientFactory;
  explicit TrustedClient(const IpAddress& ip) : ip_(ip) {}

  IpAddress ip_;
};

}  // namespace whence::net

#endif  // WHENCE_COMMON_NET_ROLES_H_
