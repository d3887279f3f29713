#include "common/wire/ip_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace whence::wire {
namespace {

using ::testing::HasSubstr;

TEST(IpSetTest, RefusesWhatIsNoSet) {
  const std::string v6_address(16, '\x20');
  const std::string mapped = std::string(10, '\0') + "\xff\xff\x01\x02\x03\x04";
  struct {
    const char* name;
    std::string v4, v6;
    const char* message;
  } rows[] = {
      {"cut off", "\x0a\x01", "", "v4 has 2 bytes; expected a multiple of 5"},
      {"cut off v6", "", v6_address, "v6 has 16 bytes; expected a multiple of 17"},
      {"long prefix", std::string("\x0a\x00\x00\x00\x08\x0a\x00\x00\x00\x21", 10), "",
       "ip set \"n/a\": v4[1]: prefix length 33 is not 0..32"},
      {"long v6 prefix", "", v6_address + '\x81', "v6[0]: prefix length 129"},
      {"ipv4 among v6", "", mapped + '\x78', "v6[0]: 1.2.3.4 is IPv4"},
  };
  for (const auto& row : rows) {
    v1::IpSetResource resource;
    resource.set_name("n/a");
    resource.set_v4(row.v4);
    resource.set_v6(row.v6);
    const auto set = DecodeIpSet(resource);
    ASSERT_FALSE(set.ok()) << row.name;
    EXPECT_THAT(std::string(set.status().message()), HasSubstr(row.message)) << row.name;
  }
}

TEST(IpSetTest, DecodesWhatItEncodes) {
  std::vector<net::Cidr> cidrs;
  for (const char* text : {"10.0.0.0/8", "2001:db8::/32", "1.2.3.4", "::/0", "::1", "10.0.0.0/8"}) {
    cidrs.push_back(*net::Cidr::Parse(text));
  }
  const v1::IpSetResource resource = EncodeIpSet("n/a", cidrs);
  EXPECT_EQ(resource.v4().size(), 2 * 5u);
  EXPECT_EQ(resource.v6().size(), 3 * 17u);
  const auto set = DecodeIpSet(resource);
  ASSERT_TRUE(set.ok());
  EXPECT_EQ((*set)->size(), 5u);
  EXPECT_TRUE((*set)->Contains(*net::IpAddress::Parse("10.255.0.1")));
  EXPECT_TRUE((*set)->Contains(*net::IpAddress::Parse("1.2.3.4")));
  EXPECT_FALSE((*set)->Contains(*net::IpAddress::Parse("1.2.3.5")));
  EXPECT_EQ((*set)->LongestMatch(*net::IpAddress::Parse("2001:db8::1"))->ToString(),
            "2001:db8::/32");
}

TEST(IpSetTest, EqualSetsAreEqualBytes) {
  const auto a = *net::Cidr::Parse("10.0.0.0/8"), b = *net::Cidr::Parse("11.0.0.0/8");
  EXPECT_EQ(EncodeIpSet("n", {a, b, a}).SerializeAsString(),
            EncodeIpSet("n", {b, a}).SerializeAsString());
  EXPECT_TRUE(DecodeIpSet(EncodeIpSet("n", {})).value()->empty());
}

}  // namespace
}  // namespace whence::wire
