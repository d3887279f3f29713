#include "common/net/cidr_set.h"

#include <algorithm>

namespace whence::net {
namespace {

constexpr uint32_t kBuckets = 1 << 16;

uint32_t Top16(uint32_t key) { return key >> 16; }
template <typename Key>
uint32_t Top16(const Key& key) {
  return static_cast<uint32_t>(key.high >> 48);
}

// The key after `key`; false when `key` is the last of its family.
bool Increment(uint32_t& key) { return ++key != 0; }
template <typename Key>
bool Increment(Key& key) {
  if (++key.low != 0) return true;
  return ++key.high != 0;
}

}  // namespace

CidrSet::V6Key CidrSet::ToKey(const IpAddress& address, V6Key) {
  const auto& b = address.bytes();
  V6Key key{0, 0};
  for (int i = 0; i < 8; ++i) key.high = key.high << 8 | b[i];
  for (int i = 8; i < 16; ++i) key.low = key.low << 8 | b[i];
  return key;
}

CidrSet::CidrSet(std::vector<Cidr> cidrs) {
  std::sort(cidrs.begin(), cidrs.end());
  cidrs.erase(std::unique(cidrs.begin(), cidrs.end()), cidrs.end());
  size_ = cidrs.size();
  // Sorted by 16-byte address, IPv4 (as ::ffff:0:0/96) may lie between IPv6 ranges; partition keeps
  // each family's order.
  const auto middle =
      std::stable_partition(cidrs.begin(), cidrs.end(), [](const Cidr& c) { return c.is_v4(); });
  v4_ = Compile<uint32_t>({cidrs.begin(), middle});
  v6_ = Compile<V6Key>({middle, cidrs.end()});
}

// `sorted` is by network, then by length: an enclosing range comes before what it encloses, so a
// stack of open ranges gives the longest match at every point.
template <typename Key>
CidrSet::Segments<Key> CidrSet::Compile(const std::vector<Cidr>& sorted) {
  Segments<Key> out;
  if (sorted.empty()) return out;
  const auto open_segment = [&out](const Key& start, uint8_t length) {
    if (!out.starts.empty() && out.starts.back() == start) {
      out.lengths.back() = length;
    } else if (out.lengths.empty() || out.lengths.back() != length || length != kNone) {
      out.starts.push_back(start);
      out.lengths.push_back(length);
    }
  };
  struct Open {
    Key last;
    uint8_t length;
  };
  std::vector<Open> stack;
  const auto close_until =
      [&](const Key* next) {  // closes every range that ends before *next; all, when null
        while (!stack.empty() && (next == nullptr || stack.back().last < *next)) {
          Key after = stack.back().last;
          stack.pop_back();
          if (Increment(after)) open_segment(after, stack.empty() ? kNone : stack.back().length);
        }
      };
  open_segment(Key{}, kNone);
  for (const Cidr& cidr : sorted) {
    const Key first = ToKey(cidr.network(), Key{});
    close_until(&first);
    open_segment(first, static_cast<uint8_t>(cidr.prefix_length()));
    stack.push_back({ToKey(cidr.last(), Key{}), static_cast<uint8_t>(cidr.prefix_length())});
  }
  close_until(nullptr);
  out.starts.shrink_to_fit();
  out.lengths.shrink_to_fit();

  // buckets[t] = number of segments that start before the block of top bits t; one more entry
  // closes the last block. Small sets skip the 256 KiB table: a plain binary search over a few
  // segments is as quick.
  if (out.starts.size() > 256) {
    out.buckets.resize(kBuckets + 1);
    uint32_t segment = 0;
    for (uint32_t top = 0; top < kBuckets; ++top) {
      while (segment < out.starts.size() && Top16(out.starts[segment]) < top) ++segment;
      out.buckets[top] = segment;
    }
    out.buckets[kBuckets] = static_cast<uint32_t>(out.starts.size());
  }
  return out;
}

template <typename Key>
uint8_t CidrSet::Find(const Segments<Key>& segments, Key key, uint32_t top16) {
  if (segments.starts.empty()) return kNone;
  auto low = segments.starts.begin();
  auto high = segments.starts.end();
  if (!segments.buckets.empty()) {
    low += segments.buckets[top16];
    high = segments.starts.begin() + segments.buckets[top16 + 1];
  }
  // starts[0] is the family's lowest address, so there is always a segment at or before `key`; it
  // may lie before the bucket.
  const auto after = std::upper_bound(low, high, key);
  return segments.lengths[static_cast<size_t>(after - segments.starts.begin()) - 1];
}

uint8_t CidrSet::MatchLength(const IpAddress& address) const {
  if (address.is_v4()) {
    const uint32_t key = address.v4_host_order();
    return Find(v4_, key, Top16(key));
  }
  const V6Key key = ToKey(address, V6Key{});
  return Find(v6_, key, Top16(key));
}

std::optional<Cidr> CidrSet::LongestMatch(const IpAddress& address) const {
  const uint8_t length = MatchLength(address);
  if (length == kNone) return std::nullopt;
  return Cidr(address, length);
}

size_t CidrSet::memory_bytes() const {
  const auto of = [](const auto& s) {
    return s.starts.capacity() * sizeof(s.starts[0]) + s.lengths.capacity() +
           s.buckets.capacity() * sizeof(uint32_t);
  };
  return of(v4_) + of(v6_);
}

}  // namespace whence::net
