#include "common/net/cidr.h"

#include <gtest/gtest.h>

namespace whence::net {
namespace {

TEST(CidrTest, SaysWhyATextIsRefused) {
  struct {
    std::string_view text, message;
  } rows[] = {
      {"10.0.0.0/33", "\"10.0.0.0/33\": prefix length must be 0..32"},
      {"10.0.0.0/-1", "\"10.0.0.0/-1\": prefix length must be 0..32"},
      {"10.0.0.0/", "\"10.0.0.0/\": prefix length must be 0..32"},
      {"10.0.0.0/+8", "\"10.0.0.0/+8\": prefix length must be 0..32"},
      {"10.0.0.0/08", "\"10.0.0.0/08\": prefix length must not have leading zeros"},
      {"2001:db8::/129", "\"2001:db8::/129\": prefix length must be 0..128"},
      {"::ffff:10.0.0.0/95",
       "\"::ffff:10.0.0.0/95\": an IPv4-mapped range needs a prefix length of 96..128"},
      {"10.0.0/8", "\"10.0.0/8\": not an IP address or CIDR"},
      {"", "\"\": not an IP address or CIDR"},
      {"/8", "\"/8\": not an IP address or CIDR"},
  };
  for (const auto& row : rows) {
    const auto cidr = Cidr::Parse(row.text);
    ASSERT_FALSE(cidr.ok()) << row.text;
    EXPECT_EQ(std::string(cidr.status().message()), row.message);
  }
}

TEST(CidrTest, CutsHostBitsAndRemembersThem) {
  const Cidr cidr = *Cidr::Parse("2.2.2.2/24");
  EXPECT_EQ(cidr.ToString(), "2.2.2.0/24");
  EXPECT_TRUE(cidr.has_host_bits());
  EXPECT_FALSE(Cidr::Parse("2.2.2.0/24")->has_host_bits());
  EXPECT_EQ(cidr, *Cidr::Parse("2.2.2.0/24"));
  EXPECT_EQ(cidr.last().ToString(), "2.2.2.255");
}

TEST(CidrTest, NeverMatchesTheOtherFamily) {
  EXPECT_FALSE(Cidr::Parse("0.0.0.0/0")->Contains(*IpAddress::Parse("2001:db8::1")));
  EXPECT_FALSE(Cidr::Parse("::/0")->Contains(*IpAddress::Parse("1.2.3.4")));
  EXPECT_TRUE(Cidr::Parse("0.0.0.0/0")->Contains(*IpAddress::Parse("::ffff:1.2.3.4")));
  EXPECT_TRUE(Cidr::Parse("::/0")->Contains(*IpAddress::Parse("::1")));
}

TEST(CidrTest, MappedRangeIsTheIpv4Range) {
  EXPECT_EQ(*Cidr::Parse("::ffff:10.0.0.0/104"), *Cidr::Parse("10.0.0.0/8"));
  EXPECT_EQ(Cidr::Parse("::ffff:10.0.0.1")->ToString(), "10.0.0.1/32");
}

TEST(CidrTest, HoldsItsEdgesOnly) {
  const Cidr cidr = *Cidr::Parse("2001:db8:8000::/33");
  EXPECT_TRUE(cidr.Contains(*IpAddress::Parse("2001:db8:8000::")));
  EXPECT_TRUE(cidr.Contains(*IpAddress::Parse("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff")));
  EXPECT_FALSE(cidr.Contains(*IpAddress::Parse("2001:db8:7fff:ffff:ffff:ffff:ffff:ffff")));
  EXPECT_FALSE(cidr.Contains(*IpAddress::Parse("2001:db9::")));
}

}  // namespace
}  // namespace whence::net
