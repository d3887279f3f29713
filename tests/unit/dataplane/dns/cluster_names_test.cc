#include "dataplane/dns/cluster_names.h"

#include "gmock/gmock.h"

namespace whence::dns {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(ClusterNamesTest, FillsInWhatIsKnown) {
  auto base = std::make_shared<snapshot::Snapshot>();
  base->clusters.resize(3);
  base->clusters[0].endpoints = {{.address = *net::SocketAddress::Parse("192.0.2.1:1")}};
  base->clusters[0].dns = {{.host = "a", .port = 80, .weight = 3}, {.host = "b", .port = 81}};
  base->clusters[1].dns = {{.host = "a", .port = 82, .first_only = true}};
  base->clusters[1].balancing.policy = snapshot::LoadBalancing::Policy::kMaglev;
  base->clusters[2].endpoints = base->clusters[0].endpoints;
  EXPECT_THAT(NamesIn(*base), ElementsAre("a", "b"));
  const auto filled = WithAddresses(
      base, {{"a", {*net::IpAddress::Parse("10.0.0.1"), *net::IpAddress::Parse("fd00::1")}}});
  const auto texts = [](const snapshot::Cluster& cluster) {
    std::vector<std::string> out;
    for (const auto& one : cluster.endpoints) {
      out.push_back(one.address.ToString() + " x" + std::to_string(one.weight));
    }
    return out;
  };
  EXPECT_THAT(texts(filled->clusters[0]),
              ElementsAre("192.0.2.1:1 x1", "10.0.0.1:80 x3", "[fd00::1]:80 x3"));
  EXPECT_EQ(filled->clusters[0].upto.back(), 7u);
  EXPECT_THAT(texts(filled->clusters[1]), ElementsAre("10.0.0.1:82 x1"));
  EXPECT_FALSE(filled->clusters[1].table.empty());
  EXPECT_THAT(texts(WithAddresses(base, {})->clusters[1]), IsEmpty());
  base->clusters.erase(base->clusters.begin(), base->clusters.begin() + 2);
  EXPECT_EQ(WithAddresses(base, {}), base);
}

}  // namespace
}  // namespace whence::dns
