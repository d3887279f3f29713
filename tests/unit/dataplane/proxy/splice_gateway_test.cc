// Long bodies and streams through a gateway on loopback, most of their bytes through pipes.
//
// Whether a stream is fast enough for that depends on what else the machine does: each test tries
// until it was (Until), and checks every byte of every try.
#include <atomic>
#include <semaphore>
#include <thread>

#include "gmock/gmock.h"
#include "tests/unit/dataplane/proxy/gateway_fixture.h"

namespace whence::proxy {
namespace {

using access_log::Flag;
using testing::EndsWith;
using testing::StartsWith;

constexpr size_t kSize = (24 << 20) + 4321;  // ends within a pipeful
constexpr int kTries = 50;

std::string Pattern(size_t size) {
  std::string text(size, '\0');
  uint32_t state = 7;
  for (char& c : text) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  return text;
}

class SpliceGatewayTest : public GatewayTest {
 protected:
  // `attempt` again and again until bytes were spliced.
  template <typename Attempt>
  void UntilSpliced(Attempt attempt) {
    for (int i = 0; i < kTries && Count(Counter::kBytesSpliced) == 0; ++i) {
      attempt();
      if (HasFailure()) return;
    }
    EXPECT_GT(Count(Counter::kBytesSpliced), 0u);
  }
  const std::string data_ = Pattern(kSize);
};

std::string Head(size_t size) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n";
}

TEST_F(SpliceGatewayTest, ResponseAndTheOneBehindIt) {
  Origin origin(HttpOrigin([&](const std::string& head, const std::string&) {
    return head.find("/long") == std::string::npos ? Ok("short") : Head(kSize) + data_;
  }));
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  UntilSpliced([&] {
    client.Send("GET /long HTTP/1.1\r\nHost: a\r\n\r\nGET /short HTTP/1.1\r\nHost: a\r\n\r\n");
    const std::string head = client.ReadThrough("\r\n\r\n");
    EXPECT_THAT(head, StartsWith("HTTP/1.1 200"));
    EXPECT_TRUE(client.ReadBytes(kSize) == data_);
    EXPECT_THAT(client.ReadResponse(), EndsWith("short"));
    EXPECT_EQ(NextRecord().bytes_out, head.size() + kSize);
    EXPECT_EQ(NextRecord().flags, 0u);
  });
  EXPECT_EQ(origin.connections(), 1);
}

// What follows a body on its connection is a request, which is judged.
TEST_F(SpliceGatewayTest, RequestBehindABodyIsJudged) {
  std::atomic<int> served = 0;
  Origin origin(HttpOrigin([&](const std::string& head, const std::string& body) {
    ++served;
    EXPECT_THAT(head, StartsWith("POST /up"));
    return Ok(body == data_ ? "same" : "other");
  }));
  Start({.http = {origin.address()}, .policies = {DenyPath("/secret")}});
  int asked = 0;
  WireEnd client = ConnectHttp();
  UntilSpliced([&] {
    ++asked;
    const std::string head =
        "POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(kSize) + "\r\n\r\n";
    client.Send(head + data_ + "GET /secret HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_THAT(client.ReadResponse(), EndsWith("same"));
    EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 403"));
    EXPECT_EQ(NextRecord().bytes_in, head.size() + kSize);
    EXPECT_EQ(NextRecord().decision, access_log::Decision::kDeny);
  });
  EXPECT_EQ(served, asked);
}

TEST_F(SpliceGatewayTest, LongChunks) {
  const std::string chunk = Pattern((3 << 20) + 5);
  std::string body;
  for (int i = 0; i < 8; ++i) body += "000300005;ext=1\r\n" + chunk + "\r\n";
  body.replace(0, 0, "1\r\nx\r\n");
  std::string normal = "1\r\nx\r\n";
  for (int i = 0; i < 8; ++i) normal += "300005\r\n" + chunk + "\r\n";
  Origin origin(HttpOrigin([&](const std::string&, const std::string&) {
    return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + "0\r\n\r\n";
  }));
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  UntilSpliced([&] {
    client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.ReadThrough("\r\n\r\n");
    EXPECT_TRUE(client.ReadBytes(normal.size() + 5) == normal + "0\r\n\r\n");
    NextRecord();
  });
}

TEST_F(SpliceGatewayTest, ResponseThatBreaksOff) {
  Origin origin([&](WireEnd& end) {
    end.ReadThrough("\r\n\r\n");
    end.Send(Head(2 * kSize) + data_);
  });
  Start({.http = {origin.address()}});
  UntilSpliced([&] {
    WireEnd client = ConnectHttp();
    client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.ReadThrough("\r\n\r\n");
    EXPECT_TRUE(client.ReadToEnd() == data_);
    EXPECT_TRUE(NextRecord().Has(Flag::kUpstreamReset));
  });
}

TEST_F(SpliceGatewayTest, ClientThatGoesInTheMiddleOfABody) {
  Origin origin([&](WireEnd& end) {
    const bool whole = end.ReadThrough("\r\n\r\n").find("/whole") != std::string::npos;
    end.Send(Head(whole ? kSize : size_t{1} << 40) + data_);
    while (!whole && Count(Counter::kDownstreamResets) == 0) end.Send(data_);
  });
  options_.workers = 1;
  Start({.http = {origin.address()}});
  UntilSpliced([&] {
    {
      WireEnd client = ConnectHttp();
      client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      client.ReadBytes(kSize);
      client.Reset();
    }
    EXPECT_TRUE(NextRecord().Has(Flag::kDownstreamReset));
    WireEnd client = ConnectHttp();
    client.Send("GET /whole HTTP/1.1\r\nHost: a\r\n\r\n");
    client.ReadThrough("\r\n\r\n");
    EXPECT_TRUE(client.ReadBytes(kSize) == data_);
    client.Close();
    NextRecord();
  });
}

TEST_F(SpliceGatewayTest, StreamBothWaysWithHalfClose) {
  Origin origin([&](WireEnd& end) {
    const bool same = end.ReadToEnd() == data_;  // returns only when the client's end came through
    end.Send(data_ + (same ? "same" : "other"));
  });
  Start({.tcp = {origin.address()}});
  UntilSpliced([&] {
    WireEnd client = ConnectTcp();
    client.Send(data_);
    client.Finish();
    EXPECT_TRUE(client.ReadToEnd() == data_ + "same");
    const access_log::Record record = NextRecord();
    EXPECT_EQ(record.bytes_in, kSize);
    EXPECT_EQ(record.bytes_out, kSize + 4);
    EXPECT_EQ(record.flags, 0u);
  });
}

TEST_F(SpliceGatewayTest, StreamsBothWaysAtOnce) {
  std::counting_semaphore<> taken(0);
  Origin origin([&](WireEnd& end) {
    std::thread writer([&] { end.Send(data_), end.Finish(); });
    EXPECT_TRUE(end.ReadToEnd() == data_);
    writer.join();
    taken.release();
  });
  Start({.tcp = {origin.address()}});
  UntilSpliced([&] {
    WireEnd client = ConnectTcp();
    std::thread writer([&] { client.Send(data_), client.Finish(); });
    EXPECT_TRUE(client.ReadToEnd() == data_);
    writer.join();
    EXPECT_EQ(NextRecord().flags, 0u);
    taken.acquire();  // the agent is done before the server's last bytes are read
  });
}

// A client that takes nothing, and then resets, with a full pipe between it and the server; what
// was in the pipe reaches nobody else.
TEST_F(SpliceGatewayTest, ResetInTheMiddleOfAStream) {
  options_.workers = 1;
  Origin origin([&](WireEnd& end) {
    const bool whole = end.ReadBytes(1) == "w";
    while (whole || Count(Counter::kDownstreamResets) == 0) {
      end.Send(data_);
      if (whole) return;
    }
  });
  Start({.tcp = {origin.address()}});
  UntilSpliced([&] {
    const uint64_t resets = Count(Counter::kDownstreamResets);
    {
      WireEnd client = ConnectTcp();
      client.Send("e");
      client.ReadBytes(kSize);
      client.Reset();
    }
    AwaitCounter(Counter::kDownstreamResets, resets + 1);
    EXPECT_TRUE(NextRecord().Has(Flag::kDownstreamReset));
    WireEnd client = ConnectTcp();
    client.Send("w");
    EXPECT_TRUE(client.ReadToEnd() == data_);
    client.Close();
    EXPECT_EQ(NextRecord().bytes_out, kSize);
  });
}

// The idle timeout ends a stream whose receiver takes nothing, pipe or not.
TEST_F(SpliceGatewayTest, ReceiverThatNeverReadsIsCut) {
  options_.limits.tcp_idle_timeout = std::chrono::milliseconds(200);
  Origin origin([&](WireEnd& end) {
    while (end.connected() && Count(Counter::kIdleTimeouts) == 0) end.Send(data_);
  });
  Start({.tcp = {origin.address()}});
  WireEnd client = ConnectTcp();
  client.Send("x");
  AwaitCounter(Counter::kIdleTimeouts, 1);
  EXPECT_TRUE(NextRecord().Has(Flag::kDownstreamTimeout));
}

}  // namespace
}  // namespace whence::proxy
