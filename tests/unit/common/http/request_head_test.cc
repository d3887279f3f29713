#include "common/http/request_head.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace whence::http {
namespace {

// Parses `bytes` whole.
struct Parsed {
  std::unique_ptr<HeadStorage> storage = std::make_unique<HeadStorage>();
  RequestHead head;
  ParseResult result;
};

Parsed Parse(std::string_view bytes, const HeadLimits& limits = {}) {
  Parsed parsed;
  parsed.result = ParseRequestHead(bytes, limits, *parsed.storage, &parsed.head);
  return parsed;
}

// Parses as if every byte came alone; the answer must be the one for the whole.
ParseResult ParseByteByByte(std::string_view bytes, const HeadLimits& limits = {}) {
  HeadStorage storage;
  RequestHead head;
  HeadProgress progress;
  for (size_t size = 0; size < bytes.size(); ++size) {
    // An exact copy on the heap, so that reading past what has arrived is seen by sanitizers.
    const std::unique_ptr<char[]> copy(new char[size]);
    bytes.copy(copy.get(), size);
    const ParseResult result =
        ParseRequestHead({copy.get(), size}, limits, storage, &head, &progress);
    if (result.status != ParseStatus::kNeedMore) return result;
  }
  return ParseRequestHead(bytes, limits, storage, &head, &progress);
}

struct RejectRow {
  std::string_view name;
  std::string bytes;
  int want;
  std::string_view reason;
};

std::string WithFields(std::string_view fields) {
  return "POST /u HTTP/1.1\r\nHost: a.test\r\n" + std::string(fields) + "\r\n";
}

std::string RowName(const testing::TestParamInfo<RejectRow>& row) {
  return "Row" + std::to_string(row.index);
}

class RequestHeadReject : public testing::TestWithParam<RejectRow> {};

TEST_P(RequestHeadReject, WholeAndByteByByte) {
  const RejectRow& row = GetParam();
  const ParseResult want = ParseResult::Reject(row.want, row.reason);
  const ParseResult whole = Parse(row.bytes).result;
  EXPECT_EQ(whole, want) << whole.http_status << " " << whole.reason;
  const ParseResult split = ParseByteByByte(row.bytes);
  EXPECT_EQ(split, want) << split.http_status << " " << split.reason;
}

using namespace std::string_literals;

INSTANTIATE_TEST_SUITE_P(
    Smuggling, RequestHeadReject,
    testing::Values(
        RejectRow{"length and coding",
                  WithFields("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400,
                  "Content-Length with Transfer-Encoding"},
        RejectRow{"two lengths", WithFields("Content-Length: 5\r\nContent-Length: 6\r\n"), 400,
                  "several Content-Length fields"},
        RejectRow{"same length twice", WithFields("Content-Length: 5\r\nContent-Length: 5\r\n"),
                  400, "several Content-Length fields"},
        RejectRow{"listed length", WithFields("Content-Length: 5, 5\r\n"), 400,
                  "malformed Content-Length"},
        RejectRow{"signed length", WithFields("Content-Length: +5\r\n"), 400,
                  "malformed Content-Length"},
        RejectRow{"negative length", WithFields("Content-Length: -0\r\n"), 400,
                  "malformed Content-Length"},
        RejectRow{"empty length", WithFields("Content-Length: \r\n"), 400,
                  "malformed Content-Length"},
        RejectRow{"hex length", WithFields("Content-Length: 0x5\r\n"), 400,
                  "malformed Content-Length"},
        RejectRow{"length over 63 bits", WithFields("Content-Length: 9223372036854775808\r\n"), 400,
                  "malformed Content-Length"},
        RejectRow{"length over 64 bits", WithFields("Content-Length: 18446744073709551621\r\n"),
                  400, "malformed Content-Length"},
        RejectRow{"chunked twice", WithFields("Transfer-Encoding: chunked, chunked\r\n"), 400,
                  "malformed Transfer-Encoding"},
        RejectRow{"chunked in two fields",
                  WithFields("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400,
                  "several Transfer-Encoding fields"},
        RejectRow{"chunked not last", WithFields("Transfer-Encoding: chunked, gzip\r\n"), 400,
                  "malformed Transfer-Encoding"},
        RejectRow{"identity", WithFields("Transfer-Encoding: identity\r\n"), 400,
                  "malformed Transfer-Encoding"},
        RejectRow{"quoted", WithFields("Transfer-Encoding: \"chunked\"\r\n"), 400,
                  "malformed Transfer-Encoding"},
        RejectRow{"vertical tab",
                  WithFields("Transfer-Encoding: \x0b"
                             "chunked\r\n"),
                  400, "control byte in head"},
        RejectRow{"no-break space",
                  WithFields("Transfer-Encoding: \xa0"
                             "chunked\r\n"),
                  400, "malformed Transfer-Encoding"},
        RejectRow{"empty coding", WithFields("Transfer-Encoding:\r\n"), 400,
                  "malformed Transfer-Encoding"},
        RejectRow{"gzip, chunked", WithFields("Transfer-Encoding: gzip, chunked\r\n"), 501,
                  "transfer coding other than chunked"},
        RejectRow{"blank before colon", WithFields("Transfer-Encoding : chunked\r\n"), 400,
                  "blank in field name"},
        RejectRow{"tab before colon", WithFields("Transfer-Encoding\t: chunked\r\n"), 400,
                  "blank in field name"},
        RejectRow{"folded", WithFields("X-A: b\r\n Transfer-Encoding: chunked\r\n"), 400,
                  "folded field line"},
        RejectRow{"folded by tab", WithFields("X-A: b\r\n\tc\r\n"), 400, "folded field line"},
        RejectRow{"folded first", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "folded field line"},
        RejectRow{"bare LF", WithFields("X-A: b\nTransfer-Encoding: chunked\r\n"), 400, "bare LF"},
        RejectRow{"bare CR", WithFields("X-A: b\rTransfer-Encoding: chunked\r\n"), 400, "bare CR"},
        RejectRow{"CR CR LF", WithFields("X-A: b\r\r\nTransfer-Encoding: chunked\r\n"), 400,
                  "bare CR"},
        RejectRow{"coding in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
                  "Transfer-Encoding in HTTP/1.0"},
        RejectRow{"nominated length",
                  WithFields("Connection: content-length\r\nContent-Length: 3\r\n"), 400,
                  "Connection names a protected field"},
        RejectRow{"nominated client", WithFields("Connection: close, X-Forwarded-For\r\n"), 400,
                  "Connection names a protected field"}),
    RowName);

INSTANTIATE_TEST_SUITE_P(
    Syntax, RequestHeadReject,
    testing::Values(
        RejectRow{"two blanks", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400,
                  "malformed request line"},
        RejectRow{"tabs", "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed request line"},
        RejectRow{"trailing blank", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400,
                  "malformed request line"},
        RejectRow{"leading blank", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400,
                  "malformed request line"},
        RejectRow{"no version", "GET /\r\nHost: a\r\n\r\n", 400, "malformed request line"},
        RejectRow{"lower version", "GET / http/1.1\r\nHost: a\r\n\r\n", 400,
                  "malformed request line"},
        RejectRow{"HTTP/1.10", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400, "malformed request line"},
        RejectRow{"HTTP/2.0", "PRI * HTTP/2.0\r\n\r\n", 505, "HTTP version"},
        RejectRow{"HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505, "HTTP version"},
        RejectRow{"bad method", "GE/T / HTTP/1.1\r\nHost: a\r\n\r\n", 400,
                  "malformed request line"},
        RejectRow{"two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400,
                  "malformed request line"},
        RejectRow{"LF first", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bare LF"},
        RejectRow{"NUL in target", "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"s, 400,
                  "control byte in head"},
        RejectRow{"DEL in target", "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400,
                  "control byte in head"},
        RejectRow{"8-bit target", "GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed target"},
        RejectRow{"fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed target"},
        RejectRow{"relative target", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed target"},
        RejectRow{"unknown scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400,
                  "malformed target"},
        RejectRow{"userinfo in target", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400,
                  "bad authority in target"},
        RejectRow{"no authority", "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 400,
                  "bad authority in target"},
        RejectRow{"query, no path", "GET http://a?x HTTP/1.1\r\nHost: a\r\n\r\n", 400,
                  "target with query but no path"},
        RejectRow{"star for GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "asterisk target"},
        RejectRow{"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405,
                  "CONNECT is not enabled"},
        RejectRow{"CONNECT path", "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", 400,
                  "malformed CONNECT target"},
        RejectRow{"CONNECT, no port", "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", 400,
                  "malformed CONNECT target"},
        RejectRow{"CONNECT, v6, no port", "CONNECT [::1] HTTP/1.1\r\nHost: a\r\n\r\n", 400,
                  "malformed CONNECT target"},
        RejectRow{"TRACE", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405, "TRACE"},
        RejectRow{"no host", "GET / HTTP/1.1\r\n\r\n", 400, "no Host field"},
        RejectRow{"no host, absolute", "GET http://a/ HTTP/1.1\r\n\r\n", 400, "no Host field"},
        RejectRow{"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", 400,
                  "several Host fields"},
        RejectRow{"two hosts in 1.0", "GET / HTTP/1.0\r\nHost: a\r\nhost: a\r\n\r\n", 400,
                  "several Host fields"},
        RejectRow{"bad host beside absolute", "GET http://a/ HTTP/1.1\r\nHost: b/\r\n\r\n", 400,
                  "malformed Host"},
        RejectRow{"no colon", WithFields("Foo\r\n"), 400, "field line without colon"},
        RejectRow{"empty name", WithFields(": v\r\n"), 400, "empty field name"},
        RejectRow{"bad name", WithFields("Foo(x): v\r\n"), 400, "bad byte in field name"},
        RejectRow{"blank in name", WithFields("Foo Bar: v\r\n"), 400, "blank in field name"},
        RejectRow{"8-bit name", WithFields("Fo\xe9: v\r\n"), 400, "bad byte in field name"},
        RejectRow{"NUL in value", WithFields("Foo: a\0b\r\n"s), 400, "control byte in head"},
        RejectRow{"ESC in value", WithFields("Foo: \x1b[2J\r\n"), 400, "control byte in head"},
        RejectRow{"second expectation",
                  WithFields("Expect: 100-continue\r\nExpect: x\r\nContent-Length: 1\r\n"), 417,
                  "Expect"},
        RejectRow{"expectation", WithFields("Expect: 200-ok\r\n"), 417, "Expect"}),
    RowName);

TEST(RequestHeadTest, RefusesMalformedHosts) {
  for (std::string_view host :
       {"",    " ",      "a/x", "u@a",   "a#x", "a?x",     "a\\x",     "[::1",
        "::1", "[::1]x", "[]",  "[g::]", "a:b", "a:65536", "a:123456", "a:8:0",
        ":80", "a,b",    "a b", "%",     "a%2", "a%zz",    "[::1]]"}) {
    const std::string bytes = "GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n";
    EXPECT_EQ(Parse(bytes).result, ParseResult::Reject(400, "malformed Host")) << host;
  }
}

TEST(RequestHeadTest, AcceptsHosts) {
  for (std::string_view host : {"a", "a.test:8080", "a:", "[2001:db8::1]", "[::ffff:1.2.3.4]:80",
                                "1.2.3.4", "my_svc.ns", "a%2db", "xn--a", "A.TEST"}) {
    const std::string bytes = "GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n";
    const Parsed parsed = Parse(bytes);
    EXPECT_TRUE(parsed.result.done()) << host << ": " << parsed.result.reason;
    EXPECT_EQ(parsed.head.host, host);
  }
}

TEST(RequestHeadTest, GivesEveryPartOfAnOrdinaryRequest) {
  const std::string bytes =
      "POST /a?b=c HTTP/1.1\r\nHost: a.test:8080\r\nX-Foo:\t caf\xe9 \t\r\nContent-Length: "
      "5\r\n\r\nhello";
  const Parsed parsed = Parse(bytes);
  ASSERT_TRUE(parsed.result.done()) << parsed.result.reason;
  const RequestHead& head = parsed.head;
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.target, "/a?b=c");
  EXPECT_EQ(head.target_form, TargetForm::kOrigin);
  EXPECT_EQ(head.minor_version, 1);
  EXPECT_EQ(head.host, "a.test:8080");
  ASSERT_EQ(head.fields.size(), 3u);
  EXPECT_EQ(head.fields[1].name, "X-Foo");
  EXPECT_EQ(head.fields[1].value, "caf\xe9");
  EXPECT_EQ(head.ids[2], FieldId::kContentLength);
  EXPECT_EQ(head.framing, BodyFraming::kContentLength);
  EXPECT_EQ(head.content_length, 5u);
  EXPECT_EQ(head.head_bytes, bytes.size() - 5);
  EXPECT_TRUE(head.keep_alive);
  EXPECT_FALSE(head.expect_continue);
  EXPECT_TRUE(head.upgrade.empty());
  EXPECT_TRUE(head.hop_by_hop.empty());
}

TEST(RequestHeadTest, ForgivesOneEmptyLineBeforeTheRequest) {
  const Parsed parsed = Parse("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(parsed.result.done());
  EXPECT_EQ(parsed.head.method, "GET");
  EXPECT_EQ(parsed.head.head_bytes, 29u);
}

TEST(RequestHeadTest, AbsoluteTargetReplacesHost) {
  const Parsed parsed = Parse("GET HTTP://b.test:80/p?q HTTP/1.1\r\nHost: a.test\r\n\r\n");
  ASSERT_TRUE(parsed.result.done()) << parsed.result.reason;
  EXPECT_EQ(parsed.head.host, "b.test:80");
  EXPECT_EQ(parsed.head.target, "/p?q");
  EXPECT_EQ(Parse("GET http://b HTTP/1.1\r\nHost: a\r\n\r\n").head.target, "/");
  EXPECT_EQ(Parse("OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n").head.target, "*");
}

TEST(RequestHeadTest, ConnectWhenEnabled) {
  HeadLimits limits;
  limits.connect_enabled = true;
  const Parsed parsed = Parse("CONNECT b:443 HTTP/1.1\r\nHost: a\r\n\r\n", limits);
  ASSERT_TRUE(parsed.result.done()) << parsed.result.reason;
  EXPECT_EQ(parsed.head.target_form, TargetForm::kAuthority);
  EXPECT_EQ(parsed.head.host, "b:443");
}

TEST(RequestHeadTest, KeepAliveFollowsVersionAndConnection) {
  struct Row {
    std::string_view version, connection;
    bool want;
  };
  for (const Row& row : {Row{"1.1", "", true}, Row{"1.1", "Connection: Close\r\n", false},
                         Row{"1.1", "Connection: x, close\r\n", false}, Row{"1.0", "", false},
                         Row{"1.0", "Connection: Keep-Alive\r\n", true},
                         Row{"1.0", "Connection: keep-alive\r\nConnection: close\r\n", false},
                         Row{"1.0", "Proxy-Connection: keep-alive\r\n", false}}) {
    const std::string bytes = "GET / HTTP/" + std::string(row.version) + "\r\nHost: a\r\n" +
                              std::string(row.connection) + "\r\n";
    const Parsed parsed = Parse(bytes);
    ASSERT_TRUE(parsed.result.done());
    EXPECT_EQ(parsed.head.keep_alive, row.want) << bytes;
  }
}

TEST(RequestHeadTest, ExpectCountsOnlyWhereABodyFollows) {
  EXPECT_TRUE(
      Parse(WithFields("Expect: 100-Continue\r\nContent-Length: 1\r\n")).head.expect_continue);
  EXPECT_TRUE(Parse(WithFields("Expect: 100-continue\r\nTransfer-Encoding: CHUNKED\r\n"))
                  .head.expect_continue);
  EXPECT_FALSE(
      Parse(WithFields("Expect: 100-continue\r\nContent-Length: 0\r\n")).head.expect_continue);
  EXPECT_FALSE(Parse(WithFields("Expect: 100-continue\r\n")).head.expect_continue);
}

// Forwarded in our 1.1 request, it would make the origin wait or refuse.
TEST(RequestHeadTest, ExpectOfHttp10EndsHere) {
  const Parsed parsed =
      Parse("POST / HTTP/1.0\r\nA: b\r\nExpect: anything\r\nContent-Length: 1\r\n\r\n");
  ASSERT_TRUE(parsed.result.done());
  EXPECT_FALSE(parsed.head.expect_continue);
  EXPECT_FALSE(parsed.head.hop_by_hop.Contains(0));
  EXPECT_TRUE(parsed.head.hop_by_hop.Contains(1));
}

TEST(RequestHeadTest, UpgradePassesOnlyWhenNominatedAndNotH2c) {
  EXPECT_EQ(Parse(WithFields("Connection: Upgrade\r\nUpgrade: websocket\r\n")).head.upgrade,
            "websocket");
  EXPECT_EQ(Parse(WithFields("Upgrade: websocket\r\n")).head.upgrade, "");
  EXPECT_EQ(Parse(WithFields("Connection: Upgrade\r\nUpgrade: h2c\r\n")).head.upgrade, "");
  EXPECT_EQ(Parse(WithFields("Connection: Upgrade\r\nUpgrade: websocket, H2C\r\n")).head.upgrade,
            "");
  EXPECT_EQ(Parse(WithFields("Connection: Upgrade\r\nUpgrade: a\r\nUpgrade: h2c\r\n")).head.upgrade,
            "");
  EXPECT_EQ(
      Parse("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n").head.upgrade,
      "");
}

// The limit counts every byte of the head, line ends included.
TEST(RequestHeadTest, HeadOfExactlyTheLimitPasses) {
  const std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  HeadLimits limits;
  limits.max_bytes = bytes.size();
  EXPECT_TRUE(Parse(bytes + "rest", limits).result.done());
  EXPECT_TRUE(ParseByteByByte(bytes, limits).done());
  limits.max_bytes = bytes.size() - 1;
  EXPECT_EQ(Parse(bytes, limits).result, ParseResult::Reject(431, "head too large"));
  EXPECT_EQ(ParseByteByByte(bytes, limits), ParseResult::Reject(431, "head too large"));
  limits.max_bytes = 10;
  EXPECT_EQ(Parse(bytes, limits).result, ParseResult::Reject(414, "head too large"));
  EXPECT_EQ(ParseByteByByte(bytes, limits), ParseResult::Reject(414, "head too large"));
}

TEST(RequestHeadTest, FieldCountIsBounded) {
  std::string fields;
  for (int i = 0; i < 99; ++i) fields += "X: v\r\n";
  EXPECT_TRUE(Parse(WithFields(fields)).result.done());
  fields += "X: v\r\n";
  EXPECT_EQ(Parse(WithFields(fields)).result, ParseResult::Reject(431, "too many fields"));
  // A limit beyond the storage is the storage.
  HeadLimits limits;
  limits.max_fields = 100000;
  for (int i = 0; i < 100; ++i) fields += "X: v\r\n";
  EXPECT_EQ(Parse(WithFields(fields), limits).result, ParseResult::Reject(431, "too many fields"));
}

TEST(RequestHeadTest, NeedsMoreForEveryPrefix) {
  const std::string bytes =
      "\r\nPOST /u HTTP/1.1\r\nHost: a.test\r\nX-Long-Enough-For-A-Vector: value\r\n\r\n";
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(Parse(bytes.substr(0, size)).result, ParseResult::NeedMore()) << size;
  }
  EXPECT_TRUE(ParseByteByByte(bytes).done());
}

// A bad line is refused as soon as it is complete: waiting for the rest of such a head would only
// serve slow clients.
TEST(RequestHeadTest, BadLineIsRefusedBeforeTheHeadEnds) {
  for (std::string_view bytes :
       {"GET / HTTP/2.0\r\n", "GET / HTTP/1.1\r\nHost : a\r\n", "GET / HTTP/1.1\n", "GET /\x01"}) {
    EXPECT_EQ(Parse(bytes).result.status, ParseStatus::kReject) << bytes;
    EXPECT_EQ(ParseByteByByte(bytes), Parse(bytes).result) << bytes;
  }
}

// Pieces of every size: the search for the end must not step over a line end that straddles two
// pieces.
TEST(RequestHeadTest, EveryPieceSizeGivesTheSameHead) {
  const std::string bytes =
      "GET /p HTTP/1.1\r\nHost: a.test\r\nA: b\r\nCc: d\r\nEee: f\r\n\r\nGET /next";
  for (size_t step = 1; step <= bytes.size(); ++step) {
    HeadStorage storage;
    RequestHead head;
    HeadProgress progress;
    ParseResult result = ParseResult::NeedMore();
    for (size_t size = step; result.status == ParseStatus::kNeedMore; size += step) {
      result =
          ParseRequestHead(std::string_view(bytes).substr(0, size), {}, storage, &head, &progress);
      ASSERT_LT(size, bytes.size() + step);
    }
    EXPECT_TRUE(result.done());
    EXPECT_EQ(head.fields.size(), 4u);
    EXPECT_EQ(bytes.substr(head.head_bytes), "GET /next");
    EXPECT_EQ(progress.scanned, 0u);
  }
}

}  // namespace
}  // namespace whence::http
