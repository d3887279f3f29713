// What of a request is hashed.
#include "common/snapshot/cluster.h"

#include <gtest/gtest.h>

#include "common/trust/resolver.h"

namespace whence::snapshot {
namespace {

using HashOn = LoadBalancing::HashOn;

TEST(LoadBalancingTest, HashesWhatItIsTold) {
  const std::vector<http::HeaderField> fields = {
      {"Cookie", "a=1; user=joe;b=2"}, {"X-User", "joe"}, {"cookie", "late=joe"}};
  const RoutedRequest request{.target = "/x?a=b&user=joe&user=ann", .fields = fields};
  const struct {
    HashOn on;
    const char* name;
    const char* hashed;  // null: nothing
  } rows[] = {
      {HashOn::kHeader, "x-none", nullptr}, {HashOn::kHeader, "x-user", "joe"},
      {HashOn::kCookie, "use", nullptr},    {HashOn::kCookie, "user", "joe"},
      {HashOn::kCookie, "b", "2"},          {HashOn::kCookie, "late", "joe"},
      {HashOn::kQuery, "b", nullptr},       {HashOn::kQuery, "user", "joe"},
      {HashOn::kQuery, "a", "b"},           {HashOn::kClient, "", nullptr},
  };
  for (const auto& row : rows) {
    const LoadBalancing balancing{.hash_on = row.on, .name = row.name};
    const auto hash = balancing.HashOf(request);
    ASSERT_EQ(hash.has_value(), row.hashed != nullptr) << row.name;
    if (hash) {
      EXPECT_EQ(*hash, StableHash(row.hashed)) << row.name;
    }
  }
}

// Not the peer, which is the same load balancer for everyone.
TEST(LoadBalancingTest, HashesTheTrustedClient) {
  auto topology = trust::DefaultTopology(trust::Role::kGateway);
  topology.num_trusted_proxies = 1;
  const auto hash = [&](const char* forwarded_for) {
    const std::vector<http::HeaderField> fields = {{"x-forwarded-for", forwarded_for}};
    const std::vector<http::FieldId> ids = {http::FieldId::kXForwardedFor};
    const net::DirectPeer peer{{*net::IpAddress::Parse("10.0.0.1"), 1}};
    const auto client = trust::Resolve(peer, {.fields = fields, .ids = ids}, topology).client;
    return LoadBalancing().HashOf({.client = &client});
  };
  EXPECT_NE(hash("1.2.3.4"), hash("1.2.3.5"));
  EXPECT_EQ(hash("1.2.3.4"), hash("6.6.6.6, 1.2.3.4"));
}

}  // namespace
}  // namespace whence::snapshot
