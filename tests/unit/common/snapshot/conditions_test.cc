// What routes ask of requests, beyond host and path.
#include "common/snapshot/conditions.h"

#include <gtest/gtest.h>

#include "common/snapshot/router.h"
#include "common/trust/resolver.h"

namespace whence::snapshot {
namespace {

TextMatch Exact(std::string text) { return {TextMatch::Kind::kExact, std::move(text), nullptr}; }
TextMatch Prefix(std::string text) { return {TextMatch::Kind::kPrefix, std::move(text), nullptr}; }
TextMatch Pattern(const char* text) { return {TextMatch::Kind::kRegex, "", *Regex::Compile(text)}; }

net::TrustedClient Client(const char* address) {
  const net::DirectPeer peer{{*net::IpAddress::Parse(address), 1}};
  return trust::Resolve(peer, {}, trust::DefaultTopology(trust::Role::kGateway)).client;
}

struct Request {
  std::vector<http::HeaderField> fields;
  std::vector<http::FieldId> ids;
  RoutedRequest request;

  explicit Request(std::vector<http::HeaderField> given) : fields(std::move(given)) {
    for (const auto& field : fields) ids.push_back(http::IdentifyField(field.name));
    request.fields = fields;
    request.ids = ids;
  }
};

TEST(RegexTest, MatchesTheWholeTextOnly) {
  const auto regex = *Regex::Compile("/v[12]|/x");
  EXPECT_TRUE(regex->MatchesWhole("/v1"));
  EXPECT_TRUE(regex->MatchesWhole("/x"));
  for (const char* no : {"", "/v1/", "a/v1", "/v12", "/v1\n", "/xx"}) {
    EXPECT_FALSE(regex->MatchesWhole(no)) << no;
  }
  for (const char* bad : {"", "(", "a{2000}", "(?=a)", "\\1"}) {
    EXPECT_FALSE(Regex::Compile(bad).ok()) << bad;
  }
  EXPECT_FALSE(Regex::Compile(std::string(1025, 'a')).ok());
}

TEST(ConditionsTest, ComparesHeaders) {
  const Request request(
      std::vector<http::HeaderField>{{"X-A", "one"}, {"x-b", ""}, {"X-C", "1"}, {"x-c", "2"}});
  const struct {
    const char* name;
    TextMatch match;
    bool holds;
  } rows[] = {
      {"x-missing", {}, false},
      {"x-missing", Exact(""), false},
      {"x-a", Exact("On"), false},
      {"x-a", Exact("One"), false},
      {"x-a", Pattern("n"), false},
      {"x-b", Exact("x"), false},
      {"x-c", Exact("1"), false},  // its value is the whole list
      {"x-c", Exact("2"), false},
      {"x-a", {}, true},
      {"x-b", {}, true},
      {"x-b", Prefix(""), true},
      {"X-a", Exact("one"), true},
      {"x-a", Prefix("on"), true},
      {"x-a", Pattern("o.e"), true},
      {"x-c", Exact("1,2"), true},
      {"x-c", Pattern("1.*"), true},
      {"x-c", {}, true},
  };
  for (const auto& row : rows) {
    Conditions with, without;
    with.headers = {{row.name, row.match, http::IdentifyField(row.name)}};
    without.without_headers = with.headers;
    EXPECT_EQ(with.Hold(request.request), row.holds) << row.name << " " << row.match.text;
    EXPECT_EQ(without.Hold(request.request), !row.holds) << row.name << " " << row.match.text;
  }
}

// A stranger must not choose his route by claiming to be forwarded.
TEST(ConditionsTest, ForwardedHeadersCountFromTrustedPeersOnly) {
  Request request(
      std::vector<http::HeaderField>{{"X-Forwarded-Proto", "https"}, {"x-envoy-internal", "true"}});
  Conditions header, scheme;
  header.headers = {{"x-envoy-internal", Exact("true"), http::IdentifyField("x-envoy-internal")}};
  scheme.scheme = Exact("https");
  EXPECT_FALSE(header.Hold(request.request));
  EXPECT_FALSE(scheme.Hold(request.request));
  request.request.peer_is_trusted = true;
  EXPECT_TRUE(header.Hold(request.request));
  EXPECT_TRUE(scheme.Hold(request.request));
}

TEST(ConditionsTest, ComparesMethodAuthorityAndQuery) {
  const auto holds = [](const Conditions& conditions, const RoutedRequest& request) {
    return conditions.Hold(request);
  };
  Conditions method, authority, query, present;
  method.method = Exact("GET");
  authority.authority = Exact("a.b:80");
  query.query_params = {{"q", Exact("1")}};
  present.query_params = {{"q", {}}};
  EXPECT_TRUE(holds(method, {.method = "GET"}));
  EXPECT_FALSE(holds(method, {.method = "get"}));
  EXPECT_TRUE(holds(authority, {.host = "a.b:80"}));
  EXPECT_FALSE(holds(authority, {.host = "a.b"}));
  for (const char* no : {"/", "/?", "/?q", "/?q=", "/?q=2&q=1", "/?xq=1", "/q=1", "/?q=1x"}) {
    EXPECT_FALSE(holds(query, {.target = no})) << no;
  }
  for (const char* yes : {"/?q=1", "/?a&q=1", "/?a=q&q=1&q=2"}) {
    EXPECT_TRUE(holds(query, {.target = yes})) << yes;
  }
  EXPECT_TRUE(holds(present, {.target = "/?q"}));
  EXPECT_FALSE(holds(present, {.target = "/?qq"}));
}

TEST(ConditionsTest, LooksAtTheTrustedClient) {
  Conditions inside;
  inside.source_cidrs = net::CidrSet({*net::Cidr::Parse("10.0.0.0/8")});
  const net::TrustedClient in = Client("10.1.2.3"), out = Client("11.1.2.3");
  EXPECT_FALSE(inside.Hold({}));
  EXPECT_FALSE(inside.Hold({.client = &out}));
  EXPECT_TRUE(inside.Hold({.client = &in}));
}

TEST(RouterTest, TakesTheFirstWhoseConditionsHold) {
  auto only_put = std::make_shared<Conditions>();
  only_put->method = Exact("PUT");
  Listener listener;
  listener.virtual_hosts = VirtualHosts(
      {{{"*"},
        {{.path = "/Api", .cluster = 0, .ignore_case = true, .conditions = only_put},
         {.match = Route::PathMatch::kExact, .path = "/API", .cluster = 1, .ignore_case = true},
         {.match = Route::PathMatch::kRegex, .cluster = 2, .regex = *Regex::Compile("/r/[a-z]+")},
         {.path = "/", .cluster = 3, .conditions = only_put}}}});
  const struct {
    const char* method;
    const char* target;
    int cluster;
  } rows[] = {
      {"GET", "/other", -1},  {"GET", "/r/1", -1},  {"GET", "/r/a/", -1},   {"GET", "/api/x", -1},
      {"PUT", "/aPI/x?y", 0}, {"GET", "/aPi?x", 1}, {"GET", "/r/abc?1", 2}, {"PUT", "/other", 3},
  };
  for (const auto& row : rows) {
    const Route* route = Match(listener, {.host = "h", .target = row.target, .method = row.method});
    EXPECT_EQ(route == nullptr ? -1 : static_cast<int>(route->cluster), row.cluster)
        << row.method << " " << row.target;
  }
}

TEST(RouterTest, ChoosesTcpRoutesByClient) {
  Listener listener;
  EXPECT_EQ(MatchTcp(listener, Client("10.0.0.1")), nullptr);
  listener.tcp_routes = {
      {.source_cidrs = net::CidrSet({*net::Cidr::Parse("10.0.0.0/8")}),
       .destinations = {{.cluster = 1}}},
      {.destinations = {{.cluster = 2, .upto = 3}, {.cluster = 3, .upto = 4}}, .shares = 4}};
  EXPECT_EQ(MatchTcp(listener, Client("10.0.0.1"))->Pick(0), 1u);
  const TcpRoute* shared = MatchTcp(listener, Client("11.0.0.1"));
  EXPECT_EQ(shared->Pick(0), 2u);
  EXPECT_EQ(shared->Pick(0xbfffffff), 2u);
  EXPECT_EQ(shared->Pick(0xc0000000), 3u);
  EXPECT_EQ(shared->Pick(0xffffffff), 3u);
}

}  // namespace
}  // namespace whence::snapshot
