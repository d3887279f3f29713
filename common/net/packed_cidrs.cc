#include "common/net/packed_cidrs.h"

#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <bit>
#include <compare>
#include <cstring>
#include <tuple>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace whence::net {
namespace {

template <size_t kSize>
using Record = std::array<uint8_t, kSize>;

template <size_t kSize>
const Record<kSize>* Records(const std::string& bytes) {
  // Alignment 1, no padding: the bytes are the records.
  static_assert(sizeof(Record<kSize>) == kSize && alignof(Record<kSize>) == 1);
  return reinterpret_cast<const Record<kSize>*>(bytes.data());
}

template <size_t kSize>
std::string_view View(const Record<kSize>* begin, const Record<kSize>* end) {
  return {reinterpret_cast<const char*>(begin), static_cast<size_t>(end - begin) * kSize};
}

template <typename Number>
Number BigEndian(const uint8_t* bytes) {
  Number value;
  std::memcpy(&value, bytes, sizeof value);
  if constexpr (std::endian::native == std::endian::big) return value;
  return sizeof value == 8 ? __builtin_bswap64(value) : __builtin_bswap32(value);
}

// Records as numbers in the order of their bytes. Comparing a million of them takes a third of the
// time that calls of memcmp do.
uint64_t KeyOf(const Record<kV4Record>& r) {
  return uint64_t{BigEndian<uint32_t>(r.data())} << 8 | r[kV4Record - 1];
}
std::tuple<uint64_t, uint64_t, uint8_t> KeyOf(const Record<kV6Record>& r) {
  return {BigEndian<uint64_t>(r.data()), BigEndian<uint64_t>(r.data() + 8), r[kV6Record - 1]};
}

template <size_t kSize>
std::strong_ordering Compare(const Record<kSize>& a, const Record<kSize>& b) {
  return KeyOf(a) <=> KeyOf(b);
}

template <size_t kSize>
void Sort(std::string* bytes) {
  auto* begin = reinterpret_cast<Record<kSize>*>(bytes->data());
  auto* end = begin + bytes->size() / kSize;
  const auto less = [](const auto& a, const auto& b) { return Compare(a, b) < 0; };
  if (!std::is_sorted(begin, end, less)) std::sort(begin, end, less);
  end = std::unique(begin, end);
  bytes->resize(static_cast<size_t>(end - begin) * kSize);
}

Cidr ToCidr(const Record<kV4Record>& r) {
  return Cidr(IpAddress::FromV4({r[0], r[1], r[2], r[3]}), r[4]);
}
Cidr ToCidr(const Record<kV6Record>& r) {
  IpAddress::Bytes bytes;
  std::copy_n(r.begin(), bytes.size(), bytes.begin());
  return Cidr(IpAddress::FromV6(bytes), r[16]);
}

constexpr int MaxLength(size_t record) { return record == kV4Record ? 32 : 128; }

// What is wrong with one record by itself; empty: nothing.
template <size_t kSize>
std::string FaultOf(const Record<kSize>& record) {
  const int length = record[kSize - 1];
  if (length > MaxLength(kSize)) {
    return absl::StrCat("prefix length ", length, " is not 0..", MaxLength(kSize));
  }
  if constexpr (kSize == kV6Record) {
    // A mapped address is IPv4 and its length would count in the other family.
    IpAddress::Bytes bytes;
    std::copy_n(record.begin(), bytes.size(), bytes.begin());
    const auto address = IpAddress::FromV6(bytes);
    if (address.is_v4()) {
      return absl::StrCat(address.ToString(), " is IPv4 and belongs to v4");
    }
  }
  const Cidr cidr = ToCidr(record);
  return cidr.has_host_bits() ? absl::StrCat("host bits are set beyond /", length) : "";
}

template <size_t kSize>
absl::Status CheckFamily(const std::string& bytes, const char* name) {
  if (bytes.size() % kSize != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " has ", bytes.size(), " bytes; expected a multiple of ", kSize));
  }
  const auto* records = Records<kSize>(bytes);
  for (size_t i = 0; i < bytes.size() / kSize; ++i) {
    std::string fault = FaultOf(records[i]);
    if (fault.empty() && i > 0 && Compare(records[i - 1], records[i]) >= 0) {
      fault = "does not stand in order";
    }
    if (!fault.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(name, "[", i, "]: ", fault));
    }
  }
  return absl::OkStatus();
}

// Walks two sorted lists at once; tells each record, and in which of the two it stands.
template <size_t kSize, typename Visit>
void Merge(const std::string& a, const std::string& b, const Visit& visit) {
  const auto* x = Records<kSize>(a);
  const auto* x_end = x + a.size() / kSize;
  const auto* y = Records<kSize>(b);
  const auto* y_end = y + b.size() / kSize;
  while (x != x_end || y != y_end) {
    const auto order = x == x_end   ? std::strong_ordering::greater
                       : y == y_end ? std::strong_ordering::less
                                    : Compare(*x, *y);
    visit(View(order <= 0 ? x : y, (order <= 0 ? x : y) + 1), order <= 0, order >= 0);
    x += order <= 0;
    y += order >= 0;
  }
}

template <size_t kSize>
std::string Select(const std::string& a, const std::string& b, bool both, bool only_a,
                   bool only_b) {
  std::string out;
  Merge<kSize>(a, b, [&](std::string_view record, bool in_a, bool in_b) {
    if (in_a && in_b ? both : in_a ? only_a : only_b) out.append(record);
  });
  return out;
}

PackedCidrs Select(const PackedCidrs& a, const PackedCidrs& b, bool both, bool only_a,
                   bool only_b) {
  return {Select<kV4Record>(a.v4, b.v4, both, only_a, only_b),
          Select<kV6Record>(a.v6, b.v6, both, only_a, only_b)};
}

// Copies the long stretches between the few records that change as blocks.
template <size_t kSize>
bool ApplyFamily(const std::string& before, const std::string& added, const std::string& removed,
                 std::string* out) {
  out->reserve(before.size() + added.size());
  const auto* at = Records<kSize>(before);
  const auto* end = at + before.size() / kSize;
  bool exact = true;
  Merge<kSize>(added, removed, [&](std::string_view bytes, bool is_added, bool is_removed) {
    const auto& record = *reinterpret_cast<const Record<kSize>*>(bytes.data());
    const auto* next = std::lower_bound(
        at, end, record, [](const auto& a, const auto& b) { return Compare(a, b) < 0; });
    out->append(View(at, next));
    at = next;
    const bool is_there = at != end && Compare(*at, record) == 0;
    exact = exact && is_added != is_removed && is_there == is_removed;
    if (is_removed && is_there) ++at;
    if (is_added && !is_there) out->append(bytes);
  });
  out->append(View(at, end));
  return exact;
}

// ---- Chunks ----

// A multiplicative hash is enough to place borders: nobody gains by choosing where they are.
template <size_t kSize>
bool EndsChunk(const Record<kSize>& record) {
  constexpr uint64_t kMean = 256;
  uint64_t hash = 0xcbf29ce484222325;
  for (const uint8_t byte : record) hash = (hash ^ byte) * 0x100000001b3;
  hash ^= hash >> 29;
  hash *= 0xbf58476d1ce4e5b9;
  return (hash >> 32) % kMean == 0;
}

template <size_t kSize, typename Visit>
void ForEachChunk(const std::string& bytes, const Visit& visit) {
  const auto* begin = Records<kSize>(bytes);
  const auto* end = begin + bytes.size() / kSize;
  for (const auto* at = begin; at != end; ++at) {
    if (!EndsChunk(*at) && at + 1 != end) continue;
    visit(View(begin, at + 1));
    begin = at + 1;
  }
}

using Sha256 = std::array<uint8_t, SHA256_DIGEST_LENGTH>;

Sha256 Sha256Of(std::string_view bytes) {
  Sha256 digest;
  SHA256(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), digest.data());
  return digest;
}

uint64_t ShortDigest(std::string_view bytes) {
  const Sha256 digest = Sha256Of(bytes);
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | digest[i];
  return value;
}

}  // namespace

void CidrPacker::Add(const Cidr& cidr) {
  const auto& bytes = cidr.network().bytes();
  std::string& out = cidr.is_v4() ? records_.v4 : records_.v6;
  const size_t skipped = cidr.is_v4() ? 12 : 0;
  out.append(reinterpret_cast<const char*>(bytes.data()) + skipped, bytes.size() - skipped);
  out.push_back(static_cast<char>(cidr.prefix_length()));
}

PackedCidrs CidrPacker::Finish() {
  Sort<kV4Record>(&records_.v4);
  Sort<kV6Record>(&records_.v6);
  return std::exchange(records_, {});
}

PackedCidrs Pack(const std::vector<Cidr>& cidrs) {
  CidrPacker packer;
  for (const Cidr& cidr : cidrs) packer.Add(cidr);
  return packer.Finish();
}

absl::Status CheckPacked(const PackedCidrs& packed) {
  if (absl::Status status = CheckFamily<kV4Record>(packed.v4, "v4"); !status.ok()) return status;
  return CheckFamily<kV6Record>(packed.v6, "v6");
}

void ForEach(const PackedCidrs& packed, const std::function<void(const Cidr&)>& visit) {
  const auto* v4 = Records<kV4Record>(packed.v4);
  for (size_t i = 0; i < packed.v4.size() / kV4Record; ++i) visit(ToCidr(v4[i]));
  const auto* v6 = Records<kV6Record>(packed.v6);
  for (size_t i = 0; i < packed.v6.size() / kV6Record; ++i) visit(ToCidr(v6[i]));
}

std::string VersionOf(const PackedCidrs& packed) {
  // A digest of digests: the border between the families is part of the content.
  const Sha256 families[] = {Sha256Of(packed.v4), Sha256Of(packed.v6)};
  const Sha256 digest = Sha256Of({reinterpret_cast<const char*>(families), sizeof families});
  constexpr size_t kShown = 16;
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), kShown));
}

CidrDelta Difference(const PackedCidrs& before, const PackedCidrs& after) {
  return {Minus(after, before), Minus(before, after)};
}

absl::StatusOr<PackedCidrs> ApplyDelta(const PackedCidrs& before, const CidrDelta& delta) {
  PackedCidrs after;
  const bool v4 = ApplyFamily<kV4Record>(before.v4, delta.added.v4, delta.removed.v4, &after.v4);
  const bool v6 = ApplyFamily<kV6Record>(before.v6, delta.added.v6, delta.removed.v6, &after.v6);
  if (v4 && v6) return after;
  return absl::InvalidArgumentError("the difference does not fit the set it is applied to");
}

bool AppendBehind(const PackedCidrs& added, PackedCidrs* to) {
  const auto is_behind = [](std::string_view more, std::string_view all, size_t record) {
    return more.empty() || all.empty() ||
           std::memcmp(all.data() + all.size() - record, more.data(), record) < 0;
  };
  if (!is_behind(added.v4, to->v4, kV4Record) || !is_behind(added.v6, to->v6, kV6Record)) {
    return false;
  }
  to->v4.append(added.v4);
  to->v6.append(added.v6);
  return true;
}

CidrDelta Compose(const CidrDelta& first, const CidrDelta& second) {
  return {Union(Minus(first.added, second.removed), Minus(second.added, first.removed)),
          Union(Minus(first.removed, second.added), Minus(second.removed, first.added))};
}

PackedCidrs Union(const PackedCidrs& a, const PackedCidrs& b) {
  return Select(a, b, true, true, true);
}

PackedCidrs Minus(const PackedCidrs& a, const PackedCidrs& b) {
  return Select(a, b, false, true, false);
}

std::vector<uint64_t> ChunkDigests(const PackedCidrs& packed) {
  std::vector<uint64_t> digests;
  const auto add = [&](std::string_view chunk) { digests.push_back(ShortDigest(chunk)); };
  ForEachChunk<kV4Record>(packed.v4, add);
  ForEachChunk<kV6Record>(packed.v6, add);
  return digests;
}

PackedCidrs TakeChunks(const PackedCidrs& packed, const std::function<bool(size_t)>& wanted) {
  PackedCidrs taken;
  size_t index = 0;
  const auto take = [&](std::string* out) {
    return [&, out](std::string_view chunk) {
      if (wanted(index++)) out->append(chunk);
    };
  };
  ForEachChunk<kV4Record>(packed.v4, take(&taken.v4));
  ForEachChunk<kV6Record>(packed.v6, take(&taken.v6));
  return taken;
}

}  // namespace whence::net
