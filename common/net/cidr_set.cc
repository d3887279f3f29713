#include "common/net/cidr_set.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace whence::net {
namespace {

// Up to this many segments are searched by halves: no more than two or three cache lines.
constexpr uint32_t kLeaf = 32;

// ---- Keys: an address of one family as a number ----

uint64_t BigEndian(const uint8_t* bytes) {
  uint64_t value;
  std::memcpy(&value, bytes, sizeof value);
  return __builtin_bswap64(value);
}

void ReadKey(const uint8_t* record, uint32_t* key) {
  *key =
      uint32_t{record[0]} << 24 | uint32_t{record[1]} << 16 | uint32_t{record[2]} << 8 | record[3];
}
template <typename Key>
void ReadKey(const uint8_t* record, Key* key) {
  *key = {BigEndian(record), BigEndian(record + 8)};
}

constexpr size_t RecordSize(const uint32_t*) { return kV4Record; }
template <typename Key>
constexpr size_t RecordSize(const Key*) {
  return kV6Record;
}

constexpr int Width(const uint32_t*) { return 32; }
template <typename Key>
constexpr int Width(const Key*) {
  return 128;
}

// `count` bits from bit `skip` on, counted from the highest. 0 < count <= 16.
uint32_t Bits(uint32_t key, int skip, int count) { return key << skip >> (32 - count); }
template <typename Key>
uint32_t Bits(const Key& key, int skip, int count) {
  uint64_t window;
  if (skip == 0) {
    window = key.high;
  } else if (skip < 64) {
    window = key.high << skip | key.low >> (64 - skip);
  } else {
    window = key.low << (skip - 64);
  }
  return static_cast<uint32_t>(window >> (64 - count));
}

// How many leading bits two keys have in common.
int CommonBits(uint32_t a, uint32_t b) { return std::countl_zero(a ^ b); }
template <typename Key>
int CommonBits(const Key& a, const Key& b) {
  return a.high != b.high ? std::countl_zero(a.high ^ b.high)
                          : 64 + std::countl_zero(a.low ^ b.low);
}

// The first of `count` ascending keys that is above `key`. Without branches, half of which would be
// guessed wrong.
const uint32_t* FirstAbove(const uint32_t* keys, uint32_t count, uint32_t key) {
  while (count > 0) {
    const uint32_t half = (count + 1) / 2;
    keys += half & -static_cast<uint32_t>(keys[half - 1] <= key);
    count -= half;
  }
  return keys;
}
// These are on more than one cache line, and a wrong guess at least fetches the next one: branches
// are quicker here.
template <typename Key>
const Key* FirstAbove(const Key* keys, uint32_t count, const Key& key) {
  constexpr size_t kLine = 64;
  for (size_t line = 0; line < 3; ++line) {
    __builtin_prefetch(reinterpret_cast<const char*>(keys) + line * kLine);
  }
  return std::upper_bound(keys, keys + count, key);
}

// The last key of the range, and the one after it; false when there is none.
uint32_t LastOf(uint32_t first, int length) {
  return length == 0 ? ~uint32_t{0} : first | (length == 32 ? 0 : ~uint32_t{0} >> length);
}
template <typename Key>
Key LastOf(const Key& first, int length) {
  constexpr uint64_t kAll = ~uint64_t{0};
  if (length == 0) return {kAll, kAll};
  if (length < 64) return {first.high | kAll >> length, kAll};
  return {first.high, length == 64    ? kAll
                      : length == 128 ? first.low
                                      : first.low | kAll >> (length - 64)};
}
bool Increment(uint32_t& key) { return ++key != 0; }
template <typename Key>
bool Increment(Key& key) {
  if (++key.low != 0) return true;
  return ++key.high != 0;
}

}  // namespace

CidrSet::CidrSet(const PackedCidrs& packed)
    : v4_(Compile<uint32_t>(packed.v4)), v6_(Compile<V6Key>(packed.v6)), size_(packed.size()) {}

// Records are by network, then by length: an enclosing range comes before what it encloses, so a
// stack of open ranges gives the longest match at every point.
template <typename Key>
CidrSet::Segments<Key> CidrSet::Compile(const std::string& records) {
  constexpr size_t kRecord = RecordSize(static_cast<const Key*>(nullptr));
  const size_t count = records.size() / kRecord;
  Segments<Key> out;
  if (count == 0) return out;
  out.starts.reserve(2 * count + 1);  // untouched pages cost nothing
  out.lengths.reserve(2 * count + 1);
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
  // Closes every range that ends before *next; all, when null.
  const auto close_until = [&](const Key* next) {
    while (!stack.empty() && (next == nullptr || stack.back().last < *next)) {
      Key after = stack.back().last;
      stack.pop_back();
      if (Increment(after)) open_segment(after, stack.empty() ? kNone : stack.back().length);
    }
  };
  open_segment(Key{}, kNone);
  const auto* record = reinterpret_cast<const uint8_t*>(records.data());
  for (size_t i = 0; i < count; ++i, record += kRecord) {
    Key first;
    ReadKey(record, &first);
    const uint8_t length = record[kRecord - 1];
    close_until(&first);
    open_segment(first, length);
    stack.push_back({LastOf(first, length), length});
  }
  close_until(nullptr);
  // A copy to the exact size is worth it only where much was reserved in vain.
  if (out.starts.size() < out.starts.capacity() / 4 * 3) {
    out.starts.shrink_to_fit();
    out.lengths.shrink_to_fit();
  }
  if (out.starts.size() > kLeaf) AddNode(&out, 0, static_cast<uint32_t>(out.starts.size()));
  return out;
}

// The deepest path adds a node for every bit that two neighbours may still have in common, so the
// recursion is no deeper than an address is wide.
template <typename Key>
void CidrSet::AddNode(Segments<Key>* segments, uint32_t begin, uint32_t end) {
  constexpr int kWidth = Width(static_cast<const Key*>(nullptr));
  const std::vector<Key>& starts = segments->starts;
  // The root takes every key; below it all segments of a node share the bits of its block at least.
  const int skip = segments->nodes.empty() ? 0 : CommonBits(starts[begin], starts[end - 1]);
  // About eight segments to an entry; no table of its own is larger than 256 KiB.
  const int wanted = std::clamp(static_cast<int>(std::bit_width(end - begin)) - 3, 4, 16);
  const int bits = std::min(wanted, kWidth - skip);
  const auto table = segments->tables.size();
  segments->nodes.push_back({begin, end, static_cast<uint32_t>(table), static_cast<uint8_t>(skip),
                             static_cast<uint8_t>(bits)});
  const uint32_t blocks = uint32_t{1} << bits;
  segments->tables.resize(table + blocks + 1);
  uint32_t at = begin;
  for (uint32_t block = 0; block < blocks; ++block) {
    const uint32_t first = at;
    while (at < end && Bits(starts[at], skip, bits) == block) ++at;
    segments->tables[table + block] = first;
    if (at - first > kLeaf && skip + bits < kWidth) {
      segments->tables[table + block] = kNodeFlag | static_cast<uint32_t>(segments->nodes.size());
      AddNode(segments, first, at);
    }
  }
  segments->tables[table + blocks] = end;
}

template <typename Key>
uint8_t CidrSet::Find(const Segments<Key>& segments, const Key& key) {
  const std::vector<Key>& starts = segments.starts;
  if (starts.empty()) return kNone;
  // starts[0] is the family's lowest address, so there is always a segment at or before `key`; it
  // may lie before the block.
  const auto length_before = [&](uint32_t segment) { return segments.lengths[segment - 1]; };
  uint32_t low = 0;
  auto high = static_cast<uint32_t>(starts.size());
  if (!segments.nodes.empty()) {
    const Node* node = &segments.nodes[0];
    for (;;) {
      if (node->skip > 0 && CommonBits(starts[node->begin], key) < node->skip) {
        return length_before(key < starts[node->begin] ? node->begin : node->end);
      }
      const uint32_t* entry = &segments.tables[node->table + Bits(key, node->skip, node->bits)];
      if ((entry[0] & kNodeFlag) == 0) {
        low = entry[0];
        high = (entry[1] & kNodeFlag) != 0 ? segments.nodes[entry[1] & ~kNodeFlag].begin : entry[1];
        break;
      }
      node = &segments.nodes[entry[0] & ~kNodeFlag];
    }
  }
  // What is to be read is known now: one wait for memory instead of one after the other.
  __builtin_prefetch(segments.lengths.data() + low);
  const Key* after = FirstAbove(starts.data() + low, high - low, key);
  return length_before(static_cast<uint32_t>(after - starts.data()));
}

uint8_t CidrSet::MatchLength(const IpAddress& address) const {
  if (address.is_v4()) return Find(v4_, address.v4_host_order());
  V6Key key;
  ReadKey(address.bytes().data(), &key);
  return Find(v6_, key);
}

std::optional<Cidr> CidrSet::LongestMatch(const IpAddress& address) const {
  const uint8_t length = MatchLength(address);
  if (length == kNone) return std::nullopt;
  return Cidr(address, length);
}

size_t CidrSet::memory_bytes() const {
  const auto of = [](const auto& s) {
    return s.starts.capacity() * sizeof(s.starts[0]) + s.lengths.capacity() +
           s.nodes.capacity() * sizeof(Node) + s.tables.capacity() * sizeof(uint32_t);
  };
  return of(v4_) + of(v6_);
}

}  // namespace whence::net
