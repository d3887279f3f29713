// A range of addresses, a.b.c.d/len (RFC 4632) or v6/len (RFC 4291).
#ifndef WHENCE_COMMON_NET_CIDR_H_
#define WHENCE_COMMON_NET_CIDR_H_

#include <compare>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/net/ip_address.h"

namespace whence::net {

// Immutable value. A range belongs to one family and never matches the other: 0.0.0.0/0 is every
// IPv4 address and no IPv6 one. Host bits are cut off (2.2.2.2/24 is 2.2.2.0/24), as Istio and
// Envoy do; `has_host_bits` lets a linter say so.
class Cidr {
 public:
  // One address: /32 or /128.
  explicit Cidr(const IpAddress& address) : Cidr(address, address.is_v4() ? 32 : 128) {}
  // REQUIRES: 0 <= prefix_length <= 32 for IPv4, 128 for IPv6. The length counts in the address's
  // own family.
  Cidr(const IpAddress& address, int prefix_length);

  // "10.0.0.0/8", "2001:db8::/32"; without a slash, one address. IPv4-mapped text with a length of
  // 96 or more is the IPv4 range (::ffff:10.0.0.0/104 is 10.0.0.0/8); a shorter mapped range is
  // refused, for it would span both families. InvalidArgument says what is wrong: `"10.0.0.0/33":
  // prefix length must be 0..32`.
  static absl::StatusOr<Cidr> Parse(std::string_view text);

  const IpAddress& network() const { return network_; }
  const IpAddress last() const;
  int prefix_length() const { return prefix_length_; }
  bool is_v4() const { return network_.is_v4(); }
  bool has_host_bits() const { return has_host_bits_; }

  bool Contains(const IpAddress& address) const;
  std::string ToString() const;

  friend bool operator==(const Cidr& a, const Cidr& b) {
    return a.network_ == b.network_ && a.prefix_length_ == b.prefix_length_;
  }
  friend std::strong_ordering operator<=>(const Cidr& a, const Cidr& b) {
    if (auto order = a.network_ <=> b.network_; order != 0) return order;
    return a.prefix_length_ <=> b.prefix_length_;
  }

 private:
  IpAddress network_;
  uint8_t prefix_length_;
  bool has_host_bits_;
};

}  // namespace whence::net

#endif  // WHENCE_COMMON_NET_CIDR_H_
