// What routes do with requests.
#include "common/snapshot/route_action.h"

#include <gtest/gtest.h>

#include "common/snapshot/routing.h"

namespace whence::snapshot {
namespace {

TEST(RouteActionTest, RewritesTargets) {
  using PathMatch = Route::PathMatch;
  const struct {
    PathMatch match;
    const char* path;
    const char* uri;
    const char* target;
    const char* want;
  } rows[] = {
      {PathMatch::kPrefix, "/api", "/v2", "/api", "/v2"},
      {PathMatch::kPrefix, "/api", "/v2", "/api/x?/api=1", "/v2/x?/api=1"},
      {PathMatch::kPrefix, "/api/", "/", "/api/x", "/x"},
      {PathMatch::kPrefix, "/", "/v2/", "/x", "/v2/x"},
      {PathMatch::kExact, "/a", "/b", "/a?q", "/b?q"},
      {PathMatch::kRegex, "/a.*", "/b", "/a/b/c?q", "/b?q"},
  };
  for (const auto& row : rows) {
    auto action = std::make_shared<RouteAction>();
    action->rewrite = Rewrite{.uri = row.uri};
    const Route route{.match = row.match, .path = row.path, .action = action};
    std::string memory;
    EXPECT_EQ(RewriteTarget(route, row.target, &memory), row.want) << row.target;
  }
  std::string memory = "old";
  EXPECT_EQ(RewriteTarget({}, "/x?y", &memory), "/x?y");
}

TEST(RouteActionTest, RewritesTargetsByRegex) {
  const auto rewritten = [](const char* match, const char* rewrite, const char* target) {
    auto action = std::make_shared<RouteAction>();
    action->rewrite = Rewrite{.regex = *Regex::Compile(match), .regex_rewrite = rewrite};
    std::string memory;
    return std::string(RewriteTarget({.action = action}, target, &memory));
  };
  EXPECT_EQ(rewritten("^/a/([^/]+)/(.*)$", "/\\2/of/\\1", "/a/b/c?a/b"), "/c/of/b?a/b");
  EXPECT_EQ(rewritten("x", "y", "/xx"), "/yy");
  EXPECT_EQ(rewritten("^/none$", "/y", "/x"), "/x");
  EXPECT_EQ(rewritten("^/", "", "/x?y"), "/x?y") << "a path keeps its slash";
}

TEST(RouteActionTest, WritesLocations) {
  using Port = Redirect::Port;
  const struct {
    Redirect redirect;
    const char* host;
    const char* want;
  } rows[] = {
      {{.scheme = "https"}, "a.b", "https://a.b/x?y"},
      {{.scheme = "https"}, "a.b:80", "https://a.b/x?y"},
      {{.scheme = "https"}, "a.b:8080", "https://a.b:8080/x?y"},
      {{.scheme = "https", .port = Port::kDefault}, "a.b:8080", "https://a.b/x?y"},
      {{.scheme = "https", .port = Port::kGiven, .port_number = 8443},
       "a.b:80",
       "https://a.b:8443/x?y"},
      {{.scheme = "https", .port = Port::kGiven, .port_number = 443}, "a.b", "https://a.b/x?y"},
      {{.uri = "/new"}, "a.b", "http://a.b/new?y"},
      {{.uri = "/new?z"}, "a.b", "http://a.b/new?z"},
      {{.authority = "c.d:81"}, "a.b:82", "http://c.d:81/x?y"},
      {{.scheme = "https"}, "[2001:db8::1]", "https://[2001:db8::1]/x?y"},
      {{.scheme = "https"}, "[2001:db8::1]:80", "https://[2001:db8::1]/x?y"},
      {{.scheme = "https"}, "", "/x?y"},
  };
  for (const auto& row : rows) {
    std::string location;
    WriteLocation(row.redirect, {.host = row.host, .target = "/x?y"}, &location);
    EXPECT_EQ(location, row.want) << row.host;
  }
}

TEST(RouteActionTest, LaterEditsWin) {
  const HeaderEdit first{.drop = {"a", "b"}, .lines = {{"a", "1"}, {"c", "1"}}};
  const HeaderEdit second{.drop = {"A"}, .lines = {{"d", "2"}}};
  const HeaderEdit both = Then(first, second);
  EXPECT_TRUE(both.Drops("a") && both.Drops("B"));
  EXPECT_EQ(both.lines, (std::vector<std::pair<std::string, std::string>>{{"c", "1"}, {"d", "2"}}));
  EXPECT_EQ(both.line_bytes, 12u);
}

TEST(RouteActionTest, ReadsReasonsToTryAgain) {
  RetryPolicy policy;
  std::string word;
  EXPECT_TRUE(
      ReadRetryOn("connect-failure, refused-stream,unavailable,cancelled,503", &policy, &word));
  EXPECT_EQ(policy.causes, RetryPolicy::kConnectFailure);
  EXPECT_TRUE(policy.WantsStatus(503));
  EXPECT_FALSE(policy.WantsStatus(500));
  policy = {};
  EXPECT_TRUE(ReadRetryOn("gateway-error", &policy, &word));
  EXPECT_TRUE(policy.WantsStatus(502) && policy.WantsStatus(504));
  EXPECT_FALSE(policy.WantsStatus(500) || policy.Wants(RetryPolicy::kConnectFailure));
  policy = {};
  EXPECT_TRUE(ReadRetryOn("5xx", &policy, &word));
  EXPECT_TRUE(policy.WantsStatus(500) && policy.Wants(RetryPolicy::kReset));
  EXPECT_FALSE(policy.WantsStatus(499));
  for (const char* bad : {"always", "99", "600", "5xx;reset", ","}) {
    EXPECT_FALSE(ReadRetryOn(bad, &policy, &word)) << bad;
  }
}

TEST(RouteActionTest, SharesByWeight) {
  RouteAction action;
  action.destinations = {{.cluster = 7, .upto = 1}, {.cluster = 8, .upto = 10}};
  action.shares = 10;
  int first = 0;
  for (uint32_t i = 0; i < 1000; ++i) first += action.Pick(i * 4294967u).cluster == 7;
  EXPECT_NEAR(first, 100, 2);
}

}  // namespace
}  // namespace whence::snapshot
