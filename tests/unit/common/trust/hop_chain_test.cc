#include "common/trust/hop_chain.h"

#include <gtest/gtest.h>

#include "tests/unit/common/trust/request_builder.h"

namespace whence::trust {
namespace {

std::string ParsedEntry(std::string_view entry) {
  const auto address = ParseForwardedForEntry(entry);
  return address ? address->ToString() : "none";
}

TEST(ForwardedForEntryTest, RefusesWhatIsNoClientAddress) {
  for (const std::string_view entry : {"",
                                       " ",
                                       "unknown",
                                       "_hidden",
                                       "localhost",
                                       "example.com",
                                       "a.b.c.d",
                                       "1.2.3",
                                       "1.2.3.4.5",
                                       "127.1",
                                       "2130706433",
                                       "0x7f000001",
                                       "010.0.0.1",
                                       "256.1.1.1",
                                       "1.2.3.4;5.6.7.8",
                                       "1.2.3.4 5.6.7.8",
                                       "1.2.3.4/24",
                                       "\"1.2.3.4\"",
                                       "for=1.2.3.4",
                                       "1.2.3.4:",
                                       "1.2.3.4:x",
                                       "1.2.3.4:+80",
                                       "1.2.3.4:65536",
                                       "1.2.3.4:000080",
                                       "1.2.3.4:-1",
                                       ":80",
                                       ":",
                                       "::1:",
                                       "[::1",
                                       "::1]",
                                       "[::1]80",
                                       "[::1]:",
                                       "[::1]:65536",
                                       "[::1]:x",
                                       "[1.2.3.4]",
                                       "[1.2.3.4]:80",
                                       "[]",
                                       "[",
                                       "[[::1]]",
                                       "fe80::1%1",
                                       "fe80::1%eth0",
                                       "[fe80::1%eth0]:80",
                                       "1::2::3",
                                       "12345::1",
                                       "0.0.0.0",
                                       "0.0.0.0:80",
                                       "::",
                                       "[::]",
                                       "224.0.0.1",
                                       "239.255.255.255",
                                       "255.255.255.255",
                                       "ff02::1",
                                       "::ffff:0.0.0.0",
                                       "::ffff:224.0.0.1",
                                       "[::ffff:255.255.255.255]",
                                       "\xef\xbc\x91.2.3.4",
                                       "1.2.3.4\x01",
                                       "+1.2.3.4"}) {
    EXPECT_EQ(ParsedEntry(entry), "none") << entry;
  }
  EXPECT_EQ(ParsedEntry(std::string_view("1.2.3.4\0", 8)), "none");
  EXPECT_EQ(ParsedEntry(std::string_view("1.2.3.4\0.5", 10)), "none");
  EXPECT_EQ(ParsedEntry(std::string(70000, '1')), "none");
  EXPECT_EQ(ParsedEntry(std::string(70000, ':')), "none");
}

TEST(ForwardedForEntryTest, ReadsWhatProxiesWrite) {
  struct {
    std::string_view entry, address;
  } rows[] = {
      {"1.2.3.4", "1.2.3.4"},           {"\t 1.2.3.4 \t", "1.2.3.4"},
      {"1.2.3.4:5678", "1.2.3.4"},      {"1.2.3.4:0", "1.2.3.4"},
      {"1.2.3.4:65535", "1.2.3.4"},     {"2001:DB8::1", "2001:db8::1"},
      {"[2001:db8::1]", "2001:db8::1"}, {"[2001:db8::1]:443", "2001:db8::1"},
      {"::ffff:1.2.3.4", "1.2.3.4"},    {"[::FFFF:1.2.3.4]:80", "1.2.3.4"},
      {"::ffff:102:304", "1.2.3.4"},    {"::1", "::1"},
      {"127.0.0.1", "127.0.0.1"},       {"240.0.0.1", "240.0.0.1"},
  };
  for (const auto& row : rows) EXPECT_EQ(ParsedEntry(row.entry), row.address) << row.entry;
}

std::string ParsedElement(std::string_view element) {
  const auto address = ParseForwardedElement(element);
  return address ? address->ToString() : "none";
}

TEST(ForwardedElementTest, RefusesWhatIsNoElementOrNamesNoAddress) {
  for (const std::string_view element : {"",
                                         ";",
                                         "for",
                                         "for=",
                                         "=1.2.3.4",
                                         "1.2.3.4",
                                         "by=1.2.3.4",
                                         "proto=https",
                                         "for=unknown",
                                         "for=_secret",
                                         "for=\"_secret:80\"",
                                         "for=\"1.2.3.4",
                                         "for=1.2.3.4\"",
                                         "for=\"\"",
                                         "for=1.2.3.4;for=5.6.7.8",
                                         "for=1.2.3.4;FOR=5.6.7.8",
                                         "for=1.2.3.4 by=5.6.7.8",
                                         "for = 1.2.3.4",
                                         "for=[2001:db8::1]",
                                         "for=\"2001:db8::1\"",
                                         "for=\"[1.2.3.4]\"",
                                         "for=\"[2001:db8::1]x\"",
                                         "for=\"1.2.3.4:99999\"",
                                         "for=\"1.2.3.4:_\"",
                                         "for=1.2.3.4:80",
                                         "for=0.0.0.0",
                                         "for=\"[ff02::1]\"",
                                         "for=\"1.2.3\\.4\"",
                                         "for=1.2.3.4;proto",
                                         "for=1.2.3.4;x="}) {
    EXPECT_EQ(ParsedElement(element), "none") << element;
  }
}

TEST(ForwardedElementTest, ReadsRfc7239) {
  struct {
    std::string_view element, address;
  } rows[] = {
      {"for=192.0.2.43", "192.0.2.43"},
      {"For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"},
      {"for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"},
      {"for=192.0.2.60; proto=http; by=203.0.113.43", "192.0.2.60"},
      {"proto=https;host=\"a;b,c\\\"for=6.6.6.6\";for=\"192.0.2.1:80\"", "192.0.2.1"},
      {"for=\"192.0.2.43:_port\"", "192.0.2.43"},
      {"for=\"[::ffff:192.0.2.1]\"", "192.0.2.1"},
      {"for=192.0.2.1;", "192.0.2.1"},
  };
  for (const auto& row : rows) EXPECT_EQ(ParsedElement(row.element), row.address) << row.element;
}

std::vector<std::string> Entries(http::FieldId id, const Lines& lines) {
  const Headers headers(lines);
  HopChain chain(headers.evidence().fields, headers.evidence().ids, id);
  std::vector<std::string> entries;
  while (const auto entry = chain.Next()) entries.emplace_back(*entry);
  EXPECT_EQ(chain.Next(), std::nullopt);
  return entries;
}

using Entry = std::vector<std::string>;

TEST(HopChainTest, GivesEntriesFromTheRightOverAllLines) {
  struct {
    const char* what;
    Lines lines;
    Entry entries;
  } rows[] = {
      {"no header", {{"host", "a"}}, {}},
      {"empty header", {{"x-forwarded-for", ""}}, {}},
      {"blank header", {{"x-forwarded-for", " \t"}}, {}},
      {"one", {{"x-forwarded-for", "a"}}, {"a"}},
      {"blanks", {{"x-forwarded-for", " a ,\tb , c "}}, {"c", "b", "a"}},
      {"trailing comma", {{"x-forwarded-for", "a,"}}, {"", "a"}},
      {"leading comma", {{"x-forwarded-for", ",a"}}, {"a", ""}},
      {"commas only", {{"x-forwarded-for", ",,"}}, {"", "", ""}},
      {"lines are one list",
       {{"x-forwarded-for", "a,b"}, {"host", "h"}, {"X-Forwarded-For", "c"}},
       {"c", "b", "a"}},
      {"a line without text adds nothing",
       {{"x-forwarded-for", "a"}, {"x-forwarded-for", ""}, {"x-forwarded-for", "c"}},
       {"c", "a"}},
      {"look-alikes are other headers",
       {{"x-forwarded-for", "a"}, {"x_forwarded_for", "b"}, {"x-forwarded-for2", "c"}},
       {"a"}},
      {"quotes mean nothing here", {{"x-forwarded-for", "\"a,b\""}}, {"b\"", "\"a"}},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(Entries(http::FieldId::kXForwardedFor, row.lines), row.entries) << row.what;
  }
}

TEST(HopChainTest, QuotesOfAStrangerDoNotMoveTheTrustedTail) {
  struct {
    const char* what;
    std::string value;
    Entry entries;
  } rows[] = {
      {"commas in quotes", "for=\"a,b\",for=c", {"for=c", "for=\"a,b\""}},
      {"unbalanced quote on the left", "for=\"evil,for=1.1.1.1", {"for=1.1.1.1", "for=\"evil"}},
      {"escaped quote",
       "host=\"x\\\",for=6.6.6.6\",for=c",
       {"for=c", "host=\"x\\\",for=6.6.6.6\""}},
      {"escaped backslash before the quote", "a=\"x\\\\\",for=c", {"for=c", "a=\"x\\\\\""}},
      {"a quote that never opens", "for=a,for=b\"", {"for=a,for=b\""}},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(Entries(http::FieldId::kForwarded, {{"forwarded", row.value}}), row.entries)
        << row.what;
  }
}

}  // namespace
}  // namespace whence::trust
