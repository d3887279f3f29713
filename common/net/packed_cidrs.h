// A list of CIDRs as plain bytes: how sets travel, are stored and compared, and what is compiled.
//
// A record is the address in network order and the prefix length, 5 bytes for IPv4 and 17 for IPv6;
// each family's records are sorted and none stands twice. So equal sets are equal bytes, the order
// of bytes is the order of ranges (an enclosing one comes first), a difference is a merge of two
// sorted lists, and a million IPv4 ranges are 5 MB in one block.
//
//   10.0.0.0/8, 10.1.0.0/16   ->   v4: 0a000000 08 | 0a010000 10
//
// Two sets that differ in a few entries are told apart without sending either: `Chunks` cuts the
// list where its own content says so, so that a change moves only the borders next to it, and equal
// chunks have equal digests wherever they stand.
#ifndef WHENCE_COMMON_NET_PACKED_CIDRS_H_
#define WHENCE_COMMON_NET_PACKED_CIDRS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/net/cidr.h"

namespace whence::net {

inline constexpr size_t kV4Record = 5;
inline constexpr size_t kV6Record = 17;

// INVARIANT, of what this header's functions return: whole records, sorted, none twice, no host
// bits, no IPv4-mapped address in `v6`.
struct PackedCidrs {
  std::string v4, v6;

  size_t size() const { return v4.size() / kV4Record + v6.size() / kV6Record; }
  size_t bytes() const { return v4.size() + v6.size(); }
  bool empty() const { return v4.empty() && v6.empty(); }
  friend bool operator==(const PackedCidrs&, const PackedCidrs&) = default;
};

// Collects in any order. Thread-compatible.
class CidrPacker {
 public:
  void Add(const Cidr& cidr);
  PackedCidrs Finish();  // sorts; the packer is empty afterwards

 private:
  PackedCidrs records_;
};
PackedCidrs Pack(const std::vector<Cidr>& cidrs);

// Bytes from elsewhere. InvalidArgument names the first record that breaks the invariant:
// `v4[3]: prefix length 40 is not 0..32`.
absl::Status CheckPacked(const PackedCidrs& packed);

// In order, IPv4 first.
void ForEach(const PackedCidrs& packed, const std::function<void(const Cidr&)>& visit);

// 32 hex digits of the SHA-256 of the content: equal sets, equal versions, everywhere.
std::string VersionOf(const PackedCidrs& packed);

// ---- Differences --------------------------------------------------------------------------------

struct CidrDelta {
  PackedCidrs added, removed;
  size_t bytes() const { return added.bytes() + removed.bytes(); }
  bool empty() const { return added.empty() && removed.empty(); }
};

CidrDelta Difference(const PackedCidrs& before, const PackedCidrs& after);
// Exact: InvalidArgument if something added is there already, or something removed is not.
absl::StatusOr<PackedCidrs> ApplyDelta(const PackedCidrs& before, const CidrDelta& delta);
// The same for what only adds, behind everything that is there, without a copy: false, and nothing
// is changed, if `added` is not of that kind.
bool AppendBehind(const PackedCidrs& added, PackedCidrs* to);
// First one, then the other. REQUIRES: `second` applies to what `first` leads to.
CidrDelta Compose(const CidrDelta& first, const CidrDelta& second);
// Those in any of the two, and those of `a` that are not in `b`.
PackedCidrs Union(const PackedCidrs& a, const PackedCidrs& b);
PackedCidrs Minus(const PackedCidrs& a, const PackedCidrs& b);

// ---- Chunks -------------------------------------------------------------------------------------

// The digest of each chunk in order, IPv4 first. About 256 records a chunk.
std::vector<uint64_t> ChunkDigests(const PackedCidrs& packed);
// The records of those chunks that `wanted` is true for, by their index.
PackedCidrs TakeChunks(const PackedCidrs& packed, const std::function<bool(size_t)>& wanted);

}  // namespace whence::net

#endif  // WHENCE_COMMON_NET_PACKED_CIDRS_H_
