#include "common/trust/client_privacy.h"

#include <gtest/gtest.h>

#include <set>

namespace whence::trust {
namespace {

using Mode = ClientPrivacy::Mode;

std::string Hidden(const ClientPrivacy& privacy, const char* address) {
  return privacy.Hide(*net::IpAddress::Parse(address)).ToString();
}

TEST(ClientPrivacyTest, CutsAddressesToTheirPrefix) {
  const struct {
    int v4, v6;
    const char* address;
    const char* want;
  } kRows[] = {
      {24, 48, "203.0.113.77", "203.0.113.0"},
      {24, 48, "2001:db8:1:2::3", "2001:db8:1::"},
      {20, 44, "10.32.31.9", "10.32.16.0"},
      {20, 44, "2001:db8:1f:2::3", "2001:db8:10::"},
      {32, 128, "203.0.113.77", "203.0.113.77"},
      {32, 128, "2001:db8::3", "2001:db8::3"},
      {1, 1, "203.0.113.77", "128.0.0.0"},
      {1, 1, "fd00::1", "8000::"},
      {24, 48, "::ffff:203.0.113.77", "203.0.113.0"},
      {24, 48, "::", "::"},
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(Hidden({Mode::kTruncate, row.v4, row.v6}, row.address), row.want) << row.address;
  }
  EXPECT_EQ(Hidden({}, "203.0.113.77"), "203.0.113.77");
}

TEST(ClientPrivacyTest, HashesDependOnTheAddressAndTheKey) {
  const ClientPrivacy one{Mode::kHash, 24, 48, "0123456789abcdef"};
  const ClientPrivacy other{Mode::kHash, 24, 48, "0123456789abcdeg"};
  EXPECT_EQ(Hidden(one, "203.0.113.77"), Hidden(one, "203.0.113.77"));
  std::set<std::string> all;
  for (const ClientPrivacy& privacy : {one, other}) {
    for (const char* address : {"203.0.113.77", "203.0.113.78", "2001:db8::1"}) {
      all.insert(Hidden(privacy, address));
      EXPECT_EQ(Hidden(privacy, address).rfind("100::", 0), 0u);
    }
  }
  EXPECT_EQ(all.size(), 6u);
  EXPECT_EQ(Hidden(one, "::"), "::");
}

TEST(ClientPrivacyTest, HidesEveryEntryOfAList) {
  const ClientPrivacy cut{Mode::kTruncate};
  EXPECT_EQ(cut.HideList("1.2.3.4,  5.6.7.8:80,[2001:db8:1:2::3]:443"),
            "1.2.3.0, 5.6.7.0, 2001:db8:1::");
  EXPECT_EQ(cut.HideList("1.2.3.4, 01.2.3.4, alice@home, , 1.2.3"),
            "1.2.3.0, unknown, unknown, unknown, unknown");
  EXPECT_EQ(cut.HideList(""), "");
}

}  // namespace
}  // namespace whence::trust
