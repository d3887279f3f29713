#include "common/policy/matcher.h"

#include <gtest/gtest.h>

namespace whence::policy {
namespace {

TEST(StringMatcherTest, OnlyAStarAtAnEndIsSpecial) {
  struct {
    std::string_view pattern, text;
    bool matches;
  } rows[] = {
      {"abc", "abc", true},    {"abc", "ABC", false},    {"abc", "abcd", false},
      {"abc", "", false},      {"abc*", "abc", true},    {"abc*", "abcd", true},
      {"abc*", "ab", false},   {"*abc", "abc", true},    {"*abc", "xabc", true},
      {"*abc", "abcx", false}, {"*", "x", true},         {"*", "", false},
      {"a*c", "abc", false},   {"a*c", "a*c", true},     {"*b*", "abc", false},
      {"*b*", "ab*", true},    {"**", "*", true},        {"**", "x*", true},
      {"**", "x", false},      {"*corp", "CORP", false}, {"a**", "a*", true},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(StringMatcher(row.pattern).Matches(row.text), row.matches)
        << row.pattern << " " << row.text;
  }
}

TEST(StringMatcherTest, IgnoresCaseWhereAsked) {
  const auto matches = [](std::string_view pattern, std::string_view text) {
    return StringMatcher(pattern, StringMatcher::Case::kIgnored).Matches(text);
  };
  EXPECT_TRUE(matches("Example.COM", "eXample.com"));
  EXPECT_TRUE(matches("*.Example.com", "a.EXAMPLE.com"));
  EXPECT_TRUE(matches("edge.*", "EDGE.corp"));
  EXPECT_FALSE(matches("example.com", "example.com:80"));
}

TEST(HeaderValueTest, LinesAreComparedAsIfJoined) {
  const http::HeaderField fields[] = {
      {"X-Role", "user"}, {"other", "x"}, {"x-role", ""}, {"x-ROLE", "admin"}};
  const HeaderValue value(fields, "x-role");
  EXPECT_EQ(value.size(), std::string_view("user,,admin").size());
  struct {
    std::string_view pattern;
    bool matches;
  } rows[] = {
      {"user,,admin", true},    {"user", false},          {"admin", false},
      {"user,*", true},         {"user,,a*", true},       {"user*", true},
      {"user,x*", false},       {"*,admin", true},        {"*,,admin", true},
      {"*r,,admin", true},      {"*x,admin", false},      {"*", true},
      {"user,,admin*", true},   {"user,,admin,*", false}, {"*user,,admin", true},
      {"*xuser,,admin", false},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(StringMatcher(row.pattern).Matches(value), row.matches) << row.pattern;
  }
  EXPECT_TRUE(value.HoldsAt(11, ""));
  EXPECT_FALSE(value.HoldsAt(12, ""));
  EXPECT_FALSE(value.HoldsAt(0, "user,,admin,"));
}

TEST(HeaderValueTest, PresenceIsTheLineNotItsText) {
  const http::HeaderField fields[] = {{"x-debug", ""}};
  EXPECT_TRUE(StringMatcher("*").Matches(HeaderValue(fields, "X-Debug")));
  EXPECT_FALSE(StringMatcher("*").Matches(HeaderValue(fields, "x-other")));
  EXPECT_FALSE(StringMatcher("").Matches(HeaderValue(fields, "x-other")));
}

TEST(PathTemplateTest, OperatorsStandForWholeSegments) {
  struct {
    std::string_view pattern, path;
    bool matches;
  } rows[] = {
      {"/foo/{*}", "/foo/bar", true},
      {"/foo/{*}", "/foo/", false},
      {"/foo/{*}", "/foo", false},
      {"/foo/{*}", "/foo/bar/", false},
      {"/foo/{*}", "/foo/bar/baz", false},
      {"/foo/{*}/c", "/foo/b/c", true},
      {"/foo/{*}/c", "/foo//c", false},
      {"/foo/{*}/c", "/foo/b/d", false},
      {"/{*}/{*}", "/a/b", true},
      {"/{*}/{*}", "/a", false},
      {"/a.b/{*}", "/axb/c", false},
      {"/foo/{**}", "/foo/", true},
      {"/foo/{**}", "/foo/a/b", true},
      {"/foo/{**}", "/foo", false},
      {"/foo/{**}/", "/foo/bar/", true},
      {"/foo/{**}/", "/foo/bar", false},
      {"/shop/{**}/pay", "/shop/7/b/pay", true},
      {"/shop/{**}/pay", "/shop//pay", true},
      {"/shop/{**}/pay", "/shop/pay", false},
      {"/zone/{*}/unit/{**}", "/zone/1/unit/a/b", true},
      {"/zone/{*}/unit/{**}", "/zone/unit/a", false},
  };
  for (const auto& row : rows) {
    std::string_view error;
    const auto path_template = PathTemplate::Parse(row.pattern, &error);
    ASSERT_TRUE(path_template) << row.pattern << ": " << error;
    EXPECT_EQ(path_template->Matches(row.path), row.matches) << row.pattern << " " << row.path;
  }
}

TEST(PathTemplateTest, RefusesWhatItCouldNotMean) {
  for (const std::string_view pattern :
       {"{*}", "/a{*}", "/{*}b", "/{**}b", "/{**}/{*}", "/{**}/{**}", "/{*}*", "/*/{*}", "/{x}",
        "/{", "/}", "/{*", "/{***}", "/a/{*}.html"}) {
    std::string_view error;
    EXPECT_FALSE(PathTemplate::Parse(pattern, &error)) << pattern;
    EXPECT_FALSE(error.empty()) << pattern;
    EXPECT_TRUE(PathTemplate::IsTemplate(pattern)) << pattern;
  }
}

}  // namespace
}  // namespace whence::policy
