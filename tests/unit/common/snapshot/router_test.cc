#include "common/snapshot/router.h"

#include <gtest/gtest.h>

#include "common/snapshot/snapshot.h"

namespace whence::snapshot {
namespace {

Route Prefix(std::string path, uint32_t cluster) {
  return {"", Route::PathMatch::kPrefix, std::move(path), cluster};
}
Route Exact(std::string path, uint32_t cluster) {
  return {"", Route::PathMatch::kExact, std::move(path), cluster};
}

const Route* Match(const Listener& listener, std::string_view host, std::string_view target) {
  return snapshot::Match(listener, {.host = host, .target = target});
}

Listener HttpListener(std::vector<VirtualHost> hosts) {
  Listener listener;
  listener.port = 80;
  listener.virtual_hosts = VirtualHosts(std::move(hosts));
  return listener;
}

// Each virtual host has one route, so that the cluster tells which was chosen.
Listener Names() {
  return HttpListener({{{"*"}, {Prefix("/", 0)}},
                       {{"*.example.com"}, {Prefix("/", 1)}},
                       {{"*.eu.Example.com"}, {Prefix("/", 2)}},
                       {{"a.example.com", "Example.com"}, {Prefix("/", 3)}},
                       {{"2001:db8::1"}, {Prefix("/", 4)}}});
}

TEST(RouterTest, ChoosesTheMostSpecificHost) {
  struct {
    std::string_view host;
    uint32_t cluster;
  } rows[] = {
      // What must not match a name falls to "*".
      {"", 0},
      {".example.com", 0},  // nothing before the dot
      {"badexample.com", 0},
      {"example.com.evil.org", 0},
      {"example.com:80:80", 0},
      {"[2001:db8::1", 0},
      {"2001:db8::1:80", 0},
      // A dot at the end makes another name, as it does for the policies.
      {"example.com.", 0},
      {"example.com.:443", 0},
      {"x.y.EU.example.com.", 0},
      {"com", 0},
      {"b.example.com", 1},
      {"b.c.example.com", 1},
      {"B.EXAMPLE.COM:8080", 1},
      {"eu.example.com", 1},
      {"x.eu.example.com", 2},
      {"x.y.EU.example.com", 2},
      {"a.example.com", 3},
      {"A.example.com:80", 3},
      {"example.com", 3},
      {"example.com:443", 3},
      {"[2001:DB8::1]:80", 4},
      {"[2001:db8::1]", 4},
  };
  const Listener listener = Names();
  for (const auto& row : rows) {
    const Route* route = Match(listener, row.host, "/");
    ASSERT_NE(route, nullptr) << row.host;
    EXPECT_EQ(route->cluster, row.cluster) << row.host;
  }
}

TEST(RouterTest, FindsNothingWithoutAMatchingHost) {
  EXPECT_EQ(Match(HttpListener({}), "a", "/"), nullptr);
  const Listener listener = HttpListener({{{"*.example.com", "a.org"}, {Prefix("/", 0)}}});
  for (const char* host : {"", "example.com", "b.org", "a.org.uk", "*", ".example.com"}) {
    EXPECT_EQ(Match(listener, host, "/"), nullptr) << host;
  }
  EXPECT_NE(Match(listener, "a.org", "/"), nullptr);
}

TEST(RouterTest, NeverFallsThroughToALessSpecificHost) {
  const Listener listener =
      HttpListener({{{"*"}, {Prefix("/", 0)}}, {{"a.example.com"}, {Prefix("/only", 1)}}});
  EXPECT_EQ(Match(listener, "a.example.com", "/other"), nullptr);
  EXPECT_EQ(Match(listener, "a.example.com", "/only/this")->cluster, 1u);
}

TEST(RouterTest, TakesTheFirstRouteThatMatchesThePath) {
  const Listener listener =
      HttpListener({{{"*"}, {Exact("/exact", 0), Prefix("/api/v1", 1), Prefix("/api", 2)}}});
  struct {
    std::string_view path;
    int cluster;  // -1: none
  } rows[] = {
      {"", -1},           {"/", -1},         {"/exact/", -1}, {"/Exact", -1},      {"/ap", -1},
      {"*", -1},          {"/x?/exact", -1}, {"/exact", 0},   {"/exact?a=b", 0},   {"/api/v1", 1},
      {"/api/v1/x?y", 1}, {"/api/v2", 2},    {"/apis", 2},    {"/api?/api/v1", 2},
  };
  for (const auto& row : rows) {
    const Route* route = Match(listener, "any", row.path);
    EXPECT_EQ(route == nullptr ? -1 : static_cast<int>(route->cluster), row.cluster) << row.path;
  }
}

TEST(SnapshotTest, DetectsTheProtocolOfUndeclaredPorts) {
  Snapshot snapshot;
  EXPECT_EQ(snapshot.ProtocolOfPort(80), Protocol::kDetect);
  snapshot.port_protocols = {{80, Protocol::kHttp}, {5432, Protocol::kTcp}};
  EXPECT_EQ(snapshot.ProtocolOfPort(79), Protocol::kDetect);
  EXPECT_EQ(snapshot.ProtocolOfPort(80), Protocol::kHttp);
  EXPECT_EQ(snapshot.ProtocolOfPort(5432), Protocol::kTcp);
  EXPECT_EQ(snapshot.ProtocolOfPort(65535), Protocol::kDetect);
}

}  // namespace
}  // namespace whence::snapshot
