#include "common/http/response_head.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace whence::http {
namespace {

struct Parsed {
  std::unique_ptr<HeadStorage> storage = std::make_unique<HeadStorage>();
  ResponseHead head;
  ParseResult result;
};

// Parses whole, and byte by byte: both must agree.
Parsed Parse(std::string_view bytes, const ResponseContext& context = {}) {
  Parsed parsed;
  parsed.result = ParseResponseHead(bytes, {}, context, *parsed.storage, &parsed.head);
  HeadStorage storage;
  ResponseHead head;
  HeadProgress progress;
  ParseResult split = ParseResult::NeedMore();
  for (size_t size = 0; size <= bytes.size() && split.status == ParseStatus::kNeedMore; ++size) {
    const std::unique_ptr<char[]> copy(new char[size]);
    bytes.copy(copy.get(), size);
    split = ParseResponseHead({copy.get(), size}, {}, context, storage, &head, &progress);
  }
  EXPECT_EQ(split, parsed.result) << bytes;
  EXPECT_EQ(head.head_bytes, parsed.head.head_bytes) << bytes;
  return parsed;
}

struct RejectRow {
  std::string_view bytes, reason;
};

TEST(ResponseHeadTest, RefusesWhatTwoReadersCouldReadDifferently) {
  const RejectRow rows[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
       "Content-Length with Transfer-Encoding"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
       "several Content-Length fields"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 05\r\n\r\n",
       "several Content-Length fields"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n", "malformed Content-Length"},
      {"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", "malformed Content-Length"},
      {"HTTP/1.1 204 No\r\nContent-Length: x\r\n\r\n", "malformed Content-Length"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
       "transfer coding other than chunked"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
       "transfer coding other than chunked"},
      {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "Transfer-Encoding in HTTP/1.0"},
      {"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", "folded field line"},
      {"HTTP/1.1 200 OK\r\nX: a\nY: b\r\n\r\n", "bare LF"},
      {"HTTP/1.1 200 OK\r\nX: a\rY: b\r\n\r\n", "bare CR"},
      {"HTTP/1.1 200 OK\r\nX : a\r\n\r\n", "blank in field name"},
      {"HTTP/1.1 200 OK\r\nConnection: Content-Length\r\nContent-Length: 5\r\n\r\n",
       "Connection names a protected field"},
      {"HTTP/1.1 2xx OK\r\n\r\n", "malformed status"},
      {"HTTP/1.1 20 OK\r\n\r\n", "malformed status"},
      {"HTTP/1.1 2000 OK\r\n\r\n", "malformed status"},
      {"HTTP/1.1 099 OK\r\n\r\n", "malformed status"},
      {"HTTP/1.1  200 OK\r\n\r\n", "malformed status"},
      {"HTTP/1.1\t200 OK\r\n\r\n", "malformed status line"},
      {"HTTP/2.0 200 OK\r\n\r\n", "malformed status line"},
      {"ICY 200 OK\r\n\r\n", "malformed status line"},
      {"\r\nHTTP/1.1 200 OK\r\n\r\n", "malformed status line"},
      {"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
       "unasked 101"},
  };
  for (const RejectRow& row : rows) {
    EXPECT_EQ(Parse(row.bytes).result, ParseResult::Reject(502, row.reason)) << row.bytes;
  }
}

struct FramingRow {
  std::string_view bytes;
  ResponseContext context;
  BodyFraming framing;
  bool keep_alive;
};

TEST(ResponseHeadTest, FramingFollowsRequestStatusAndFields) {
  const FramingRow rows[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", {}, BodyFraming::kContentLength, true},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", {}, BodyFraming::kChunked, true},
      {"HTTP/1.1 200 OK\r\n\r\n", {}, BodyFraming::kUntilClose, false},
      {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", {}, BodyFraming::kContentLength, true},
      {"HTTP/1.1 200 \r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
       {},
       BodyFraming::kContentLength,
       false},
      {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", {}, BodyFraming::kContentLength, false},
      {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n",
       {},
       BodyFraming::kContentLength,
       true},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", {.head = true}, BodyFraming::kNone, true},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
       {.head = true},
       BodyFraming::kNone,
       true},
      {"HTTP/1.1 200 OK\r\n\r\n", {.head = true}, BodyFraming::kNone, true},
      {"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n", {}, BodyFraming::kNone, true},
      {"HTTP/1.1 204 No Content\r\n\r\n", {}, BodyFraming::kNone, true},
      {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", {}, BodyFraming::kNone, true},
      {"HTTP/1.1 200 OK\r\n\r\n", {.connect = true}, BodyFraming::kUntilClose, false},
      {"HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\n",
       {.connect = true},
       BodyFraming::kContentLength,
       true},
      {"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
       {.upgrade_requested = true},
       BodyFraming::kUntilClose,
       false},
  };
  for (const FramingRow& row : rows) {
    const Parsed parsed = Parse(row.bytes, row.context);
    EXPECT_TRUE(parsed.result.done()) << row.bytes << parsed.result.reason;
    EXPECT_EQ(parsed.head.framing, row.framing) << row.bytes;
    EXPECT_EQ(parsed.head.keep_alive, row.keep_alive) << row.bytes;
    EXPECT_EQ(parsed.head.head_bytes, row.bytes.size());
  }
}

TEST(ResponseHeadTest, LengthIsDroppedWhereItMustNotBe) {
  Parsed parsed = Parse("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n");
  EXPECT_TRUE(parsed.head.hop_by_hop.Contains(0));
  parsed = Parse("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n");
  EXPECT_FALSE(parsed.head.hop_by_hop.Contains(0));
}

TEST(ResponseHeadTest, IdenticalLengthsBecomeOne) {
  const Parsed parsed =
      Parse("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\ncontent-length: 5\r\n\r\n");
  ASSERT_TRUE(parsed.result.done());
  EXPECT_EQ(parsed.head.content_length, 5u);
  EXPECT_FALSE(parsed.head.hop_by_hop.Contains(0));
  EXPECT_FALSE(parsed.head.hop_by_hop.Contains(1));
  EXPECT_TRUE(parsed.head.hop_by_hop.Contains(2));
}

TEST(ResponseHeadTest, SwitchingProtocolsKeepsItsUpgradeField) {
  const std::string_view bytes =
      "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  const Parsed parsed = Parse(bytes, {.upgrade_requested = true});
  ASSERT_TRUE(parsed.result.done());
  EXPECT_TRUE(parsed.head.tunnel);
  EXPECT_FALSE(parsed.head.interim());
  EXPECT_TRUE(parsed.head.hop_by_hop.Contains(0));
  EXPECT_FALSE(parsed.head.hop_by_hop.Contains(1));
  EXPECT_EQ(Parse("HTTP/1.1 101 S\r\n\r\n", {.upgrade_requested = true}).result,
            ParseResult::Reject(502, "101 without Upgrade"));
  // An advertised protocol outside a 101 is between the origin and us.
  EXPECT_TRUE(
      Parse("HTTP/1.1 426 U\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n")
          .head.hop_by_hop.Contains(1));
}

TEST(ResponseHeadTest, ReasonMayBeEmptyOrEightBit) {
  EXPECT_EQ(Parse("HTTP/1.1 200\r\n\r\n").head.reason, "");
  EXPECT_EQ(Parse("HTTP/1.1 200 \r\n\r\n").head.reason, "");
  EXPECT_EQ(Parse("HTTP/1.1 404 Nicht d\xe4\r\n\r\n").head.reason, "Nicht d\xe4");
}

TEST(ResponseHeadTest, TooLargeIsABadGateway) {
  const std::string bytes = "HTTP/1.1 200 OK\r\nX: " + std::string(70000, 'a') + "\r\n\r\n";
  HeadStorage storage;
  ResponseHead head;
  EXPECT_EQ(ParseResponseHead(bytes, {}, {}, storage, &head),
            ParseResult::Reject(502, "head too large"));
}

}  // namespace
}  // namespace whence::http
