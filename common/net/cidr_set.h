// A compiled set of CIDRs: membership and longest match at a cost that does not grow with the list.
//
// The CIDRs of one family cut its address space into consecutive segments, each with one
// longest-matching prefix (or none). We store where each segment starts and that prefix's length,
// nothing else: 5 bytes a segment for IPv4, 17 for IPv6, at most 2n + 1 segments for n CIDRs. A
// lookup is a binary search within the few segments that share the address's first 16 bits.
//
//   10.0.0.0/8, 10.1.0.0/16   ->   0.0.0.0 none | 10.0.0.0 /8 | 10.1.0.0 /16 | 10.2.0.0 /8
//   | 11.0.0.0 none
//
// The matching CIDR is the address cut to that length, so the list itself need not be kept.
#ifndef WHENCE_COMMON_NET_CIDR_SET_H_
#define WHENCE_COMMON_NET_CIDR_SET_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "common/net/cidr.h"

namespace whence::net {

// Immutable after construction; safe from any thread. Lookups do not allocate. Duplicates and
// nesting are fine.
class CidrSet {
 public:
  CidrSet() = default;  // matches nothing
  explicit CidrSet(std::vector<Cidr> cidrs);

  bool Contains(const IpAddress& address) const { return MatchLength(address) != kNone; }
  // The most specific CIDR of the set that holds `address`.
  std::optional<Cidr> LongestMatch(const IpAddress& address) const;

  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }  // distinct CIDRs
  size_t memory_bytes() const;

 private:
  static constexpr uint8_t kNone = 0xff;

  struct V6Key {
    uint64_t high;
    uint64_t low;
    friend auto operator<=>(const V6Key&, const V6Key&) = default;
  };
  template <typename Key>
  struct Segments {
    std::vector<Key> starts;       // ascending; starts[0] is the lowest address when not empty
    std::vector<uint8_t> lengths;  // parallel to starts
    std::vector<uint32_t>
        buckets;  // first segment whose start is beyond the first address with these top 16 bits
  };

  template <typename Key>
  static Segments<Key> Compile(const std::vector<Cidr>& sorted);
  template <typename Key>
  static uint8_t Find(const Segments<Key>& segments, Key key, uint32_t top16);
  uint8_t MatchLength(const IpAddress& address) const;

  static uint32_t ToKey(const IpAddress& address, uint32_t) { return address.v4_host_order(); }
  static V6Key ToKey(const IpAddress& address, V6Key);

  Segments<uint32_t> v4_;
  Segments<V6Key> v6_;
  size_t size_ = 0;
};

}  // namespace whence::net

#endif  // WHENCE_COMMON_NET_CIDR_SET_H_
