#include "common/net/packed_cidrs.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <set>

namespace whence::net {
namespace {

PackedCidrs Packed(std::initializer_list<std::string_view> texts) {
  std::vector<Cidr> cidrs;
  for (const auto text : texts) cidrs.push_back(Cidr::Parse(text).value());
  return Pack(cidrs);
}

std::string Text(const PackedCidrs& packed) {
  std::string text;
  ForEach(packed, [&](const Cidr& cidr) { text += cidr.ToString() + " "; });
  return text;
}

// A few hundred of a small universe, so that sets overlap much and differ a little.
PackedCidrs Random(std::mt19937& random, size_t count) {
  std::vector<Cidr> cidrs;
  for (size_t i = 0; i < count; ++i) {
    if (random() % 3 == 0) {
      IpAddress::Bytes bytes{0x20, 0x01, 0x0d, 0xb8};
      bytes[5] = static_cast<uint8_t>(random() % 200);
      cidrs.emplace_back(IpAddress::FromV6(bytes), 40 + static_cast<int>(random() % 9));
    } else {
      cidrs.emplace_back(IpAddress::FromV4(0x0a000000 + random() % 2000 * 16),
                         26 + static_cast<int>(random() % 7));
    }
  }
  return Pack(cidrs);
}

TEST(PackedCidrsTest, IsSortedUniqueAndCanonical) {
  const PackedCidrs packed =
      Packed({"10.1.0.0/16", "2001:db8::/32", "10.0.0.0/8", "10.1.2.3/16", "::ffff:10.0.0.0/104",
              "1.2.3.4", "2001:db8::/48", "10.0.0.0/16"});
  EXPECT_EQ(Text(packed),
            "1.2.3.4/32 10.0.0.0/8 10.0.0.0/16 10.1.0.0/16 2001:db8::/32 2001:db8::/48 ");
  EXPECT_EQ(packed.size(), 6u);
  EXPECT_TRUE(CheckPacked(packed).ok());
  EXPECT_EQ(packed, Packed({"2001:db8::/48", "10.0.0.0/16", "10.0.0.0/8", "1.2.3.4/32",
                            "2001:db8::/32", "10.1.0.0/16"}));
}

// Programs of other versions compare the bytes.
TEST(PackedCidrsTest, TheOrderIsThatOfTheBytes) {
  std::mt19937 random(11);
  std::vector<Cidr> cidrs;
  for (int i = 0; i < 2000; ++i) {
    IpAddress::Bytes bytes;
    // Of few values, so that records differ early, late, or in their length only.
    for (uint8_t& byte : bytes) byte = random() % 8 == 0 ? 0x80 : 0x7f;
    bytes[0] = 0x20;
    cidrs.emplace_back(IpAddress::FromV6(bytes), 1 + static_cast<int>(random() % 128));
    cidrs.emplace_back(IpAddress::FromV4({bytes[1], bytes[2], bytes[3], bytes[4]}),
                       1 + static_cast<int>(random() % 32));
  }
  const PackedCidrs packed = Pack(cidrs);
  ASSERT_GT(packed.v4.size(), 100 * kV4Record);
  ASSERT_GT(packed.v6.size(), 1000 * kV6Record);
  for (const auto& [family, size] : {std::pair(packed.v4, kV4Record), {packed.v6, kV6Record}}) {
    for (size_t at = size; at < family.size(); at += size) {
      ASSERT_LT(std::memcmp(&family[at - size], &family[at], size), 0) << at / size;
    }
  }
}

TEST(PackedCidrsTest, BytesFromElsewhereAreRefusedByName) {
  struct Case {
    const char* name;
    PackedCidrs packed;
    const char* want;
  };
  const std::string ten("\x0a\0\0\0\x08", 5);
  std::string mapped(17, '\0');
  mapped[10] = mapped[11] = '\xff';
  mapped[16] = 120;
  std::string host_bits(17, '\x20');
  host_bits[16] = 8;
  std::string long_v6(17, '\0');
  long_v6[16] = '\x81';
  const Case cases[] = {
      {"half a record", {"abcd", ""}, "v4 has 4 bytes; expected a multiple of 5"},
      {"IPv4 prefix", {std::string("\x0a\0\0\0\x21", 5), ""}, "v4[0]: prefix length 33 is not"},
      {"IPv6 prefix", {"", long_v6}, "v6[0]: prefix length 129 is not 0..128"},
      {"IPv4 host bits", {std::string("\x0a\0\0\1\x08", 5), ""}, "v4[0]: host bits are set"},
      {"IPv6 host bits", {"", host_bits}, "v6[0]: host bits are set beyond /8"},
      {"twice", {ten + ten, ""}, "v4[1]: does not stand in order"},
      {"unsorted", {ten + std::string("\1\0\0\0\x08", 5), ""}, "v4[1]: does not stand in order"},
      {"mapped", {"", mapped}, "v6[0]: 0.0.0.0 is IPv4 and belongs to v4"},
  };
  for (const Case& test : cases) {
    const absl::Status status = CheckPacked(test.packed);
    ASSERT_FALSE(status.ok()) << test.name;
    EXPECT_EQ(std::string(status.message()).rfind(test.want, 0), 0u)
        << test.name << ": " << status.message();
  }
}

TEST(PackedCidrsTest, VersionTellsContentsApart) {
  const std::string version = VersionOf(Packed({"1.2.3.4", "2001:db8::/32"}));
  EXPECT_EQ(version.size(), 32u);
  EXPECT_EQ(version, VersionOf(Packed({"2001:db8::/32", "1.2.3.4"})));
  EXPECT_NE(version, VersionOf(Packed({"1.2.3.5", "2001:db8::/32"})));
  EXPECT_NE(version, VersionOf({}));
  // 85 bytes are 17 IPv4 records or 5 IPv6 ones: the border between them counts.
  const std::string bytes(85, '\x01');
  EXPECT_NE(VersionOf({bytes, ""}), VersionOf({"", bytes}));
}

TEST(PackedCidrsTest, DifferenceLeadsFromOneToTheOther) {
  std::mt19937 random(5);
  for (int round = 0; round < 50; ++round) {
    const PackedCidrs a = Random(random, round % 7 == 0 ? 0 : 300);
    const PackedCidrs b = Random(random, round % 5 == 0 ? 0 : 300);
    const PackedCidrs c = Random(random, 300);
    const CidrDelta delta = Difference(a, b);
    EXPECT_EQ(ApplyDelta(a, delta).value(), b);
    const CidrDelta composed = Compose(delta, Difference(b, c));
    EXPECT_EQ(ApplyDelta(a, composed).value(), c);
    const CidrDelta direct = Difference(a, c);
    EXPECT_EQ(composed.added, direct.added);
    EXPECT_EQ(composed.removed, direct.removed);
    EXPECT_TRUE(Compose(delta, Difference(b, a)).empty());
    EXPECT_EQ(Union(Minus(a, b), b), Union(a, b));
  }
}

TEST(PackedCidrsTest, ADifferenceThatDoesNotFitIsRefused) {
  const PackedCidrs base = Packed({"1.0.0.0/8", "2001:db8::/32"});
  EXPECT_FALSE(ApplyDelta(base, {Packed({"1.0.0.0/8"}), {}}).ok()) << "there already";
  EXPECT_FALSE(ApplyDelta(base, {{}, Packed({"2.0.0.0/8"})}).ok()) << "not there";
  EXPECT_FALSE(ApplyDelta(base, {{}, Packed({"2001:db8::/33"})}).ok()) << "not there, IPv6";
  EXPECT_FALSE(ApplyDelta(base, {Packed({"1.0.0.0/8"}), Packed({"1.0.0.0/8"})}).ok()) << "both";
  EXPECT_TRUE(ApplyDelta(base, {}).ok());
}

TEST(PackedCidrsTest, ASmallChangeChangesFewChunks) {
  std::mt19937 random(9);
  std::vector<Cidr> cidrs;
  for (int i = 0; i < 20000; ++i) cidrs.emplace_back(IpAddress::FromV4(random()), 32);
  for (int i = 0; i < 20000; ++i) {
    IpAddress::Bytes bytes{0x20, 0x01};
    for (int b = 2; b < 8; ++b) bytes[b] = static_cast<uint8_t>(random());
    cidrs.emplace_back(IpAddress::FromV6(bytes), 64);
  }
  const PackedCidrs before = Pack(cidrs);
  cidrs.erase(cidrs.begin() + 100);
  cidrs.erase(cidrs.begin() + 30000);
  cidrs.emplace_back(IpAddress::FromV4(random()), 32);
  const PackedCidrs after = Pack(cidrs);

  const std::vector<uint64_t> old_digests = ChunkDigests(before);
  const std::vector<uint64_t> new_digests = ChunkDigests(after);
  EXPECT_GT(old_digests.size(), 100u);
  const std::set<uint64_t> known(old_digests.begin(), old_digests.end());
  const std::set<uint64_t> kept(new_digests.begin(), new_digests.end());
  const PackedCidrs fresh =
      TakeChunks(after, [&](size_t i) { return known.count(new_digests[i]) == 0; });
  const PackedCidrs shared =
      TakeChunks(before, [&](size_t i) { return kept.count(old_digests[i]) != 0; });
  EXPECT_EQ(Union(shared, fresh), after);
  EXPECT_LT(fresh.size(), 6 * 1500u) << "far from all";
  EXPECT_LT(fresh.size(), after.size() / 4);
  EXPECT_EQ(TakeChunks(after, [](size_t) { return true; }), after);
}

}  // namespace
}  // namespace whence::net
