// A compiled set of CIDRs: membership and longest match at a cost that does not grow with the list.
//
// The CIDRs of one family cut its address space into consecutive segments, each with one
// longest-matching prefix (or none). We store where each segment starts and that prefix's length,
// nothing else: 5 bytes a segment for IPv4, 17 for IPv6, at most 2n + 1 segments for n CIDRs.
//
//   10.0.0.0/8, 10.1.0.0/16   ->   0.0.0.0 none | 10.0.0.0 /8 | 10.1.0.0 /16 | 10.2.0.0 /8
//   | 11.0.0.0 none
//
// The matching CIDR is the address cut to that length, so the list itself need not be kept.
//
// To find a segment among millions in a few steps there are tables over them, as many as the
// addresses are crowded: a table takes up to 16 bits of an address, past those that all its
// segments share, and gives the few segments that can hold it, or where they are many (a million
// addresses in one /48), the next table. The last few are searched by halves.
#ifndef WHENCE_COMMON_NET_CIDR_SET_H_
#define WHENCE_COMMON_NET_CIDR_SET_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "common/net/cidr.h"
#include "common/net/packed_cidrs.h"

namespace whence::net {

// Immutable after construction; safe from any thread. Lookups do not allocate. Duplicates and
// nesting are fine.
class CidrSet {
 public:
  CidrSet() = default;  // matches nothing
  // REQUIRES: the invariant of PackedCidrs.
  explicit CidrSet(const PackedCidrs& packed);
  explicit CidrSet(const std::vector<Cidr>& cidrs) : CidrSet(Pack(cidrs)) {}

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
  // Which of `starts[begin, end)` may hold a key. All of them agree in their first `skip` bits.
  struct Node {
    uint32_t begin, end;
    uint32_t table;  // first of its 2^bits + 1 entries in `tables`
    uint8_t skip, bits;
  };
  template <typename Key>
  struct Segments {
    std::vector<Key> starts;       // ascending; starts[0] is the lowest address when not empty
    std::vector<uint8_t> lengths;  // parallel to starts
    std::vector<Node> nodes;       // nodes[0] is the root, when not empty
    // An entry is the first segment that does not start before its block, or, with kNodeFlag, the
    // node for the segments that start within it.
    std::vector<uint32_t> tables;
  };
  static constexpr uint32_t kNodeFlag = uint32_t{1} << 31;

  template <typename Key>
  static Segments<Key> Compile(const std::string& records);
  template <typename Key>
  static void AddNode(Segments<Key>* segments, uint32_t begin, uint32_t end);
  template <typename Key>
  static uint8_t Find(const Segments<Key>& segments, const Key& key);
  uint8_t MatchLength(const IpAddress& address) const;

  Segments<uint32_t> v4_;
  Segments<V6Key> v6_;
  size_t size_ = 0;
};

}  // namespace whence::net

#endif  // WHENCE_COMMON_NET_CIDR_SET_H_
