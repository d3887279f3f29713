#include "common/net/cidr_set.h"

#include <gtest/gtest.h>

#include <random>

namespace whence::net {
namespace {

CidrSet Set(std::initializer_list<std::string_view> texts) {
  std::vector<Cidr> cidrs;
  for (const auto text : texts) cidrs.push_back(*Cidr::Parse(text));
  return CidrSet(std::move(cidrs));
}

std::string Match(const CidrSet& set, std::string_view address) {
  const auto match = set.LongestMatch(*IpAddress::Parse(address));
  return match ? match->ToString() : "none";
}

TEST(CidrSetTest, EmptySetMatchesNothing) {
  EXPECT_FALSE(CidrSet().Contains(*IpAddress::Parse("1.2.3.4")));
  EXPECT_FALSE(CidrSet().Contains(IpAddress()));
}

TEST(CidrSetTest, FindsTheMostSpecificRange) {
  const CidrSet set =
      Set({"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "2001:db8::/32", "2001:db8::/48", "0.0.0.0/1"});
  EXPECT_EQ(Match(set, "10.0.0.0"), "10.0.0.0/8");
  EXPECT_EQ(Match(set, "10.1.0.0"), "10.1.0.0/16");
  EXPECT_EQ(Match(set, "10.1.2.3"), "10.1.2.3/32");
  EXPECT_EQ(Match(set, "10.1.2.4"), "10.1.0.0/16");
  EXPECT_EQ(Match(set, "10.2.0.0"), "10.0.0.0/8");
  EXPECT_EQ(Match(set, "11.0.0.0"), "0.0.0.0/1");
  EXPECT_EQ(Match(set, "128.0.0.0"), "none");
  EXPECT_EQ(Match(set, "2001:db8::1"), "2001:db8::/48");
  EXPECT_EQ(Match(set, "2001:db8:1::"), "2001:db8::/32");
  EXPECT_EQ(Match(set, "2001:db9::"), "none");
}

// Where addresses crowd, tables stand upon tables: every one of these /128 shares 96 bits or more.
TEST(CidrSetTest, FindsItsWayWhereAddressesCrowd) {
  std::mt19937 random(3);
  std::vector<Cidr> cidrs;
  std::vector<IpAddress> members;
  for (int crowd = 0; crowd < 3; ++crowd) {
    for (int i = 0; i < 3000; ++i) {
      IpAddress::Bytes bytes{0x20, 0x01, 0x0d, 0xb8};
      bytes[11] = static_cast<uint8_t>(crowd * 100);
      for (int b = crowd == 2 ? 14 : 13; b < 16; ++b) bytes[b] = static_cast<uint8_t>(random());
      members.push_back(IpAddress::FromV6(bytes));
      cidrs.emplace_back(members.back());
    }
  }
  for (int i = 0; i < 3000; ++i) {
    members.push_back(IpAddress::FromV4(0x0a010200 + random() % 4096));
    cidrs.emplace_back(members.back());
  }
  const CidrSet set(cidrs);
  for (const IpAddress& member : members) {
    ASSERT_EQ(set.LongestMatch(member), Cidr(member)) << member.ToString();
  }
  // Strangers before, between and behind the crowds, and one that leaves them at the last bits.
  for (const char* stranger :
       {"::", "::1", "2001:db7:ffff::", "2001:db8::1:0:0", "2001:db8::63:0:0", "2001:db8::ffff:0",
        "2001:db9::", "ffff::", "10.1.1.255", "10.1.18.0", "0.0.0.0", "255.255.255.255"}) {
    EXPECT_FALSE(set.Contains(*IpAddress::Parse(stranger))) << stranger;
  }
}

// A crowd that begins with the family's first address stands in block 0 of every table above it.
TEST(CidrSetTest, FindsItsWayFromTheFirstAddressOn) {
  std::vector<Cidr> cidrs;
  for (uint32_t i = 0; i < 5000; ++i) {
    cidrs.emplace_back(IpAddress::FromV4(i));
    IpAddress::Bytes bytes{};
    bytes[14] = static_cast<uint8_t>(i >> 8);
    bytes[15] = static_cast<uint8_t>(i);
    cidrs.emplace_back(IpAddress::FromV6(bytes));
  }
  const CidrSet set(cidrs);
  for (const Cidr& cidr : cidrs) ASSERT_EQ(set.LongestMatch(cidr.network()), cidr);
  EXPECT_EQ(Match(set, "0.0.19.136"), "none");
  EXPECT_EQ(Match(set, "::1388"), "none");
}

TEST(CidrSetTest, WholeFamilyAndLastAddress) {
  const CidrSet v4 = Set({"0.0.0.0/0", "255.255.255.255"});
  EXPECT_EQ(Match(v4, "255.255.255.255"), "255.255.255.255/32");
  EXPECT_EQ(Match(v4, "255.255.255.254"), "0.0.0.0/0");
  EXPECT_EQ(Match(v4, "::"), "none");
  const CidrSet v6 = Set({"::/0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"});
  EXPECT_EQ(Match(v6, "1.2.3.4"), "none");
  EXPECT_EQ(Match(v6, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"), "::/0");
  EXPECT_EQ(Match(v6, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128");
}

// The slow, obvious answer is the specification.
TEST(CidrSetTest, AgreesWithALinearScan) {
  std::mt19937_64 random(20261122);
  for (int round = 0; round < 20; ++round) {
    const bool dense = round % 2 == 0;  // dense: many nested and adjacent ranges
    std::vector<Cidr> cidrs;
    const int count = round < 2 ? 3 : 600;
    for (int i = 0; i < count; ++i) {
      if (i % 3 == 0) {
        IpAddress::Bytes bytes{0x20, 0x01, 0x0d, 0xb8};
        for (int b = dense ? 15 : 4; b < 16; ++b) bytes[b] = static_cast<uint8_t>(random());
        cidrs.emplace_back(IpAddress::FromV6(bytes),
                           static_cast<int>((dense ? 112 : 0) + random() % (dense ? 17 : 129)));
      } else {
        const uint32_t v4 = dense ? 0x0a000000 + random() % 2048 : static_cast<uint32_t>(random());
        cidrs.emplace_back(IpAddress::FromV4(v4),
                           static_cast<int>((dense ? 20 : 0) + random() % (dense ? 13 : 33)));
      }
    }
    const CidrSet set(cidrs);
    const auto check = [&](const IpAddress& address) {
      std::optional<Cidr> want;
      for (const Cidr& cidr : cidrs) {
        if (cidr.Contains(address) && (!want || cidr.prefix_length() > want->prefix_length()))
          want = cidr;
      }
      const auto got = set.LongestMatch(address);
      ASSERT_EQ(got.has_value(), want.has_value()) << address.ToString();
      if (want) {
        EXPECT_EQ(*got, *want) << address.ToString();
      }
      EXPECT_EQ(set.Contains(address), want.has_value());
    };
    for (const Cidr& cidr : cidrs) {  // edges are where such structures go wrong
      check(cidr.network());
      check(cidr.last());
      auto after = cidr.last().bytes();
      for (int b = 15; b >= 0 && ++after[b] == 0; --b) {
      }
      check(IpAddress::FromV6(after));
    }
    for (int i = 0; i < 500; ++i) check(IpAddress::FromV4(static_cast<uint32_t>(random())));
  }
}

}  // namespace
}  // namespace whence::net
