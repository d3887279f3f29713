#include "common/net/ip_address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string>

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

// Dotted quads, and what one or two changes make of them, are read as the C library reads them.
TEST(IpAddressTest, ReadsIpv4AsTheCLibraryDoes) {
  constexpr std::string_view kCharacters = "0123456789..00112255 -+xX:/";
  std::mt19937 random(20261129);
  const auto any = [&](size_t count) { return random() % count; };
  int good = 0, bad = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string text;
    for (int octet = 0; octet < 4; ++octet) {
      text += (octet > 0 ? "." : "") + std::to_string(any(octet % 2 == 0 ? 300 : 256));
    }
    for (size_t changes = any(3); changes > 0; --changes) {
      const size_t at = any(text.size());
      const char other = kCharacters[any(kCharacters.size())];
      if (const size_t how = any(3); how == 0) {
        text[at] = other;
      } else if (how == 1) {
        text.insert(at, 1, other);
      } else {
        text.erase(at, 1);
      }
    }
    std::array<uint8_t, 4> expected;
    const bool is_good = inet_pton(AF_INET, text.c_str(), expected.data()) == 1;
    ++(is_good ? good : bad);
    const auto read = IpAddress::Parse(text);
    if (is_good) {
      ASSERT_EQ(read, IpAddress::FromV4(expected)) << text;
    } else {
      ASSERT_FALSE(read && read->is_v4()) << text;
    }
  }
  EXPECT_GT(good, 10'000);
  EXPECT_GT(bad, 10'000);
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
  // Every bit before the address counts.
  const IpAddress::Bytes mapped = IpAddress::Parse("10.0.0.1")->bytes();
  for (size_t bit = 0; bit < 128; ++bit) {
    IpAddress::Bytes bytes = mapped;
    bytes[bit / 8] ^= static_cast<uint8_t>(0x80 >> bit % 8);
    EXPECT_EQ(IpAddress::FromV6(bytes).is_v4(), bit >= 96) << bit;
  }
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
