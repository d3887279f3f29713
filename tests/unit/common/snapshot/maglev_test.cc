#include "common/snapshot/maglev.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

namespace whence::snapshot {
namespace {

std::vector<std::pair<std::string, uint32_t>> Names(int count) {
  std::vector<std::pair<std::string, uint32_t>> names;
  for (int i = 0; i < count; ++i) names.emplace_back("10.0.0." + std::to_string(i) + ":8080", 1);
  return names;
}

constexpr int kClients = 20'000;

std::string NameFor(const std::vector<std::pair<std::string, uint32_t>>& names,
                    const MaglevTable& table, int client) {
  return names[table.Find(StableHash("client " + std::to_string(client)))].first;
}

TEST(MaglevTest, SpreadsEvenly) {
  for (const int count : {1, 2, 7, 50, 600}) {
    const auto names = Names(count);
    const MaglevTable table(names);
    std::map<uint32_t, int> places;
    for (uint64_t place = 0; place < table.size(); ++place) ++places[table.Find(place)];
    ASSERT_EQ(places.size(), static_cast<size_t>(count));
    for (const auto& [name, share] : places) {
      EXPECT_NEAR(share, static_cast<double>(table.size()) / count, 1.01) << count;
    }
    std::map<std::string, int> clients;
    for (int i = 0; i < kClients; ++i) ++clients[NameFor(names, table, i)];
    const double fair = static_cast<double>(kClients) / count;
    for (const auto& [name, share] : clients) {
      EXPECT_NEAR(share, fair, 6 * std::sqrt(fair) + fair * 0.05) << count;
    }
  }
}

TEST(MaglevTest, MovesLittleMoreThanWhatWentAway) {
  const auto names = Names(20);
  auto fewer = names;
  fewer.erase(fewer.begin() + 7);
  const MaglevTable before(names), after(fewer);
  int moved = 0;
  for (int i = 0; i < kClients; ++i) {
    const std::string was = NameFor(names, before, i), is = NameFor(fewer, after, i);
    EXPECT_NE(is, names[7].first);
    moved += was != names[7].first && was != is;
  }
  // Nobody would have to; Maglev's paper finds a few percent at this ratio of places to endpoints.
  EXPECT_LT(moved, kClients / 20);
}

TEST(MaglevTest, DoesNotDependOnTheOrder) {
  const auto names = Names(12);
  const std::vector<std::pair<std::string, uint32_t>> reversed(names.rbegin(), names.rend());
  const MaglevTable a(names), b(reversed);
  int same = 0;
  for (int i = 0; i < kClients; ++i) same += NameFor(names, a, i) == NameFor(reversed, b, i);
  EXPECT_GT(same, kClients * 9 / 10);
}

TEST(MaglevTest, KeepsToWeights) {
  const MaglevTable table({{"a", 1}, {"b", 3}, {"c", 0}}, 1021);
  std::map<uint32_t, int> places;
  for (uint64_t place = 0; place < 1021; ++place) ++places[table.Find(place)];
  EXPECT_NEAR(places[0], 1021 / 5, 2);
  EXPECT_NEAR(places[1], 1021 * 3 / 5, 3);
  EXPECT_NEAR(places[2], 1021 / 5, 2);
}

TEST(MaglevTest, KnowsPrimes) {
  for (const uint32_t prime : {2u, 3u, 251u, 65537u, 5000011u})
    EXPECT_TRUE(MaglevTable::IsPrime(prime));
  for (const uint32_t other : {0u, 1u, 4u, 65536u, 4294967295u})
    EXPECT_FALSE(MaglevTable::IsPrime(other));
}

}  // namespace
}  // namespace whence::snapshot
