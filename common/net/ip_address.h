// An IP address, canonical.
//
// Addresses reach us as text (X-Forwarded-For, policies), as bytes (PROXY protocol) and from the
// kernel, where a dual-stack socket shows an IPv4 peer as ::ffff:a.b.c.d. If those were different
// values, a deny list for IPv4 could be evaded by writing the mapped form. So there is one form: 16
// bytes, IPv4 kept as its IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2), and such an address *is*
// IPv4: is_v4() is true and it prints as a.b.c.d.
#ifndef WHENCE_COMMON_NET_IP_ADDRESS_H_
#define WHENCE_COMMON_NET_IP_ADDRESS_H_

#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace whence::net {

// Immutable value, 16 bytes, no allocation but for ToString.
class IpAddress {
 public:
  using Bytes = std::array<uint8_t, 16>;

  // The unspecified IPv6 address "::".
  constexpr IpAddress() = default;

  static constexpr IpAddress FromV4(std::array<uint8_t, 4> b) {
    return IpAddress(Bytes{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, b[0], b[1], b[2], b[3]});
  }
  // `host_order`: 10.0.0.1 is 0x0a000001.
  static constexpr IpAddress FromV4(uint32_t host_order) {
    return FromV4({static_cast<uint8_t>(host_order >> 24), static_cast<uint8_t>(host_order >> 16),
                   static_cast<uint8_t>(host_order >> 8), static_cast<uint8_t>(host_order)});
  }
  // Network order. Mapped addresses become IPv4 by construction.
  static constexpr IpAddress FromV6(const Bytes& bytes) { return IpAddress(bytes); }

  // Strict text: a dotted quad of four decimal octets without leading zeros, or RFC 4291 IPv6 text.
  // No port, brackets, scope id, blanks or shorthand such as "127.1": nullopt. Never consults a
  // resolver.
  static std::optional<IpAddress> Parse(std::string_view text);

  constexpr bool is_v4() const {
    // Two words, since every decision asks: byte by byte it takes longer than some lookups.
    using Words = std::array<uint64_t, 2>;
    constexpr auto kMask =
        std::bit_cast<Words>(Bytes{0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff});
    constexpr auto kMapped = std::bit_cast<Words>(Bytes{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff});
    const auto words = std::bit_cast<Words>(bytes_);
    return words[0] == 0 && (words[1] & kMask[1]) == kMapped[1];
  }
  constexpr bool is_v6() const { return !is_v4(); }

  // 16 bytes, network order; IPv4 in mapped form. This is also the form in which the access log
  // stores addresses.
  constexpr const Bytes& bytes() const { return bytes_; }
  // REQUIRES: is_v4().
  constexpr uint32_t v4_host_order() const {
    return uint32_t{bytes_[12]} << 24 | uint32_t{bytes_[13]} << 16 | uint32_t{bytes_[14]} << 8 |
           bytes_[15];
  }

  bool is_unspecified() const;  // 0.0.0.0 or ::
  bool is_loopback() const;     // 127.0.0.0/8 or ::1
  bool is_multicast() const;    // 224.0.0.0/4 or ff00::/8
  bool is_broadcast() const;    // 255.255.255.255
  bool is_link_local() const;   // 169.254.0.0/16 or fe80::/10
  // Could be the source of a connection: none of unspecified, multicast, broadcast.
  bool is_unicast() const { return !is_unspecified() && !is_multicast() && !is_broadcast(); }

  // RFC 5952 text: lower case, longest zero run compressed; dotted quad for IPv4.
  std::string ToString() const;
  // The same into `out`, which must hold kMaxTextSize; returns the length. For the data path.
  static constexpr size_t kMaxTextSize = 46;
  size_t Format(char* out) const;

  friend constexpr auto operator<=>(const IpAddress&, const IpAddress&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const IpAddress& a) {
    return H::combine_contiguous(std::move(h), a.bytes_.data(), a.bytes_.size());
  }

 private:
  explicit constexpr IpAddress(const Bytes& bytes) : bytes_(bytes) {}

  Bytes bytes_{};
};

}  // namespace whence::net

#endif  // WHENCE_COMMON_NET_IP_ADDRESS_H_
