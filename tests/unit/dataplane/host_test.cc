// What a machine tells of its addresses.
#include "dataplane/host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dataplane/intercept/netns.h"
#include "tests/lab/lab.h"

namespace whence {
namespace {

using testing::UnorderedElementsAre;

net::IpAddress Ip(std::string_view text) { return *net::IpAddress::Parse(text); }

TEST(HostTest, KnowsItsAddressesAndTheBroadcastAddressesOfItsNetworks) {
  auto lab = lab::Lab::Create(lab::Lab::UniqueName("host"));
  ASSERT_TRUE(lab.ok()) << lab.status();
  const lab::Namespace space = (*lab)->Space("pod");
  ASSERT_EQ(space.Create(false), absl::OkStatus());
  // With and without a word of broadcast, a network of two and one of one.
  ASSERT_EQ(space.Ip("link add d0 type veth peer name d1\naddress add 10.32.1.205/24 dev d0\n"
                     "address add 10.33.0.7/20 brd 10.33.0.255 dev d0\n"
                     "address add 10.34.0.2/31 dev d0\naddress add 10.35.0.9/32 dev d0\n"),
            absl::OkStatus());
  const auto inside = intercept::ScopedNetns::Enter(space.name());
  ASSERT_TRUE(inside.ok());
  const HostDefaults host = ReadHost();
  std::vector<net::IpAddress> v4;
  for (const net::IpAddress& address : host.addresses) {
    if (address.is_v4()) v4.push_back(address);
  }
  EXPECT_THAT(v4, UnorderedElementsAre(Ip("10.32.1.205"), Ip("10.33.0.7"), Ip("10.34.0.2"),
                                       Ip("10.35.0.9")));
  EXPECT_THAT(host.broadcast_addresses,
              testing::IsSupersetOf({Ip("10.32.1.255"), Ip("10.33.15.255"), Ip("10.33.0.255")}));
  EXPECT_THAT(host.broadcast_addresses, testing::Not(testing::Contains(Ip("10.34.0.3"))));
  EXPECT_THAT(host.broadcast_addresses, testing::Not(testing::Contains(Ip("10.35.0.9"))));
}

}  // namespace
}  // namespace whence
