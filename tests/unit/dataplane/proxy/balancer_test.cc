#include "dataplane/proxy/balancer.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"

namespace whence::proxy {
namespace {

using testing::ElementsAre;

net::IpAddress Ip(const char* text) { return *net::IpAddress::Parse(text); }

snapshot::Cluster ClusterOf(
    const std::vector<std::pair<const char*, const char*>>& workloads_and_addresses) {
  snapshot::Cluster cluster;
  for (const auto& [workload, address] : workloads_and_addresses) {
    cluster.endpoints.push_back(
        {.address = *net::SocketAddress::Parse(address), .workload = workload});
  }
  return cluster;
}

std::vector<std::string> Turns(const snapshot::Cluster& cluster, const char* client, int count) {
  std::vector<std::string> turns;
  uint32_t cursor = 0;
  for (int i = 0; i < count; ++i) {
    turns.push_back(NextEndpoint(cluster, cursor, Ip(client))->address.ip.ToString());
  }
  return turns;
}

TEST(BalancerTest, TakesTurns) {
  const auto cluster = ClusterOf({{"a", "10.0.0.1:80"}, {"b", "10.0.0.2:80"}});
  EXPECT_THAT(Turns(cluster, "1.2.3.4", 3), ElementsAre("10.0.0.1", "10.0.0.2", "10.0.0.1"));
}

TEST(BalancerTest, NothingOfAnEmptyCluster) {
  uint32_t cursor = 7;
  EXPECT_EQ(NextEndpoint({}, cursor, Ip("1.2.3.4")), nullptr);
  EXPECT_EQ(AnotherEndpoint({}, cursor, Ip("1.2.3.4"), {}, false), nullptr);
}

TEST(BalancerTest, MeetsTheClientInItsFamily) {
  const auto cluster = ClusterOf(
      {{"a", "10.0.0.1:80"}, {"a", "[fd00::1]:80"}, {"b", "[fd00::2]:80"}, {"b", "10.0.0.2:80"}});
  EXPECT_THAT(Turns(cluster, "1.2.3.4", 4),
              ElementsAre("10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.2"));
  EXPECT_THAT(Turns(cluster, "2001:db8::1", 4),
              ElementsAre("fd00::1", "fd00::1", "fd00::2", "fd00::2"));
}

TEST(BalancerTest, LeavesNoWorkloadOutForItsFamily) {
  const auto cluster = ClusterOf(
      {{"a", "10.0.0.1:80"}, {"b", "[fd00::2]:80"}, {"", "10.0.0.3:80"}, {"", "[::3]:80"}});
  EXPECT_THAT(Turns(cluster, "2001:db8::1", 4),
              ElementsAre("10.0.0.1", "fd00::2", "10.0.0.3", "::3"));
}

TEST(BalancerTest, AnotherIsNeitherTheFailedOneNorOfTheOtherKind) {
  auto cluster = ClusterOf({{"a", "10.0.0.1:80"}, {"b", "10.0.0.2:80"}, {"c", "10.0.0.3:80"}});
  cluster.endpoints[0].has_sidecar = cluster.endpoints[2].has_sidecar = true;
  uint32_t cursor = 0;
  const auto* other = AnotherEndpoint(cluster, cursor, Ip("1.2.3.4"), cluster.endpoints[0].address,
                                      /*has_sidecar=*/true);
  ASSERT_NE(other, nullptr);
  EXPECT_EQ(other->workload, "c");
  EXPECT_EQ(AnotherEndpoint(cluster, cursor, Ip("1.2.3.4"), cluster.endpoints[1].address,
                            /*has_sidecar=*/false),
            nullptr);
}

}  // namespace
}  // namespace whence::proxy
