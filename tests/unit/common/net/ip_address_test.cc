#include "common/net/ip_address.h"

#include <gtest/gtest.h>

namespace whence::net {
namespace {

TEST(IpAddressTest, RefusesEverythingThatIsNotOneStrictAddress) {
  for (const std::string_view text :
       {"",         " 1.2.3.4",     "1.2.3.4 ",   "1.2.3", "1.2.3.4.5",
        "01.2.3.4", "1.2.3.256",    "0x7f.0.0.1", "127.1", "1.2.3.4:80",
        "[::1]",    "fe80::1%eth0", "fe80::1%1",  "::g",   "1::2::3",
        "unknown",  "1.2.3.4/32",   ":",          ":::",   "::ffff:1.2.3.400"}) {
    EXPECT_FALSE(IpAddress::Parse(text)) << text;
  }
  EXPECT_FALSE(IpAddress::Parse(std::string_view("1.2.3.4\0x", 9)));
}

TEST(IpAddressTest, PrintsTheCanonicalForm) {
  struct {
    std::string_view text, canonical;
    bool is_v4;
  } rows[] = {
      {"1.2.3.4", "1.2.3.4", true},
      {"::ffff:1.2.3.4", "1.2.3.4", true},
      {"::FFFF:0102:0304", "1.2.3.4", true},
      {"2001:DB8:0:0:0:0:0:1", "2001:db8::1", false},
      {"::1", "::1", false},
      {"::", "::", false},
      {"::1.2.3.4", "::1.2.3.4", false},  // IPv4-compatible, deprecated: not the mapped form
  };
  for (const auto& row : rows) {
    const auto address = IpAddress::Parse(row.text);
    ASSERT_TRUE(address) << row.text;
    EXPECT_EQ(address->ToString(), row.canonical);
    EXPECT_EQ(address->is_v4(), row.is_v4) << row.text;
  }
}

TEST(IpAddressTest, MappedFormIsTheSameAddress) {
  EXPECT_EQ(IpAddress::Parse("::ffff:10.0.0.1"), IpAddress::Parse("10.0.0.1"));
  EXPECT_EQ(IpAddress::FromV4(0x0a000001), IpAddress::Parse("10.0.0.1"));
}

TEST(IpAddressTest, KnowsWhatCannotBeAClient) {
  for (const std::string_view text :
       {"0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:0.0.0.0"}) {
    EXPECT_FALSE(IpAddress::Parse(text)->is_unicast()) << text;
  }
  for (const std::string_view text : {"127.0.0.1", "240.0.0.1", "fe80::1", "10.0.0.1", "::1"}) {
    EXPECT_TRUE(IpAddress::Parse(text)->is_unicast()) << text;
  }
  EXPECT_TRUE(IpAddress::Parse("127.9.9.9")->is_loopback());
  EXPECT_TRUE(IpAddress::Parse("::1")->is_loopback());
  EXPECT_TRUE(IpAddress::Parse("fe80::1")->is_link_local());
}

}  // namespace
}  // namespace whence::net
