#include "dataplane/proxy/balancer.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"

namespace whence::proxy {
namespace {

using Policy = snapshot::LoadBalancing::Policy;
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

// A balancer of one cluster, and its time.
struct Bench {
  WorkerCounters counters;
  Balancer balancer{counters, /*seed=*/7};
  snapshot::Snapshot snapshot;
  SteadyTime now = SteadyTime() + std::chrono::hours(1);

  explicit Bench(snapshot::Cluster cluster) {
    cluster.name = "c";
    cluster.Finish();
    snapshot.clusters.push_back(std::move(cluster));
    balancer.Update(snapshot);
  }
  Balancer::Chosen Next(const char* client = "1.2.3.4", std::optional<uint64_t> hash = {}) {
    return balancer.Next(0, Ip(client), hash, now);
  }
  std::string NextIp(std::optional<uint64_t> hash = {}) {
    return Next("1.2.3.4", hash).endpoint->address.ip.ToString();
  }
};

std::vector<std::string> Turns(const snapshot::Cluster& cluster, const char* client, int count) {
  Bench bench(cluster);
  std::vector<std::string> turns;
  for (int i = 0; i < count; ++i) {
    turns.push_back(bench.Next(client).endpoint->address.ip.ToString());
  }
  return turns;
}

TEST(BalancerTest, TakesTurns) {
  const auto cluster = ClusterOf({{"a", "10.0.0.1:80"}, {"b", "10.0.0.2:80"}});
  EXPECT_THAT(Turns(cluster, "1.2.3.4", 3), ElementsAre("10.0.0.1", "10.0.0.2", "10.0.0.1"));
}

TEST(BalancerTest, NothingOfAnEmptyCluster) {
  for (const auto policy :
       {Policy::kRoundRobin, Policy::kRandom, Policy::kLeastRequest, Policy::kMaglev}) {
    Bench bench({.balancing = {.policy = policy}});
    EXPECT_EQ(bench.Next("1.2.3.4", 7).endpoint, nullptr);
    EXPECT_EQ(bench.balancer.Another(0, Ip("1.2.3.4"), {}, false, bench.now).endpoint, nullptr);
  }
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
  Bench bench(cluster);
  const auto another = [&](size_t failed, bool has_sidecar) {
    return bench.balancer
        .Another(0, Ip("1.2.3.4"), cluster.endpoints[failed].address, has_sidecar, bench.now)
        .endpoint;
  };
  ASSERT_NE(another(0, true), nullptr);
  EXPECT_EQ(another(0, true)->workload, "c");
  EXPECT_EQ(another(1, false), nullptr);
}

TEST(BalancerTest, TurnsKeepToWeights) {
  auto cluster = ClusterOf({{"a", "10.0.0.1:80"}, {"b", "10.0.0.2:80"}});
  cluster.endpoints[1].weight = 3;
  int to_a = 0;
  std::string before;
  int longest_row = 0, row = 0;
  for (const std::string& turn : Turns(cluster, "1.2.3.4", 400)) {
    to_a += turn == "10.0.0.1";
    row = turn == before ? row + 1 : 1;
    longest_row = std::max(longest_row, row);
    before = turn;
  }
  EXPECT_NEAR(to_a, 100, 3);
  EXPECT_LE(longest_row, 4);
}

TEST(BalancerTest, MaglevKeepsAClientWhereItIs) {
  auto cluster = ClusterOf({{"a", "10.0.0.1:80"}, {"b", "10.0.0.2:80"}, {"c", "10.0.0.3:80"}});
  cluster.balancing.policy = Policy::kMaglev;
  Bench one(cluster), two(cluster);
  std::map<std::string, int> clients;
  for (uint64_t client = 0; client < 300; ++client) {
    const uint64_t hash = snapshot::StableHash(std::to_string(client));
    const std::string first = one.NextIp(hash);
    EXPECT_EQ(one.NextIp(hash), first);
    EXPECT_EQ(two.NextIp(hash), first) << "another worker, or another gateway";
    ++clients[first];
  }
  for (const auto& [endpoint, count] : clients) EXPECT_NEAR(count, 100, 40) << endpoint;
  std::set<std::string> without;
  for (int i = 0; i < 100; ++i) without.insert(one.NextIp());
  EXPECT_EQ(without.size(), 3u) << "nothing to hash on: anywhere";
}

TEST(BalancerTest, LeastRequestAvoidsTheBusyOne) {
  auto cluster = ClusterOf({{"a", "10.0.0.1:80"}, {"b", "10.0.0.2:80"}});
  cluster.balancing.policy = Policy::kLeastRequest;
  Bench bench(cluster);
  Balancer::Chosen busy = bench.Next();
  busy.state->active += 10;
  int to_busy = 0;
  for (int i = 0; i < 1000; ++i) to_busy += bench.Next().endpoint == busy.endpoint;
  EXPECT_NEAR(to_busy, 250, 80) << "only when both picks are it";
  // What is under way is still known after a change.
  bench.balancer.Update(bench.snapshot);
  EXPECT_EQ(busy.state->active, 10u);
}

TEST(BalancerTest, EjectsWhatFailsAndTakesItBack) {
  auto cluster = ClusterOf({{"a", "10.0.0.1:80"}, {"b", "10.0.0.2:80"}});
  cluster.outlier = {.consecutive_5xx = 3, .base_ejection_time = std::chrono::seconds(10)};
  Bench bench(cluster);
  const Balancer::Chosen bad = bench.Next();
  const auto seen = [&] {
    std::set<std::string> ips;
    for (int i = 0; i < 20; ++i) ips.insert(bench.NextIp());
    return ips.size();
  };
  for (const int status : {500, 503, 200, 500, 0})
    bench.balancer.Report(*bad.state, status, bench.now);
  EXPECT_EQ(seen(), 2u) << "a success begins the row anew";
  bench.balancer.Report(*bad.state, 500, bench.now);
  EXPECT_EQ(seen(), 1u);
  EXPECT_EQ(bench.counters.Get(Counter::kEndpointsEjected), 1u);
  // 10 % of two are none, but one may always go; the second may not.
  const Balancer::Chosen good = bench.Next();
  for (int i = 0; i < 9; ++i) bench.balancer.Report(*good.state, 500, bench.now);
  EXPECT_EQ(bench.NextIp(), good.endpoint->address.ip.ToString());
  bench.now += std::chrono::seconds(10);
  EXPECT_EQ(seen(), 2u);
  bench.balancer.Report(*good.state, 200, bench.now);
  for (int i = 0; i < 3; ++i) bench.balancer.Report(*bad.state, 500, bench.now);
  bench.now += std::chrono::seconds(19);
  EXPECT_EQ(seen(), 1u) << "the second time is longer";
  bench.now += std::chrono::seconds(1);
  EXPECT_EQ(seen(), 2u);
}

TEST(BalancerTest, WhoIsOutComesBackAtASweepAndIsForgivenWithTime) {
  auto cluster = ClusterOf({{"a", "10.0.0.1:80"}, {"b", "10.0.0.2:80"}});
  cluster.outlier = {.consecutive_5xx = 1,
                     .interval = std::chrono::seconds(60),
                     .base_ejection_time = std::chrono::seconds(10)};
  Bench bench(cluster);
  const Balancer::Chosen bad = bench.Next();
  const auto is_out = [&] { return bad.state->ejected_until > bench.now; };
  // To the middle between two sweeps, and back in at the next although its time is over before.
  bench.now = SteadyTime(std::chrono::seconds(630));
  bench.balancer.Report(*bad.state, 500, bench.now);
  bench.now += std::chrono::seconds(29);
  EXPECT_TRUE(is_out());
  bench.now += std::chrono::seconds(1);
  EXPECT_FALSE(is_out());
  // At once a second time: 20 s, so until the sweep at 720 s again; a third: 30 s.
  bench.balancer.Report(*bad.state, 500, bench.now);
  EXPECT_EQ(bad.state->ejected_until, SteadyTime(std::chrono::seconds(720)));
  bench.now = SteadyTime(std::chrono::seconds(775));
  bench.balancer.Report(*bad.state, 500, bench.now);
  EXPECT_EQ(bad.state->ejections, 3u);
  EXPECT_EQ(bad.state->ejected_until, SteadyTime(std::chrono::seconds(840)));
  // Two sweeps without a failure, and two are forgiven.
  bench.now = SteadyTime(std::chrono::seconds(961));
  bench.balancer.Report(*bad.state, 500, bench.now);
  EXPECT_EQ(bad.state->ejections, 2u);
}

TEST(BalancerTest, EjectionNeverLeavesNobody) {
  auto cluster = ClusterOf({{"a", "10.0.0.1:80"}, {"b", "10.0.0.2:80"}});
  cluster.outlier = {.consecutive_gateway_errors = 1, .max_ejection_percent = 100};
  Bench bench(cluster);
  for (int i = 0; i < 2; ++i) bench.balancer.Report(*bench.Next().state, 502, bench.now);
  EXPECT_EQ(bench.counters.Get(Counter::kEndpointsEjected), 2u);
  EXPECT_NE(bench.Next().endpoint, nullptr);
}

}  // namespace
}  // namespace whence::proxy
