// Every bound of limits.h: that it holds, and that its metric says so.
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include <future>

#include "dataplane/os/socket.h"
#include "gmock/gmock.h"
#include "tests/support/await.h"
#include "tests/support/no_descriptors.h"
#include "tests/unit/dataplane/proxy/gateway_fixture.h"

namespace whence::proxy {
namespace {

using access_log::Flag;
using std::chrono::milliseconds;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr std::string_view kGet = "GET /x HTTP/1.1\r\nHost: shop.example\r\n\r\n";

std::string WithFields(int count, size_t value_bytes) {
  std::string head = "GET /x HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < count; ++i) {
    head += "X-" + std::to_string(i) + ": " + std::string(value_bytes, 'v') + "\r\n";
  }
  return head + "\r\n";
}

class LimitsTest : public GatewayTest {
 protected:
  LimitsTest() { options_.workers = 1; }
  Origin ok_{HttpOrigin([](const std::string&, const std::string&) { return Ok("ok"); })};
};

TEST_F(LimitsTest, HeaderBytesAndFields) {
  options_.limits.max_header_bytes = 4096;
  options_.limits.max_header_fields = 20;
  Start({.http = {ok_.address()}});
  const struct {
    std::string request;
    std::string want;
  } kRows[] = {
      {WithFields(19, 10), "HTTP/1.1 200 "},
      {WithFields(20, 10), "HTTP/1.1 431 "},  // with Host: 21
      {WithFields(4, 950), "HTTP/1.1 200 "},
      {WithFields(5, 950), "HTTP/1.1 431 "},
      {"GET /" + std::string(5000, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 414 "},
  };
  for (const auto& row : kRows) {
    WireEnd client = ConnectHttp();
    client.Send(row.request);
    EXPECT_THAT(client.ReadResponse(), StartsWith(row.want)) << row.request.size();
  }
  EXPECT_EQ(Count(Counter::kHeadsOverLimit), 3u);
}

TEST_F(LimitsTest, ResponseHeaderBytes) {
  options_.limits.max_header_bytes = 4096;
  Origin origin(HttpOrigin([](const std::string&, const std::string&) {
    return Ok("x", "X-Long: " + std::string(5000, 'v') + "\r\n");
  }));
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send(kGet);
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 502 "));
  EXPECT_EQ(Count(Counter::kHeadsOverLimit), 1u);
}

// The header timeout is a total: a byte now and then does not extend it.
TEST_F(LimitsTest, SlowlorisMeetsATotalDeadline) {
  options_.limits.header_timeout = milliseconds(300);
  Start({.http = {ok_.address()}});
  std::vector<WireEnd> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(ConnectHttp());
    clients.back().Send("GET / HTTP/1.1\r\nHost: a\r\n");
  }
  const auto began = std::chrono::steady_clock::now();
  // Each sends on, well within any idle time, until all are refused.
  while (Count(Counter::kHeaderTimeouts) < clients.size()) {
    ASSERT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(8));
    for (WireEnd& client : clients) client.Send("X: y\r\n");
    std::this_thread::sleep_for(milliseconds(20));  // the attack's own rhythm
  }
  EXPECT_GE(std::chrono::steady_clock::now() - began, milliseconds(250));
  for (WireEnd& client : clients) {
    EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 408 "));
  }
}

TEST_F(LimitsTest, KeepAliveTimeoutEndsIdleConnections) {
  options_.limits.keep_alive_timeout = milliseconds(50);
  Start({.http = {ok_.address()}});
  WireEnd silent = ConnectHttp();
  WireEnd client = ConnectHttp();
  client.Send(kGet);
  EXPECT_THAT(client.ReadResponse(), EndsWith("ok"));
  EXPECT_TRUE(client.SeesEnd());
  EXPECT_TRUE(silent.SeesEnd());
  EXPECT_EQ(Count(Counter::kKeepAliveTimeouts), 2u);
}

TEST_F(LimitsTest, StreamIdleTimeoutBlamesTheSideThatStalls) {
  options_.limits.stream_idle_timeout = milliseconds(80);
  Origin silent([](WireEnd& end) { end.ReadToEnd(); });
  Start({.http = {silent.address()}});
  WireEnd client = ConnectHttp();
  client.Send(kGet);
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 504 "));
  EXPECT_TRUE(NextRecord().Has(Flag::kUpstreamTimeout));
  WireEnd poster = ConnectHttp();
  poster.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n123");
  EXPECT_THAT(poster.ReadResponse(), StartsWith("HTTP/1.1 408 "));
  EXPECT_TRUE(NextRecord().Has(Flag::kDownstreamTimeout));
  EXPECT_EQ(Count(Counter::kIdleTimeouts), 2u);
  EXPECT_EQ(Count(Counter::kUpstreamTimeouts), 1u);
}

// A client that does not read its answer is the one that stalls.
TEST_F(LimitsTest, ClientThatDoesNotReadIsBlamed) {
  options_.limits.stream_idle_timeout = milliseconds(400);
  const std::string body(30'000'000, 'x');
  Origin origin([&](WireEnd& end) {
    end.ReadThrough("\r\n\r\n");
    end.Send("HTTP/1.1 200 OK\r\nContent-Length: 30000000\r\n\r\n");
    end.Send(body);
    end.ReadToEnd();
  });
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp(/*receive_buffer=*/32 * 1024);
  client.Send(kGet);
  const access_log::Record record = NextRecord();
  EXPECT_TRUE(record.Has(Flag::kDownstreamTimeout));
  EXPECT_FALSE(record.Has(Flag::kUpstreamTimeout));
  EXPECT_GT(Count(Counter::kBufferFullOut), 0u);
}

TEST_F(LimitsTest, RequestBodyBufferIsBounded) {
  std::promise<void> read;
  Origin origin([&](WireEnd& end) {
    end.ReadThrough("\r\n\r\n");
    read.get_future().wait();
    end.ReadBytes(30'000'000);
    end.Send(Ok("ok"));
    end.ReadToEnd();
  });
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  std::thread sender([&] {
    client.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30000000\r\n\r\n");
    client.Send(std::string(30'000'000, 'x'));
  });
  AwaitCounter(Counter::kBufferFullIn, 1);
  read.set_value();
  sender.join();
  EXPECT_THAT(client.ReadResponse(), EndsWith("ok"));
}

// An address that drops SYNs without a word: a listener whose queue is full.
TEST_F(LimitsTest, ConnectTimeoutIs504) {
  options_.limits.connect_timeout = milliseconds(100);
  auto listener = os::Listen(*net::SocketAddress::Parse("127.0.0.1:0"), {.backlog = 1});
  ASSERT_TRUE(listener.ok());
  ASSERT_EQ(os::IgnoreNewConnections(listener->get()), 0);
  Start({.http = {*os::LocalAddress(listener->get())}});
  WireEnd client = ConnectHttp();
  client.Send(kGet);
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 504 "));
  EXPECT_EQ(Count(Counter::kUpstreamConnectTimeouts), 1u);
  EXPECT_TRUE(NextRecord().Has(Flag::kUpstreamTimeout));
}

TEST_F(LimitsTest, ConnectionsAndRequestsPerConnection) {
  options_.limits.max_connections = 2;
  options_.limits.max_requests_per_connection = 2;
  Start({.http = {ok_.address()}});
  WireEnd first = ConnectHttp();
  WireEnd second = ConnectHttp();
  AwaitCounter(Counter::kConnectionsActive, 2);
  EXPECT_TRUE(ConnectHttp().SeesReset());
  EXPECT_EQ(Count(Counter::kOverLimit), 1u);
  first.Send(std::string(kGet) + std::string(kGet));
  EXPECT_THAT(first.ReadResponse(), Not(HasSubstr("connection: close")));
  EXPECT_THAT(first.ReadResponse(), HasSubstr("connection: close"));
  EXPECT_TRUE(first.SeesEnd());
  EXPECT_EQ(Count(Counter::kConnectionsRecycled), 1u);
}

TEST_F(LimitsTest, PoolIsBoundedInNumberAndTime) {
  options_.limits.max_idle_per_endpoint = 1;
  options_.limits.pool_idle_timeout = milliseconds(80);
  std::atomic<int> waiting = 0;
  Origin origin(HttpOrigin([&](const std::string&, const std::string&) {
    ++waiting;
    EXPECT_TRUE(Await([&] { return waiting >= 2; }));  // both at once
    return Ok("ok");
  }));
  Start({.http = {origin.address()}});
  WireEnd a = ConnectHttp();
  WireEnd b = ConnectHttp();
  a.Send(kGet);
  b.Send(kGet);
  EXPECT_THAT(a.ReadResponse(), EndsWith("ok"));
  EXPECT_THAT(b.ReadResponse(), EndsWith("ok"));
  AwaitCounter(Counter::kPoolFull, 1);
  AwaitCounter(Counter::kPoolIdleTimeouts, 1);
}

// Who is refused and goes on sending is cut after a while, and reads nothing but the answer.
TEST_F(LimitsTest, LingeringIsBounded) {
  options_.limits.linger_timeout = milliseconds(80);
  Start({.http = {ok_.address()}});
  WireEnd client = ConnectHttp();
  client.Send("GET / HTTP/1.0\r\nbroken\r\n\r\n");
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 400 "));
  AwaitCounter(Counter::kLingerTimeouts, 1);
  AwaitZero(Counter::kConnectionsActive);
}

TEST_F(LimitsTest, SilenceOnAPortOfUnknownProtocolIsTcp) {
  options_.limits.detection_timeout = milliseconds(50);
  Start({.http = {ok_.address()}});
  auto detecting = std::make_shared<snapshot::Snapshot>(*MakeSnapshot({.http = {ok_.address()}}));
  detecting->listeners[0].protocol = snapshot::Protocol::kDetect;
  ASSERT_TRUE(plane_->Publish(detecting).ok());
  AwaitCounter(Counter::kSnapshots, 2);
  WireEnd client = ConnectHttp();
  AwaitCounter(Counter::kDetectionTimeouts, 1);
  AwaitCounter(Counter::kConnectionsTcp, 1);
}

TEST_F(LimitsTest, FullAcceptQueueIsSeen) {
  options_.limits.listen_backlog = 4;
  Start({.http = {ok_.address()}});
  std::vector<os::UniqueFd> sockets;
  for (int i = 0; i < 12; ++i) {
    sockets.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  }
  {
    // Nobody accepts for want of descriptors, so the queue fills.
    const NoDescriptors shortage(static_cast<rlim_t>(sockets.front().get()));
    const net::SocketAddress to{*net::IpAddress::Parse("127.0.0.1"), http_port_};
    for (const os::UniqueFd& socket : sockets) os::Connect(socket.get(), to);
    AwaitCounter(Counter::kAcceptPaused, 2);
  }
  AwaitCounter(Counter::kAcceptQueueFull, 1);
}

// Out of descriptors the agent waits; it does not spin, and goes on when there are some again.
TEST_F(LimitsTest, ShortageOfDescriptorsCostsNoProcessorTime) {
  Start({.http = {ok_.address()}});
  WireEnd served = ConnectHttp();
  served.Send(kGet);
  EXPECT_THAT(served.ReadResponse(), EndsWith("ok"));
  const auto cpu = [] {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  };
  os::UniqueFd waiting(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  std::optional<NoDescriptors> shortage(std::in_place, static_cast<rlim_t>(waiting.get()));
  ASSERT_EQ(os::Connect(waiting.get(), {*net::IpAddress::Parse("127.0.0.1"), http_port_}), 0);
  WireEnd client(std::move(waiting));
  client.Send(kGet);
  ASSERT_TRUE(Await([&] { return Count(Counter::kAcceptPaused) != 0; }));
  const auto before = cpu();
  const uint64_t pauses = Count(Counter::kAcceptPaused);
  std::this_thread::sleep_for(std::chrono::seconds(1));  // what is measured is this second
  EXPECT_LT(cpu() - before, milliseconds(100)) << "of one second";
  EXPECT_LE(Count(Counter::kAcceptPaused) - pauses, 12u);
  served.Send(kGet);
  EXPECT_THAT(served.ReadResponse(), EndsWith("ok")) << "who is in is served";
  shortage.reset();
  EXPECT_THAT(client.ReadResponse(), EndsWith("ok"));
}

}  // namespace
}  // namespace whence::proxy
