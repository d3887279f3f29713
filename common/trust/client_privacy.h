// How much of a client's address the access log keeps.
//
// Decisions are made with the whole address; only the record of them is made coarser, before it
// leaves the agent. Every address that may be a client's is: also the peer, the source that was
// used upstream and each entry of a forwarded list. The destination is ours.
//
//   truncated to /24 and /48    203.0.113.77 -> 203.0.113.0    2001:db8:1:2::3 -> 2001:db8:1::
//   hashed                      203.0.113.77 -> 100::8d3c:12f0:a1b2:9e07
//
// A hash is HMAC-SHA-256 with the mesh's key, 64 bits of it under 100::/64, which is no address of
// anybody (RFC 6666): the same client is told from others, and is not found by trying all addresses
// without the key.
//
// Pure; safe from any thread.
#ifndef WHENCE_COMMON_TRUST_CLIENT_PRIVACY_H_
#define WHENCE_COMMON_TRUST_CLIENT_PRIVACY_H_

#include <string>
#include <string_view>

#include "common/net/ip_address.h"

namespace whence::trust {

struct ClientPrivacy {
  enum class Mode { kFull, kTruncate, kHash };
  Mode mode = Mode::kFull;
  int v4_prefix = 24;  // 0..32
  int v6_prefix = 48;  // 0..128
  std::string key;     // kHash

  bool hides() const { return mode != Mode::kFull; }
  // "::" means none and stays.
  net::IpAddress Hide(const net::IpAddress& address) const;
  // An X-Forwarded-For list: entries that are addresses hidden, without ports; others "unknown",
  // since they may be an address in a form that we do not know. REQUIRES: hides().
  std::string HideList(std::string_view list) const;

  bool operator==(const ClientPrivacy&) const = default;
};

}  // namespace whence::trust

#endif  // WHENCE_COMMON_TRUST_CLIENT_PRIVACY_H_
