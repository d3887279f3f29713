#include "dataplane/access_log/json_line.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace whence::access_log {
namespace {

std::string Json(std::string_view bytes) {
  std::string out;
  AppendJsonString(bytes, &out);
  return out;
}

TEST(JsonStringTest, EscapesWhatIsNotPlainText) {
  const struct {
    const char* name;
    std::string_view in;
    const char* want;
  } kRows[] = {
      {"plain", "/index.html?a=b", R"("/index.html?a=b")"},
      {"quote and backslash", "a\"b\\c", R"("a\"b\\c")"},
      {"terminal escape", "\x1b[31mred", R"("\u001b[31mred")"},
      {"newline, tab, NUL", std::string_view("\n\t\0", 3), R"("\u000a\u0009\u0000")"},
      {"DEL", "\x7f", R"("\u007f")"},
      {"UTF-8 stays", "/caf\xc3\xa9", "\"/caf\xc3\xa9\""},
      {"emoji stays", "\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\""},
      {"C1 control", "\xc2\x9b", R"("\u009b")"},
      {"bidirectional override", "\xe2\x80\xae", R"("\u202e")"},
      {"soft hyphen", "\xc2\xad", R"("\u00ad")"},
      {"tag, above U+FFFF", "\xf3\xa0\x81\x81", R"("\udb40\udc41")"},
      {"line separator", "\xe2\x80\xa8", R"("\u2028")"},
      {"stray byte", "\xff", R"("\u00ff")"},
      {"cut sequence", "\xc3", R"("\u00c3")"},
      {"overlong slash", "\xc0\xaf", R"("\u00c0\u00af")"},
      {"surrogate", "\xed\xa0\x80", R"("\u00ed\u00a0\u0080")"},
      {"beyond Unicode", "\xf4\x90\x80\x80", R"("\u00f4\u0090\u0080\u0080")"},
  };
  for (const auto& row : kRows) EXPECT_EQ(Json(row.in), row.want) << row.name;
}

TEST(JsonStringTest, EveryPairOfBytesIsValidJson) {
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const std::string bytes = {static_cast<char>(a), static_cast<char>(b)};
      ASSERT_TRUE(nlohmann::json::accept(Json(bytes))) << a << " " << b;
    }
  }
}

TEST(JsonLineTest, TimesAreIso8601) {
  EXPECT_EQ(TimeText(0), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(TimeText(1'795'388'645'678'901), "2026-11-22T23:04:05.678901Z");
  EXPECT_EQ(TimeText(-1), "1969-12-31T23:59:59.999999Z");
}

TEST(JsonLineTest, CarriesEveryFieldOfTheView) {
  Record record;
  record.time_us = 1'795'388'645'678'901;
  record.protocol = Protocol::kHttp11;
  record.client_address = *net::IpAddress::Parse("2.2.2.2");
  record.direct_peer = *net::IpAddress::Parse("10.128.0.54");
  record.direct_peer_port = 40'000;
  record.destination_address = *net::IpAddress::Parse("2001:db8::1");
  record.destination_port = 8080;
  record.status = 403;
  record.decision = Decision::kDeny;
  record.bytes_in = 1;
  record.bytes_out = 2;
  record.duration_us = 3;
  record.Set(Text::kReason, "xff-hop-2");
  record.Set(Text::kMethod, "GET");
  record.Set(Text::kHost, "shop.example");
  record.Set(Text::kPath, "/\x1b");
  record.Set(Text::kForwardedFor, "1.1.1.1, 2.2.2.2");
  record.Set(Text::kPolicy, std::string(200, 'p'));
  record.Set(Text::kRequestId, "id");
  record.Add(Flag::kSpoofedHeaders);
  std::string line;
  JsonLines({"shop/echo", "echo", "shop", "10.128.0.1", "sidecar"}).Append(record, &line);
  ASSERT_EQ(line.back(), '\n');
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  const nlohmann::json want = {{"time", "2026-11-22T23:04:05.678901Z"},
                               {"agent", "shop/echo"},
                               {"workload", "echo"},
                               {"namespace", "shop"},
                               {"node", "10.128.0.1"},
                               {"role", "sidecar"},
                               {"protocol", "http/1.1"},
                               {"client_address", "2.2.2.2"},
                               {"client_reason", "xff-hop-2"},
                               {"direct_peer", "10.128.0.54"},
                               {"direct_peer_port", 40'000},
                               {"forwarded_for", "1.1.1.1, 2.2.2.2"},
                               {"external_address", nullptr},
                               {"destination", "2001:db8::1"},
                               {"destination_port", 8080},
                               {"upstream_source", nullptr},
                               {"method", "GET"},
                               {"host", "shop.example"},
                               {"path", "/\x1b"},
                               {"status", 403},
                               {"decision", "deny"},
                               {"policy", std::string(112, 'p')},
                               {"bytes_in", 1},
                               {"bytes_out", 2},
                               {"duration_us", 3},
                               {"flags", "spoofed-headers,policy-truncated"},
                               {"request_id", "id"},
                               {"proxy_tlvs", ""}};
  EXPECT_EQ(nlohmann::json::parse(line), want);
}

TEST(JsonLineTest, AGapIsALineOfItsOwn) {
  std::string line;
  JsonLines({"shop/echo", "echo", "shop", "", "sidecar"}).AppendGap(0, 17, &line);
  EXPECT_EQ(nlohmann::json::parse(line)["dropped"], 17);
}

}  // namespace
}  // namespace whence::access_log
