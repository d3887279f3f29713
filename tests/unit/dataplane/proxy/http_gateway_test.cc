// HTTP through a gateway on loopback: what the client and the origin see on the wire.
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <atomic>
#include <future>
#include <mutex>
#include <set>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "dataplane/os/socket.h"
#include "gmock/gmock.h"
#include "tests/support/await.h"
#include "tests/unit/dataplane/proxy/gateway_fixture.h"

namespace whence::proxy {
namespace {

using access_log::Flag;
using access_log::Text;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr std::string_view kGet = "GET /x HTTP/1.1\r\nHost: shop.example\r\n\r\n";

std::string Get(std::string_view path, std::string_view fields = "") {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: shop.example\r\n" + std::string(fields) +
         "\r\n";
}

Origin::Serve EchoPath() {
  return HttpOrigin([](const std::string& head, const std::string&) {
    const size_t at = head.find(' ') + 1;
    return Ok(head.substr(at, head.find(' ', at) - at));
  });
}

class HttpGatewayTest : public GatewayTest {};

TEST_F(HttpGatewayTest, ForwardsAndKeepsBothConnections) {
  Origin origin(HttpOrigin([](const std::string& head, const std::string&) { return Ok(head); }));
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  for (int i = 0; i < 3; ++i) {
    client.Send(kGet);
    const std::string response = client.ReadResponse();
    EXPECT_THAT(response, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(response, HasSubstr("GET /x HTTP/1.1\r\nhost: shop.example\r\n"));
    EXPECT_THAT(response, HasSubstr("x-forwarded-for: "));
    EXPECT_THAT(response, HasSubstr("x-request-id: "));
    EXPECT_THAT(response, Not(HasSubstr("connection: close")));
  }
  EXPECT_EQ(origin.connections(), 1);
  EXPECT_EQ(Count(Counter::kUpstreamReused), 2u);

  const access_log::Record record = NextRecord();
  EXPECT_EQ(record.Get(Text::kMethod), "GET");
  EXPECT_EQ(record.Get(Text::kHost), "shop.example");
  EXPECT_EQ(record.Get(Text::kPath), "/x");
  EXPECT_EQ(record.Get(Text::kReason), "direct-peer");
  EXPECT_EQ(record.Get(Text::kRequestId).size(), 36u);
  EXPECT_EQ(record.status, 200);
  EXPECT_EQ(record.direct_peer, client.local().ip);
  EXPECT_EQ(record.direct_peer_port, client.local().port);
  EXPECT_EQ(record.client_address, client.local().ip);
  EXPECT_EQ(record.destination_port, http_port_);
  EXPECT_EQ(record.bytes_in, kGet.size());
  EXPECT_GT(record.bytes_out, 0u);
  EXPECT_EQ(record.upstream_source, *net::IpAddress::Parse("127.0.0.1"));
  EXPECT_EQ(record.flags, 0u);
}

TEST_F(HttpGatewayTest, AnswersPipelinedRequestsInOrder) {
  Origin origin(EchoPath());
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  std::string requests;
  for (int i = 0; i < 50; ++i) requests += Get("/" + std::to_string(i));
  client.Send(requests);
  for (int i = 0; i < 50; ++i) {
    EXPECT_THAT(client.ReadResponse(), testing::EndsWith("\r\n\r\n/" + std::to_string(i)));
  }
}

TEST_F(HttpGatewayTest, TakesRequestsByteByByte) {
  Origin origin(EchoPath());
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  const std::string request =
      "POST /slow HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n0\r\n\r\n" +
      std::string(kGet);
  for (const char c : request) client.Send({&c, 1});
  EXPECT_THAT(client.ReadResponse(), HasSubstr("/slow"));
  EXPECT_THAT(client.ReadResponse(), HasSubstr("/x"));
}

TEST_F(HttpGatewayTest, PassesChunkedBodiesBothWays) {
  Origin origin(HttpOrigin([](const std::string& head, const std::string& body) {
    EXPECT_THAT(head, HasSubstr("chunked"));
    return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body;
  }));
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  for (int i = 0; i < 2; ++i) {
    client.Send(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "005;name=value\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
    EXPECT_THAT(client.ReadResponse(),
                testing::EndsWith("\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"));
  }
  EXPECT_EQ(origin.connections(), 1);
}

TEST_F(HttpGatewayTest, UnwrapsChunksForHttp10) {
  Origin origin(HttpOrigin([](const std::string&, const std::string&) {
    return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n";
  }));
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  const std::string response = client.ReadToEnd();
  EXPECT_THAT(response, testing::EndsWith("\r\n\r\nhello!"));
  EXPECT_THAT(response, HasSubstr("connection: close\r\n"));
  EXPECT_THAT(response, Not(HasSubstr("ransfer-")));
}

TEST_F(HttpGatewayTest, EndsWithAResponseThatEndsWithItsConnection) {
  Origin origin([](WireEnd& end) {
    end.ReadThrough("\r\n\r\n");
    end.Send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
    end.Close();
  });
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send(kGet);
  const std::string response = client.ReadToEnd();
  EXPECT_THAT(response, testing::EndsWith("\r\n\r\nuntil the end"));
  EXPECT_THAT(response, HasSubstr("connection: close\r\n"));
}

TEST_F(HttpGatewayTest, KnowsWhichResponsesHaveNoBody) {
  Origin origin(HttpOrigin([](const std::string& head, const std::string&) -> std::string {
    if (head.starts_with("HEAD")) return "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    if (head.find("/304") != std::string::npos) {
      return "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n";
    }
    return "HTTP/1.1 204 No Content\r\n\r\n";
  }));
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + Get("/304") + Get("/204"));
  EXPECT_THAT(client.ReadThrough("\r\n\r\n"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(client.ReadThrough("\r\n\r\n"), StartsWith("HTTP/1.1 304"));
  EXPECT_THAT(client.ReadThrough("\r\n\r\n"), StartsWith("HTTP/1.1 204"));
}

TEST_F(HttpGatewayTest, DeniesBeforeAnythingGoesUpstream) {
  Origin origin(EchoPath());
  Start({.http = {origin.address()}, .policies = {DenyPath("/admin")}});
  WireEnd client = ConnectHttp();
  client.Send(Get("/admin?token=secret"));
  const std::string denied = client.ReadResponse();
  EXPECT_THAT(denied, StartsWith("HTTP/1.1 403 Forbidden\r\n"));
  EXPECT_THAT(denied, testing::EndsWith("\r\n\r\nRBAC: access denied"));
  EXPECT_EQ(origin.connections(), 0);

  // The connection serves on.
  client.Send(Get("/ok"));
  EXPECT_THAT(client.ReadResponse(), testing::EndsWith("/ok"));

  const access_log::Record record = NextRecord();
  EXPECT_EQ(record.status, 403);
  EXPECT_EQ(record.decision, access_log::Decision::kDeny);
  EXPECT_EQ(record.Get(Text::kPolicy), "test/deny");
  EXPECT_EQ(record.Get(Text::kPath), "/admin");
  EXPECT_TRUE(record.upstream_source.is_unspecified());
}

// The body of a denied request is either taken off the connection or ends it, but never becomes the
// next request.
TEST_F(HttpGatewayTest, BodyOfADeniedRequestIsNeverTheNextRequest) {
  Origin origin(EchoPath());
  Start({.http = {origin.address()}, .policies = {DenyPath("/admin")}});
  const std::string smuggled(kGet);
  const std::string head =
      "POST /admin HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(smuggled.size()) +
      "\r\n\r\n";
  {
    WireEnd client = ConnectHttp();
    client.Send(head + smuggled + Get("/next"));
    EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 403"));
    const std::string next = client.ReadResponse();
    EXPECT_TRUE(next.empty() || next.ends_with("/next")) << next;
  }
  {
    WireEnd client = ConnectHttp();
    client.Send(head);
    EXPECT_THAT(client.ReadResponse(), HasSubstr("connection: close"));
    client.Send(smuggled);
    EXPECT_EQ(client.ReadToEnd(), "");
  }
}

TEST_F(HttpGatewayTest, RefusesMalformedRequestsAndCloses) {
  Origin origin(EchoPath());
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + std::string(kGet));
  const std::string answers = client.ReadToEnd();
  EXPECT_THAT(answers, StartsWith("HTTP/1.1 400 Bad Request\r\n"));
  EXPECT_THAT(answers, Not(HasSubstr("200 OK")));
  EXPECT_EQ(origin.connections(), 0);
  const access_log::Record record = NextRecord();
  EXPECT_EQ(record.status, 400);
  EXPECT_TRUE(record.Has(Flag::kDownstreamProtocolError));
}

TEST_F(HttpGatewayTest, RefusesABrokenBodyWith400) {
  Origin origin([](WireEnd& end) { end.ReadToEnd(); });
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
  EXPECT_THAT(client.ReadToEnd(), StartsWith("HTTP/1.1 400"));
}

TEST_F(HttpGatewayTest, NoRouteIs404AndNoEndpoint503) {
  Start({});
  WireEnd client = ConnectHttp();
  client.Send(kGet);
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_TRUE(NextRecord().Has(Flag::kNoRoute));

  auto bare = std::make_shared<snapshot::Snapshot>(*MakeSnapshot({}));
  bare->listeners[0].virtual_hosts = snapshot::VirtualHosts();
  ASSERT_TRUE(plane_->Publish(bare).ok());
  AwaitCounter(Counter::kSnapshots, 4);
  client.Send(kGet);
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 404 Not Found\r\n"));
}

TEST_F(HttpGatewayTest, RefusedConnectTriesAnotherEndpointThen503) {
  net::SocketAddress dead;
  {
    Origin gone(EchoPath());
    dead = gone.address();
  }
  Origin origin(EchoPath());
  Start({.http = {dead, origin.address()}});
  WireEnd client = ConnectHttp();
  for (int i = 0; i < 4; ++i) {
    client.Send(kGet);
    EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 200"));
  }
  Publish({.http = {dead}});
  AwaitCounter(Counter::kSnapshots, 4);
  client.Send(kGet);
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 503"));
  for (int i = 0; i < 4; ++i) NextRecord();
  EXPECT_TRUE(NextRecord().Has(Flag::kUpstreamConnectFailed));
}

TEST_F(HttpGatewayTest, UpstreamThatNeverAnswersIs504) {
  options_.limits.stream_idle_timeout = std::chrono::milliseconds(50);
  Origin origin([](WireEnd& end) { end.ReadToEnd(); });
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send(kGet);
  EXPECT_THAT(client.ReadToEnd(), StartsWith("HTTP/1.1 504 Gateway Timeout\r\n"));
  EXPECT_TRUE(NextRecord().Has(Flag::kUpstreamTimeout));
}

// Accepted together with its request, a connection is not watched at first.
TEST_F(HttpGatewayTest, AClientThatLeavesWhileTheOriginThinksIsSeen) {
  std::promise<void> asked;
  Origin origin([&asked](WireEnd& end) {
    end.ReadThrough("\r\n\r\n");
    asked.set_value();
    EXPECT_EQ(end.ReadToEnd(), "") << "the origin is told, and need not think on";
  });
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send(kGet);
  asked.get_future().wait();
  client.Reset();
  AwaitCounter(Counter::kDownstreamResets, 1);
  EXPECT_TRUE(NextRecord().Has(Flag::kDownstreamReset));
}

TEST_F(HttpGatewayTest, HeadThatDoesNotArriveInTimeIs408) {
  options_.limits.header_timeout = std::chrono::milliseconds(50);
  Start({});
  WireEnd client = ConnectHttp();
  client.Send("GET / HTTP/1.1\r\nHost:");
  EXPECT_THAT(client.ReadToEnd(), StartsWith("HTTP/1.1 408 Request Timeout\r\n"));
  EXPECT_TRUE(NextRecord().Has(Flag::kDownstreamTimeout));
}

TEST_F(HttpGatewayTest, BadResponsesAre502) {
  std::atomic<size_t> turn = 0;
  const std::vector<std::string> responses = {
      "HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nhello", "no http\r\n\r\n",
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX: cut", ""};
  Origin origin([&](WireEnd& end) {
    end.ReadThrough("\r\n\r\n");
    end.Send(responses[turn]);
    end.Close();
  });
  Start({.http = {origin.address()}});
  for (; turn < responses.size(); ++turn) {
    WireEnd client = ConnectHttp();
    client.Send(kGet);
    EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 502 Bad Gateway\r\n"))
        << responses[turn];
    const access_log::Record record = NextRecord();
    EXPECT_EQ(record.status, 502);
    EXPECT_TRUE(record.Has(Flag::kUpstreamProtocolError) || record.Has(Flag::kUpstreamReset));
  }
}

TEST_F(HttpGatewayTest, BrokenOffResponseIsSeenAsSuch) {
  struct Case {
    std::string head;
    bool reset;
  };
  std::atomic<int> turn = 0;
  const std::vector<Case> cases = {
      {"Content-Length: 100\r\n\r\nshort", false},
      {"Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n", false},
      {"Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\nzz\r\n", false},
      {"\r\nshort", true}};
  Origin origin([&](WireEnd& end) {
    end.ReadThrough("\r\n\r\n");
    const Case& now = cases[static_cast<size_t>(turn)];
    end.Send("HTTP/1.1 200 OK\r\n" + now.head);
    if (now.reset) {
      end.Reset();
    } else {
      end.Close();
    }
  });
  Start({.http = {origin.address()}});
  for (; turn < static_cast<int>(cases.size()); ++turn) {
    WireEnd client = ConnectHttp();
    client.Send(kGet);
    const std::string got = client.ReadToEnd();
    EXPECT_THAT(got, Not(HasSubstr("\r\n0\r\n\r\n"))) << "no last chunk may be invented";
    // The reset may overtake the head: then the client sees a 502 or a reset, never a whole answer.
    if (!cases[static_cast<size_t>(turn)].reset) {
      EXPECT_THAT(got, HasSubstr("short"));
    }
    const access_log::Record record = NextRecord();
    EXPECT_TRUE(record.Has(Flag::kUpstreamReset) || record.Has(Flag::kUpstreamProtocolError));
  }
}

TEST_F(HttpGatewayTest, UnaskedBytesSpoilTheUpstreamConnection) {
  std::atomic<int> served = 0;
  Origin origin([&](WireEnd& end) {
    while (!end.ReadThrough("\r\n\r\n").empty()) {
      ++served;
      end.Send(Ok("right") + Ok("wrong"));
    }
  });
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  for (int i = 0; i < 5; ++i) {
    client.Send(kGet);
    EXPECT_THAT(client.ReadResponse(), testing::EndsWith("right"));
  }
  EXPECT_EQ(origin.connections(), 5);
}

TEST_F(HttpGatewayTest, StaleConnectionIsReplacedOnceForSafeRequests) {
  // Answers one request, then ends without a word when the second comes.
  Origin origin([](WireEnd& end) {
    end.ReadThrough("\r\n\r\n");
    end.Send(Ok("first"));
    end.ReadThrough("\r\n\r\n");
    end.Close();
  });
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send(kGet);
  EXPECT_THAT(client.ReadResponse(), testing::EndsWith("first"));
  client.Send(kGet);
  EXPECT_THAT(client.ReadResponse(), testing::EndsWith("first"));
  EXPECT_EQ(origin.connections(), 2);
  EXPECT_EQ(Count(Counter::kUpstreamRetries), 1u);

  client.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 502"));
}

TEST_F(HttpGatewayTest, EarlyResponseReachesAClientThatStillSends) {
  Origin origin([](WireEnd& end) {
    end.ReadThrough("\r\n\r\n");
    end.Send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig");
    end.Close();
  });
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n" +
              std::string(200'000, 'x'));
  const std::string response = client.ReadResponse();
  EXPECT_THAT(response, StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(response, HasSubstr("connection: close"));
}

TEST_F(HttpGatewayTest, PassesExpectAndInterimResponses) {
  Origin origin([](WireEnd& end) {
    const std::string head = end.ReadThrough("\r\n\r\n");
    EXPECT_THAT(head, HasSubstr("Expect: 100-continue"));
    end.Send("HTTP/1.1 100 Continue\r\n\r\n");
    EXPECT_EQ(end.ReadBytes(4), "body");
    end.Send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + Ok("done"));
    end.ReadToEnd();
  });
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  EXPECT_EQ(client.ReadThrough("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send("body");
  EXPECT_THAT(client.ReadThrough("\r\n\r\n"), StartsWith("HTTP/1.1 103 "));
  EXPECT_THAT(client.ReadResponse(), testing::EndsWith("done"));
}

// Servers merge, decode and cut paths in orders of their own: what was judged is what they get.
TEST_F(HttpGatewayTest, ServesThePathThatWasJudged) {
  Origin origin([](WireEnd& end) {
    for (int i = 0; i < 2; ++i) {
      end.Send(Ok(end.ReadThrough("\r\n\r\n")));
    }
  });
  Start({.http = {origin.address()}, .policies = {DenyPath("/secret")}});
  WireEnd client = ConnectHttp();
  client.Send(Get("/x//../admin%2Fy?q=//%2F"));
  EXPECT_THAT(client.ReadResponse(), HasSubstr("GET /x/admin/y?q=//%2F HTTP/1.1\r\n"));
  client.Send(Get("/a/..%2fsecret"));
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 403 "));
  Publish({.http = {origin.address()}});  // nobody looks at paths: they are the application's
  AwaitCounter(Counter::kSnapshots, 4);
  client.Send(Get("/x//../admin%2Fy"));
  EXPECT_THAT(client.ReadResponse(), HasSubstr("GET /x//../admin%2Fy HTTP/1.1\r\n"));
}

TEST_F(HttpGatewayTest, NewPolicyRefusesARequestUnderWay) {
  std::promise<void> arrived;
  Origin origin([&](WireEnd& end) {
    end.ReadThrough("\r\n\r\n");
    arrived.set_value();
    end.ReadToEnd();
  });
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send(Get("/slow"));
  arrived.get_future().wait();
  Publish({.http = {origin.address()}});  // still allowed: it goes on
  AwaitCounter(Counter::kSnapshots, 4);
  EXPECT_EQ(Count(Counter::kConnectionsActive), 1u);
  Publish({.http = {origin.address()}, .policies = {DenyEverything()}});
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 403 "));
  const access_log::Record record = NextRecord();
  EXPECT_TRUE(record.Has(Flag::kPolicyClosed));
  EXPECT_EQ(record.decision, access_log::Decision::kDeny);
}

// Part of the answer is out: nothing but the end of the connection can say that it is over.
TEST_F(HttpGatewayTest, NewPolicyCutsAResponseUnderWay) {
  Origin origin([](WireEnd& end) {
    end.ReadThrough("\r\n\r\n");
    end.Send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nfirst");
    end.ReadToEnd();
  });
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send(Get("/events"));
  client.ReadThrough("first");
  Publish({.http = {origin.address()}, .policies = {DenyEverything()}});
  EXPECT_TRUE(client.SeesReset());
  EXPECT_TRUE(NextRecord().Has(Flag::kPolicyClosed));
}

TEST_F(HttpGatewayTest, UpgradeBecomesARelay) {
  Origin origin([](WireEnd& end) {
    const std::string head = end.ReadThrough("\r\n\r\n");
    EXPECT_THAT(head, HasSubstr("connection: upgrade\r\n"));
    end.Send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat\r\nConnection: upgrade\r\n\r\nhi");
    end.Send(end.ReadBytes(5));
    end.Finish();
    end.ReadToEnd();
  });
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send(Get("/chat", "Connection: Upgrade\r\nUpgrade: chat\r\n") + "hel");
  const std::string head = client.ReadThrough("\r\n\r\n");
  EXPECT_THAT(head, StartsWith("HTTP/1.1 101 "));
  EXPECT_THAT(head, HasSubstr("Upgrade: chat\r\n"));
  EXPECT_EQ(client.ReadBytes(2), "hi");
  client.Send("lo");
  EXPECT_EQ(client.ReadToEnd(), "hello");
  client.Close();
  const access_log::Record record = NextRecord();
  EXPECT_EQ(record.status, 101);
  EXPECT_TRUE(record.Has(Flag::kUpgrade));
}

TEST_F(HttpGatewayTest, NewPolicyClosesTunnels) {
  Origin origin([](WireEnd& end) {
    end.ReadThrough("\r\n\r\n");
    end.Send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat\r\nConnection: upgrade\r\n\r\n");
    end.ReadToEnd();
  });
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send(Get("/chat", "Connection: Upgrade\r\nUpgrade: chat\r\n"));
  client.ReadThrough("\r\n\r\n");
  AwaitCounter(Counter::kUpgrades, 1);
  Publish({.http = {origin.address()}, .policies = {DenyPath("/chat")}});
  EXPECT_TRUE(client.SeesReset());
  EXPECT_TRUE(NextRecord().Has(Flag::kPolicyClosed));
}

// Much towards a client that does not read at first: memory stays bounded by what sockets, two
// buffers and a pipe hold, which shows in how much the origin could send. Most of that is what the
// kernel lets its receive buffers grow to (tcp_rmem: 6 to 32 MB).
TEST_F(HttpGatewayTest, SlowReaderSlowsTheOrigin) {
  constexpr size_t kSize = 128 << 20;
  std::atomic<size_t> sent = 0;
  Origin origin([&](WireEnd& end) {
    end.ReadThrough("\r\n\r\n");
    end.Send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kSize) + "\r\n\r\n");
    const std::string piece(1 << 16, 'z');
    for (size_t i = 0; i < kSize / piece.size(); ++i) {
      end.Send(piece);
      sent += piece.size();
    }
    end.ReadToEnd();
  });
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp(/*receive_buffer=*/32 * 1024);
  client.Send(kGet);
  EXPECT_THAT(client.ReadThrough("\r\n\r\n"), StartsWith("HTTP/1.1 200"));
  // The origin's progress comes to a standstill although nobody told it to wait.
  size_t before;
  do {
    before = sent;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // a standstill cannot be awaited
  } while (sent != before);
  EXPECT_LT(sent, kSize / 2);
  EXPECT_EQ(client.ReadBytes(kSize), std::string(kSize, 'z'));
}

// A reset drops what the kernel has not sent yet: it has to wait until the client had all there
// was.
TEST_F(HttpGatewayTest, CloseDelimitedResponseThatBreaksOffArrivesAsFarAsItCame) {
  const std::string body(400'000, 'b');
  Origin origin([&](WireEnd& end) {
    end.ReadThrough("\r\n\r\n");
    end.Send("HTTP/1.1 200 OK\r\n\r\n" + body);
    int unread = 1;  // by the agent's kernel
    while (unread > 0) ASSERT_EQ(::ioctl(end.fd(), SIOCOUTQ, &unread), 0);
    end.Reset();
  });
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp(/*receive_buffer=*/32 * 1024);
  client.Send(kGet);
  EXPECT_TRUE(NextRecord().Has(Flag::kUpstreamReset));
  client.ReadThrough("\r\n\r\n");
  EXPECT_EQ(client.ReadBytes(body.size()), body);
  EXPECT_TRUE(client.SeesReset());
}

// And a client that takes nothing does not keep it waiting for ever.
TEST_F(HttpGatewayTest, CloseDelimitedResponseThatBreaksOffWaitsForNobody) {
  options_.limits.linger_timeout = std::chrono::milliseconds(50);
  Origin origin([&](WireEnd& end) {
    end.ReadThrough("\r\n\r\n");
    end.Send("HTTP/1.1 200 OK\r\n\r\n" + std::string(400'000, 'b'));
    int unread = 1;
    while (unread > 0) ASSERT_EQ(::ioctl(end.fd(), SIOCOUTQ, &unread), 0);
    end.Reset();
  });
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp(/*receive_buffer=*/32 * 1024);
  client.Send(kGet);
  AwaitCounter(Counter::kLingerTimeouts, 1);
  AwaitZero(Counter::kConnectionsActive);
}

TEST_F(HttpGatewayTest, BigRequestBodyArrivesWhole) {
  const std::string body(5 << 20, 'b');
  Origin origin(HttpOrigin([&](const std::string&, const std::string& got) {
    return Ok(got == body ? "same" : "other");
  }));
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) +
              "\r\n\r\n");
  client.Send(body);
  EXPECT_THAT(client.ReadResponse(), testing::EndsWith("same"));
}

TEST_F(HttpGatewayTest, NextRequestIsJudgedByTheNewSnapshot) {
  Origin origin(EchoPath());
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send(kGet);
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 200"));
  Publish({.http = {origin.address()}, .policies = {DenyPath("/x")}});
  AwaitCounter(Counter::kSnapshots, 4);
  client.Send(kGet);
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 403"));
  Publish({.http = {origin.address()}});
  AwaitCounter(Counter::kSnapshots, 6);
  client.Send(kGet);
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 200"));
}

// A hundred snapshots, alternately closed and open, while clients keep asking: every answer is one
// of the two, and none is lost.
TEST_F(HttpGatewayTest, SnapshotsChangeUnderTraffic) {
  Origin origin(EchoPath());
  Start({.http = {origin.address()}});
  std::atomic<bool> stop = false;
  std::atomic<int> answers = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&] {
      while (!stop) {
        WireEnd client = ConnectHttp();
        for (int k = 0; k < 20; ++k) {
          client.Send(kGet);
          const std::string response = client.ReadResponse();
          EXPECT_TRUE(response.starts_with("HTTP/1.1 200") || response.starts_with("HTTP/1.1 403"))
              << response;
          ++answers;
        }
      }
    });
  }
  for (int i = 0; i < 100; ++i) {
    const int before = answers;
    Publish(
        {.http = {origin.address()},
         .policies = i % 2 == 0 ? std::vector{DenyPath("/x")} : std::vector<policy::PolicySpec>()});
    ASSERT_TRUE(Await([&] { return answers != before; }));
  }
  stop = true;
  for (std::thread& client : clients) client.join();
  EXPECT_GT(Count(Counter::kRequestsDenied), 0u);
  EXPECT_GT(Count(Counter::kRequestsAllowed), 0u);
  EXPECT_EQ(Count(Counter::kSnapshots), 202u);
}

// Fault 55.
TEST_F(HttpGatewayTest, SecretsDoNotReachTheLog) {
  Origin origin(HttpOrigin([](const std::string& head, const std::string&) { return Ok(head); }));
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  for (const std::string target : {"/x?token=hush", "http://shop.example/x?token=hush"}) {
    client.Send("GET " + target +
                " HTTP/1.1\r\nHost: shop.example\r\nAuthorization: Bearer hush\r\n"
                "Cookie: session=hush\r\nProxy-Authorization: hush\r\nX-Api-Key: hush\r\n\r\n");
    EXPECT_THAT(client.ReadResponse(), HasSubstr("GET /x?token=hush "));
    const access_log::Record record = NextRecord();
    EXPECT_EQ(record.Get(Text::kPath), "/x");
    const std::string_view bytes(reinterpret_cast<const char*>(&record), record.used_bytes());
    EXPECT_EQ(bytes.find("hush"), std::string_view::npos);
  }
  Publish({.http = {origin.address()}, .keep_query = true});
  AwaitCounter(Counter::kSnapshots, 2 * static_cast<uint64_t>(options_.workers));
  client.Send("GET /x?token=hush HTTP/1.1\r\nHost: shop.example\r\nCookie: session=silent\r\n\r\n");
  client.ReadResponse();
  const access_log::Record record = NextRecord();
  EXPECT_EQ(record.Get(Text::kPath), "/x?token=hush");
  const std::string_view bytes(reinterpret_cast<const char*>(&record), record.used_bytes());
  EXPECT_EQ(bytes.find("silent"), std::string_view::npos);
}

TEST_F(HttpGatewayTest, DrainLetsTheRequestUnderWayFinish) {
  options_.workers = 1;
  options_.limits.drain_idle_timeout = std::chrono::milliseconds(50);
  std::promise<void> asked, answer;
  Origin origin([&](WireEnd& end) {
    end.ReadThrough("\r\n\r\n");
    asked.set_value();
    answer.get_future().wait();
    end.Send(Ok("finished"));
    end.ReadToEnd();
  });
  Start({.http = {origin.address()}});
  WireEnd idle = ConnectHttp();
  WireEnd client = ConnectHttp();
  client.Send(kGet);
  asked.get_future().wait();
  AwaitCounter(Counter::kConnectionsActive, 2);
  std::thread drain([&] { plane_->Drain(std::chrono::seconds(10)); });
  EXPECT_TRUE(idle.SeesEnd());
  answer.set_value();
  const std::string response = client.ReadToEnd();
  EXPECT_THAT(response, HasSubstr("connection: close\r\n"));
  EXPECT_THAT(response, testing::EndsWith("finished"));
  drain.join();
  EXPECT_EQ(Count(Counter::kConnectionsActive), 0u);
  EXPECT_FALSE(ConnectHttp().connected());
}

// Clients that open a connection per request, across a drain: each is served or refused at once,
// but none that was connected goes without an answer.
TEST_F(HttpGatewayTest, DrainAnswersEveryoneWhoGotIn) {
  Origin origin(EchoPath());
  Start({.http = {origin.address()}});
  std::atomic<int> answered = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&] {
      while (true) {
        WireEnd client = ConnectHttp();
        if (!client.connected()) return;
        client.Send(Get("/in", "Connection: close\r\n"));
        EXPECT_THAT(client.ReadToEnd(), testing::EndsWith("/in"));
        ++answered;
      }
    });
  }
  ASSERT_TRUE(Await([&] { return answered >= 200; }));
  plane_->Drain(std::chrono::seconds(10));
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(Count(Counter::kConnectionsActive), 0u);
  EXPECT_EQ(Count(Counter::kDownstreamResets), 0u);
}

// Clients that keep their connections, across a drain: none loses a request, because none is told
// of the end but by a response.
TEST_F(HttpGatewayTest, DrainFailsNoRequestOfKeptConnections) {
  Origin origin(EchoPath());
  Start({.http = {origin.address()}});
  std::atomic<int> answered = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&] {
      WireEnd client = ConnectHttp();
      while (true) {
        client.Send("POST /kept HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        const std::string response = client.ReadResponse();
        ASSERT_THAT(response, testing::EndsWith("/kept"));
        ++answered;
        if (response.find("connection: close") != std::string::npos) break;
      }
      EXPECT_TRUE(client.SeesEnd());
    });
  }
  ASSERT_TRUE(Await([&] { return answered >= 400; }));
  plane_->Drain(std::chrono::seconds(10));
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(Count(Counter::kConnectionsActive), 0u);
  EXPECT_EQ(Count(Counter::kDownstreamResets), 0u);
}

// Whom the kernel let in before the drain is served if there is a request, and sent away if not.
TEST_F(HttpGatewayTest, DrainEndsTheSilentOnesItStillAccepts) {
  options_.workers = 1;
  options_.limits.drain_idle_timeout = std::chrono::milliseconds(50);
  Origin origin(EchoPath());
  Start({.http = {origin.address()}});
  WireEnd client = WaitAtHttp(kGet);
  WireEnd silent = ConnectHttp();
  plane_->Drain(std::chrono::seconds(10));
  EXPECT_THAT(client.ReadToEnd(), StartsWith("HTTP/1.1 200"));
  EXPECT_TRUE(silent.SeesEnd()) << "at the deadline it would be reset";
}

// Without a free descriptor accepting would fail for ever, at full speed. It pauses, and goes on.
TEST_F(HttpGatewayTest, ShortageOfDescriptorsPausesAccepting) {
  Origin origin(EchoPath());
  options_.workers = 1;
  Start({.http = {origin.address()}});
  WireEnd served = ConnectHttp();
  served.Send(kGet);
  EXPECT_THAT(served.ReadResponse(), StartsWith("HTTP/1.1 200"));

  os::UniqueFd waiting(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{static_cast<rlim_t>(waiting.get()), before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  ASSERT_EQ(os::Connect(waiting.get(), {*net::IpAddress::Parse("127.0.0.1"), http_port_}), 0);
  WireEnd client(std::move(waiting));
  client.Send(kGet);
  AwaitCounter(Counter::kAcceptPaused, 2);
  served.Send(kGet);  // open connections go on
  EXPECT_THAT(served.ReadResponse(), StartsWith("HTTP/1.1 200"));
  EXPECT_LT(Count(Counter::kAcceptPaused), 100u) << "a pause is no busy loop";
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpGatewayTest, StopLeavesARecordOfWhatItCuts) {
  std::promise<void> asked;
  Origin origin([&](WireEnd& end) {
    end.ReadThrough("\r\n\r\n");
    asked.set_value();
    end.ReadToEnd();
  });
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send(kGet);
  asked.get_future().wait();
  plane_->Stop();
  EXPECT_TRUE(client.SeesReset());
  EXPECT_TRUE(NextRecord().Has(Flag::kDrained));
}

TEST_F(HttpGatewayTest, ConnectionLimitResetsWhatIsTooMuch) {
  options_.workers = 1;
  options_.limits.max_connections = 2;
  Start({});
  WireEnd first = ConnectHttp();
  WireEnd second = ConnectHttp();
  AwaitCounter(Counter::kConnectionsActive, 2);
  WireEnd third = ConnectHttp();
  EXPECT_TRUE(third.SeesReset());
  EXPECT_EQ(Count(Counter::kOverLimit), 1u);
}

TEST_F(HttpGatewayTest, LastAllowedRequestClosesTheConnection) {
  options_.limits.max_requests_per_connection = 2;
  Origin origin(EchoPath());
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send(std::string(kGet) + std::string(kGet) + std::string(kGet));
  EXPECT_THAT(client.ReadResponse(), Not(HasSubstr("connection: close")));
  EXPECT_THAT(client.ReadResponse(), HasSubstr("connection: close"));
  EXPECT_EQ(client.ReadToEnd(), "");
}

TEST_F(HttpGatewayTest, PortThatIsTakenRefusesTheSnapshotWhole) {
  Start({});
  const auto taken = MakeSnapshot({});
  auto next = std::make_shared<snapshot::Snapshot>(*taken);
  Origin other(EchoPath());
  next->listeners.push_back({.port = other.address().port, .protocol = snapshot::Protocol::kHttp});
  const absl::Status published = plane_->Publish(next);
  EXPECT_THAT(std::string(published.message()), HasSubstr("Address already in use"));
  EXPECT_NE(plane_->current(), next);
  EXPECT_TRUE(ConnectHttp().connected());
}

TEST_F(HttpGatewayTest, ListenersComeAndGoWithSnapshots) {
  Start({});
  auto without = std::make_shared<snapshot::Snapshot>(*MakeSnapshot({}));
  without->listeners.erase(without->listeners.begin());
  ASSERT_TRUE(plane_->Publish(without).ok());
  AwaitCounter(Counter::kSnapshots, 4);
  EXPECT_FALSE(ConnectHttp().connected());
  Publish({});
  AwaitCounter(Counter::kSnapshots, 6);
  EXPECT_TRUE(ConnectHttp().connected());
}

TEST_F(HttpGatewayTest, RouteBackToItselfIsRefused) {
  Start({.http = {{*net::IpAddress::Parse("127.0.0.1"), http_port_}}});
  WireEnd client = ConnectHttp();
  client.Send(kGet);
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 503"));
  EXPECT_EQ(Count(Counter::kLoops), 1u);
}

// ---- Judged again ----

// A connection that waits for its next request and may ask nothing any more.
TEST_F(HttpGatewayTest, ANewRevisionClosesAnIdleConnectionThatItDenies) {
  Origin origin(EchoPath());
  Start({.http = {origin.address()}, .policies = {DenyPath("/other")}});
  WireEnd client = ConnectHttp();
  client.Send(kGet);
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 200"));
  NextRecord();
  // What does not concern every request leaves the connection as it is.
  Publish({.http = {origin.address()}, .policies = {DenyPath("/x")}});
  AwaitCounter(Counter::kSnapshots, 4);
  client.Send(kGet);
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 403"));
  NextRecord();

  const auto begin = std::chrono::steady_clock::now();
  Publish({.http = {origin.address()}, .policies = {DenyEverything()}});
  EXPECT_TRUE(client.SeesEnd());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
  const access_log::Record record = NextRecord();
  EXPECT_TRUE(record.Has(Flag::kPolicyClosed));
  EXPECT_EQ(record.decision, access_log::Decision::kDeny);
  EXPECT_EQ(record.Get(access_log::Text::kPolicy), "test/closed");
  EXPECT_EQ(origin.connections(), 1);
}

// What it may still ask is not known before it asks: no revision that leaves it anything closes it.
TEST_F(HttpGatewayTest, ANewRevisionLeavesAnIdleConnectionThatMayStillAskSomething) {
  Origin origin(EchoPath());
  policy::PolicySpec all_but_one = DenyEverything();
  all_but_one.rules[0].to = {policy::Operation{.not_paths = {"/x"}}};
  policy::PolicySpec only_one = DenyEverything();
  only_one.name = "only";
  only_one.action = policy::Action::kAllow;
  only_one.rules[0].to = {policy::Operation{.paths = {"/x"}}};
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send(kGet);
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 200"));
  Publish({.http = {origin.address()}, .policies = {all_but_one, only_one}});
  AwaitCounter(Counter::kSnapshots, 4);
  client.Send(kGet);
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(Count(Counter::kPolicyClosed), 0u);
}

// A proxy that is trusted to name clients has idle connections too; they are nobody's yet.
TEST_F(HttpGatewayTest, ANewRevisionLeavesTheIdleConnectionsOfAProxy) {
  Origin origin(EchoPath());
  topology_.num_trusted_proxies = 1;
  policy::PolicySpec grant = DenyEverything();
  grant.action = policy::Action::kAllow;
  grant.rules[0].from = {policy::Source{.remote_ip_blocks = {"2.2.2.2"}}};
  policy::PolicySpec denial = DenyEverything();
  denial.rules[0].from = {policy::Source{.ip_blocks = {"127.0.0.1"}}};
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send(kGet);
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 200"));
  NextRecord();
  Publish({.http = {origin.address()}, .policies = {grant}});
  AwaitCounter(Counter::kSnapshots, 4);
  client.Send(Get("/x", "X-Forwarded-For: 2.2.2.2\r\n"));
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 200"));
  NextRecord();
  Publish({.http = {origin.address()}, .policies = {denial}});
  EXPECT_TRUE(client.SeesEnd()) << "but the proxy itself may be denied";
  EXPECT_TRUE(NextRecord().Has(Flag::kPolicyClosed));
}

TEST_F(HttpGatewayTest, TheEndOfAGrantClosesIdleConnections) {
  Origin origin(EchoPath());
  const policy::PolicySpec grant = Ending(policy::Action::kAllow, std::chrono::milliseconds(700));
  Start({.http = {origin.address()}, .policies = {grant}});
  WireEnd client = ConnectHttp();
  client.Send(kGet);
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 200")) << "let in before its end";
  NextRecord();
  EXPECT_TRUE(client.SeesEnd());
  absl::Time end;
  ASSERT_TRUE(absl::ParseTime(absl::RFC3339_full, grant.expires, &end, nullptr));
  EXPECT_GE(absl::Now(), end);
  EXPECT_LT(absl::Now(), end + absl::Seconds(1));
  const access_log::Record record = NextRecord();
  EXPECT_TRUE(record.Has(Flag::kPolicyClosed));
  EXPECT_EQ(record.decision, access_log::Decision::kDeny);
}

// The origin has the request and has not answered: the client gets its 403 within a second.
TEST_F(HttpGatewayTest, ANewRevisionEndsTheRequestUnderWay) {
  std::promise<void> asked;
  Origin origin([&](WireEnd& end) {
    end.ReadThrough("\r\n\r\n");
    asked.set_value();
    end.ReadToEnd();
  });
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send(kGet);
  asked.get_future().wait();
  const auto begin = std::chrono::steady_clock::now();
  Publish({.http = {origin.address()}, .policies = {DenyPath("/x")}});
  EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 403"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
  const access_log::Record record = NextRecord();
  EXPECT_TRUE(record.Has(Flag::kPolicyClosed));
  EXPECT_EQ(record.status, 403u);
  EXPECT_EQ(record.decision, access_log::Decision::kDeny);
}

TEST_F(HttpGatewayTest, ANewRevisionResetsTheTunnelThatItDenies) {
  std::promise<bool> origin_saw;
  Origin origin([&](WireEnd& end) {
    end.ReadThrough("\r\n\r\n");
    end.Send(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n");
    end.Send(end.ReadBytes(4));
    origin_saw.set_value(end.SeesReset());
  });
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send(Get("/socket", "Connection: Upgrade\r\nUpgrade: websocket\r\n"));
  EXPECT_THAT(client.ReadThrough("\r\n\r\n"), StartsWith("HTTP/1.1 101"));
  client.Send("ping");
  EXPECT_EQ(client.ReadBytes(4), "ping");
  const auto begin = std::chrono::steady_clock::now();
  Publish({.http = {origin.address()}, .policies = {DenyPath("/socket")}});
  EXPECT_TRUE(client.SeesReset());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
  EXPECT_TRUE(origin_saw.get_future().get());
  const access_log::Record record = NextRecord();
  EXPECT_TRUE(record.Has(Flag::kPolicyClosed));
  EXPECT_EQ(record.decision, access_log::Decision::kDeny);
}

// ---- One revision, whole ----

// Under load, revisions change as fast as they can. Two policies always change together: one of
// them denies /never, the other nothing, and the next revision has it the other way round. So
// /never is denied in every revision, and let in only by a mixture of two. Beside it a third policy
// denies /red in every other revision: what was denied must not have arrived at the origin.
TEST_F(HttpGatewayTest, NoDecisionIsTornAndNoDeniedRequestReachesTheOrigin) {
  constexpr auto kLoad = std::chrono::seconds(3);
  std::mutex mutex;
  std::set<std::string> arrived;  // by the number that each request carries in its path
  std::vector<std::string> never;
  Origin origin(HttpOrigin([&](const std::string& head, const std::string&) {
    const size_t number = head.find("?n=");
    const std::lock_guard lock(mutex);
    if (head.starts_with("GET /never")) never.push_back(head);
    arrived.insert(head.substr(number, head.find(' ', number) - number));
    return Ok("in");
  }));
  const auto revision = [&](bool odd) {
    policy::PolicySpec first = DenyPath(odd ? "/never" : "/nothing");
    policy::PolicySpec second = DenyPath(odd ? "/nothing" : "/never");
    policy::PolicySpec third = DenyPath(odd ? "/red" : "/nothing");
    first.name = "first";
    second.name = "second";
    third.name = "third";
    return Setup{.http = {origin.address()}, .policies = {first, second, third}};
  };
  Start(revision(true));
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> served = 0, denied = 0;
  std::vector<std::string> refused;  // numbers of requests answered with 403
  std::vector<std::thread> clients;
  for (int c = 0; c < 4; ++c) {
    clients.emplace_back([&, c] {
      std::vector<std::string> mine;
      for (uint64_t i = 0; !stop; ++i) {
        WireEnd client = ConnectHttp();
        for (int k = 0; k < 50 && !stop; ++k) {
          const std::string number = "?n=" + std::to_string(c) + "." + std::to_string(i * 50 + k);
          const char* path = k % 3 == 0 ? "/never" : k % 3 == 1 ? "/red" : "/always";
          client.Send(Get(path + number));
          const std::string response = client.ReadResponse();
          if (k % 3 == 0) {
            EXPECT_TRUE(response.starts_with("HTTP/1.1 403")) << response;
          } else if (k % 3 == 2) {
            EXPECT_TRUE(response.starts_with("HTTP/1.1 200")) << response;
          }
          if (response.starts_with("HTTP/1.1 403")) {
            mine.push_back(number);
            ++denied;
          } else {
            EXPECT_TRUE(response.starts_with("HTTP/1.1 200")) << response;
            ++served;
          }
          if (response.empty()) return;
        }
      }
      const std::lock_guard lock(mutex);
      refused.insert(refused.end(), mine.begin(), mine.end());
    });
  }
  const auto until = std::chrono::steady_clock::now() + kLoad;
  uint64_t revisions = 0;
  while (std::chrono::steady_clock::now() < until) {
    Publish(revision(++revisions % 2 == 0));
    AwaitCounter(Counter::kSnapshots, 2 * (revisions + 1));
    access_log::Record record;
    for (const auto& ring : rings_) {  // or they run full
      while (ring->TryPop(&record)) {
        if (record.Get(Text::kPath).starts_with("/never")) {
          EXPECT_EQ(record.decision, access_log::Decision::kDeny);
        }
      }
    }
  }
  stop = true;
  for (std::thread& client : clients) client.join();
  EXPECT_GT(revisions, 50u);
  EXPECT_GT(served, 100u);
  EXPECT_GT(denied, 100u);
  const std::lock_guard lock(mutex);
  // A request under way that a revision ended had been let in by the one before. No other arrived.
  size_t both = 0;
  for (const std::string& number : refused) both += arrived.count(number);
  EXPECT_LE(both, Count(Counter::kPolicyClosed));
  for (const std::string& path : never) ADD_FAILURE() << path << " arrived";
}

}  // namespace
}  // namespace whence::proxy
