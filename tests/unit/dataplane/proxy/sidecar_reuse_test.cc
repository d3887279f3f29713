// What is used again for the next connection of the same client, and when it must not be: an upstream
// connection that stays warm, and the socket of one that ended.
#include <atomic>
#include <mutex>
#include <set>

#include "gmock/gmock.h"
#include "tests/support/await.h"
#include "tests/unit/dataplane/proxy/sidecar_fixture.h"

namespace whence::proxy {
namespace {

class SidecarReuseTest : public SidecarTest {
 protected:
  void SetUp() override {
    SidecarTest::SetUp();
    options_.workers = 1;  // or the next connection may come to a worker that has none to offer
  }

  // On a connection of its own, which ends with the answer.
  std::string Ask(std::string_view request) {
    WireEnd client = Connect();
    EXPECT_TRUE(client.connected());
    if (topology_.trust_mesh_gateways && !topology_.mesh_gateways.empty()) {
      client.Send(Announce(client));
    }
    client.Send(request);
    const std::string answer = client.ReadToEnd();
    EXPECT_THAT(answer, testing::StartsWith("HTTP/1.1 "));
    return answer;
  }
  static std::string Get(const std::string& fields = "") {
    return "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + fields + "\r\n";
  }
  // Every connection through this one hop, which speaks for many clients.
  void TrustTheHop() {
    topology_.upstream_source = trust::UpstreamSource::kTrustedClient;
    topology_.trust_mesh_gateways = true;
    topology_.mesh_gateways = net::CidrSet({*net::Cidr::Parse(client_ip().ToString())});
  }

  // Of the origin, whose threads outlive the test's body.
  std::atomic<bool> told_ = false;
  std::atomic<int> ended_ = 0;
  std::mutex thread_;
};

TEST_P(SidecarReuseTest, ServesTheNextConnectionOfTheSameClient) {
  Start(TellPeer());
  const net::SocketAddress first = PeerIn(Ask(Get()));
  const net::SocketAddress second = PeerIn(Ask(Get()));
  EXPECT_EQ(first.ip, ExpectedSource());
  EXPECT_EQ(second.ip, ExpectedSource());
  // From an address that many clients share, it could be anybody's.
  EXPECT_EQ(first == second, tproxy());
  EXPECT_EQ(origin_->connections(), tproxy() ? 1 : 2);
}

TEST_P(SidecarReuseTest, ClientThatEndsAKeptConnectionLeavesItsUpstream) {
  Start(TellPeer());
  {
    WireEnd client = Connect();
    client.Send(kGet);
    client.ReadResponse();
  }
  ASSERT_TRUE(Await([&] { return Count(Counter::kConnectionsActive) == 0; }));
  Ask(Get());
  EXPECT_EQ(origin_->connections(), tproxy() ? 1 : 2);
}

TEST_P(SidecarReuseTest, NoClientEverGetsAnothers) {
  if (!tproxy()) GTEST_SKIP() << "nothing is spoofed";
  TrustTheHop();
  Start(TellPeer());
  const std::string one = v4() ? "123.120.247.15" : "2001:db8::15";
  const std::string other = v4() ? "123.120.247.16" : "2001:db8::16";
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(PeerIn(Ask(Get("X-Forwarded-For: " + one + "\r\n"))).ip, Ip(one));
    EXPECT_EQ(PeerIn(Ask(Get("X-Forwarded-For: " + other + "\r\n"))).ip, Ip(other));
  }
  EXPECT_EQ(origin_->connections(), 2);
}

// A client that comes back on a stale connection is as much itself on the one that replaces it.
TEST_P(SidecarReuseTest, AuthenticatedConnectionStaysWithItsClientAfterARetry) {
  if (!tproxy()) GTEST_SKIP() << "nothing is kept";
  Start([this](WireEnd& end) {
    if (!told_.exchange(true)) {
      end.ReadThrough("\r\n\r\n");
      end.Send(Ok("once"));
      end.ReadThrough("\r\n\r\n");  // and swallows the second
      return;
    }
    HttpOrigin([](const std::string&, const std::string&) { return Ok("x"); })(end);
  });
  Ask(Get());
  Ask(Get("Authorization: Negotiate dG9rZW4=\r\n"));
  EXPECT_EQ(Count(Counter::kUpstreamRetries), 1u);
  EXPECT_EQ(origin_->connections(), 2);
  Ask(Get());
  EXPECT_EQ(origin_->connections(), 3);
}

// An application with one thread does not look at the new connection before the old one ends.
TEST_P(SidecarReuseTest, ApplicationNeedNotServeTheOldOneBesideTheNew) {
  if (!tproxy()) GTEST_SKIP() << "nothing is kept";
  options_.limits.warm_idle_timeout = std::chrono::hours(1);
  Start([this](WireEnd& end) {
    const std::lock_guard one_at_a_time(thread_);
    HttpOrigin([](const std::string&, const std::string&) { return Ok("x"); })(end);
  });
  Ask(Get());
  EXPECT_THAT(Ask("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"),
              testing::EndsWith("x"));
  EXPECT_EQ(origin_->connections(), 2);
}

// Nor that of another client, in whichever worker it is.
TEST_P(SidecarReuseTest, OtherClientsNeedNotWaitForAKeptOneToEnd) {
  if (!tproxy()) GTEST_SKIP() << "nothing is kept";
  options_.limits.warm_idle_timeout = std::chrono::hours(1);
  options_.workers = 4;
  TrustTheHop();
  Start([this](WireEnd& end) {
    const std::lock_guard one_at_a_time(thread_);
    HttpOrigin([](const std::string&, const std::string&) { return Ok("x"); })(end);
  });
  const std::string prefix = v4() ? "123.120.247." : "2001:db8::";
  for (int i = 1; i <= 6; ++i) {
    const std::string from = "X-Forwarded-For: " + prefix + std::to_string(i) + "\r\n";
    EXPECT_THAT(Ask(Get(from)), testing::EndsWith("x"));
  }
  EXPECT_EQ(origin_->connections(), 6);
}

// What must not be sent twice must not be lost on a connection that the application is just
// closing.
TEST_P(SidecarReuseTest, RequestThatChangesSomethingGetsANewOne) {
  if (!tproxy()) GTEST_SKIP() << "nothing is kept";
  Start(TellPeer());
  Ask(Get());
  Ask("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi");
  EXPECT_EQ(origin_->connections(), 2);
}

TEST_P(SidecarReuseTest, AuthenticatedConnectionStaysWithItsClient) {
  if (!tproxy()) GTEST_SKIP() << "nothing is kept";
  Start(HttpOrigin([](const std::string& head, const std::string&) {
    if (head.find("/secret") == std::string::npos) return Ok("x");
    return std::string(
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\n"
        "Content-Length: 0\r\n\r\n");
  }));
  Ask("GET /secret HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  Ask(Get());
  EXPECT_EQ(origin_->connections(), 2);
  Ask(Get("Authorization: Negotiate dG9rZW4=\r\n"));
  EXPECT_EQ(origin_->connections(), 2) << "it was free until then";
  Ask(Get());
  EXPECT_EQ(origin_->connections(), 3);
}

TEST_P(SidecarReuseTest, UnaskedBytesSpoilIt) {
  if (!tproxy()) GTEST_SKIP() << "nothing is kept";
  Start([&](WireEnd& end) {
    end.ReadThrough("\r\n\r\n");
    end.Send(Ok("asked"));
    ASSERT_TRUE(Await([&] { return Count(Counter::kConnectionsActive) == 0; }));
    end.Send(Ok("unasked"));
    told_ = true;
    end.ReadToEnd();
  });
  for (int i = 1; i <= 3; ++i) {
    EXPECT_THAT(Ask(Get()), testing::EndsWith("asked"));
    EXPECT_EQ(origin_->connections(), i);
    ASSERT_TRUE(Await([&] { return told_.load(); }));
    told_ = false;
  }
}

TEST_P(SidecarReuseTest, StaleOneIsReplacedUnseen) {
  if (!tproxy()) GTEST_SKIP() << "nothing is kept";
  Start([](WireEnd& end) {
    end.ReadThrough("\r\n\r\n");
    end.Send(Ok("once"));
    end.ReadThrough("\r\n\r\n");  // and swallows the second
  });
  EXPECT_THAT(Ask(Get()), testing::EndsWith("once"));
  EXPECT_THAT(Ask(Get()), testing::EndsWith("once"));
  EXPECT_EQ(origin_->connections(), 2);
  EXPECT_EQ(Count(Counter::kUpstreamRetries), 1u);
}

TEST_P(SidecarReuseTest, IsNotKeptForLong) {
  if (!tproxy()) GTEST_SKIP() << "nothing is kept";
  options_.limits.warm_idle_timeout = std::chrono::milliseconds(20);
  Start([&](WireEnd& end) {
    HttpOrigin([](const std::string&, const std::string&) { return Ok("x"); })(end);
    ++ended_;
  });
  Ask(Get());
  ASSERT_TRUE(Await([&] { return ended_ != 0; }));
  Ask(Get());
  EXPECT_EQ(origin_->connections(), 2);
}

TEST_P(SidecarReuseTest, ThereIsABoundOnHowManyAreKept) {
  if (!tproxy()) GTEST_SKIP() << "nothing is kept";
  options_.limits.max_idle = 1;
  TrustTheHop();
  Start(TellPeer());
  const std::string prefix = v4() ? "123.120.247." : "2001:db8::";
  for (int i = 1; i <= 3; ++i) Ask(Get("X-Forwarded-For: " + prefix + std::to_string(i) + "\r\n"));
  EXPECT_EQ(origin_->connections(), 3);
  Ask(Get("X-Forwarded-For: " + prefix + "1\r\n"));
  EXPECT_EQ(origin_->connections(), 3);
  Ask(Get("X-Forwarded-For: " + prefix + "3\r\n"));
  EXPECT_EQ(origin_->connections(), 4);
}

// The application ends every connection, so that only their sockets are left.
class SidecarSocketTest : public SidecarReuseTest {
 protected:
  static Origin::Serve TellPeerOnce() {
    return [](WireEnd& end) {
      end.ReadThrough("\r\n\r\n");
      end.Send(Ok(end.peer().ToString(), "Connection: close\r\n"));
      end.Finish();
      end.ReadToEnd();
    };
  }
  // Until a source was seen twice, which needs a socket that has rested.
  net::SocketAddress AskUntilOneComesAgain() {
    std::set<net::SocketAddress> seen;
    for (int i = 0; i < 10'000; ++i) {
      const net::SocketAddress source = PeerIn(Ask(Get()));
      if (!seen.insert(source).second) return source;
    }
    return {};
  }
};

TEST_P(SidecarSocketTest, ServesTheNextConnection) {
  if (!tproxy()) GTEST_SKIP() << "nothing is kept";
  Start(TellPeerOnce());
  EXPECT_EQ(AskUntilOneComesAgain().ip, client_ip());
  EXPECT_EQ(AskUntilOneComesAgain().ip, client_ip());
  EXPECT_EQ(Count(Counter::kUpstreamConnects), static_cast<uint64_t>(origin_->connections()));
  EXPECT_EQ(Count(Counter::kUpstreamReused), 0u);
}

TEST_P(SidecarSocketTest, ServesTheNextOfTcp) {
  if (!tproxy()) GTEST_SKIP() << "nothing is kept";
  Start([](WireEnd& end) {
    const std::string peer = end.peer().ToString();
    end.Send(peer + end.ReadThrough("\n"));
    end.Finish();
    end.ReadToEnd();
  });
  std::set<std::string> seen;
  for (int i = 0;; ++i) {
    ASSERT_LT(i, 10'000);
    WireEnd client = Connect();
    client.Send("set key\n");
    const std::string echo = client.ReadToEnd();
    ASSERT_THAT(echo, testing::EndsWith("set key\n"));
    if (!seen.insert(echo).second) break;
    client.Close();
    ASSERT_TRUE(Await([&] { return Count(Counter::kConnectionsActive) == 0; }));
  }
}

TEST_P(SidecarSocketTest, NeverServesAnotherClient) {
  if (!tproxy()) GTEST_SKIP() << "nothing is spoofed";
  TrustTheHop();
  Start(TellPeerOnce());
  const std::string prefix = v4() ? "123.120.247." : "2001:db8::";
  std::set<net::SocketAddress> seen;
  bool again = false;
  for (int i = 0; !again; ++i) {
    ASSERT_LT(i, 10'000);
    const std::string client = prefix + std::to_string(i % 3 + 1);
    const net::SocketAddress source = PeerIn(Ask(Get("X-Forwarded-For: " + client + "\r\n")));
    ASSERT_EQ(source.ip, Ip(client));
    again = !seen.insert(source).second;
  }
}

// The client has taken the port meanwhile: connected from it as well, we would reach our own socket.
TEST_P(SidecarSocketTest, IsNotUsedWhereTheClientTookItsPort) {
  if (!tproxy()) GTEST_SKIP() << "nothing is spoofed";
  Start(TellPeerOnce());
  const net::SocketAddress taken = AskUntilOneComesAgain();
  const WireEnd client = Connect(taken.port);
  ASSERT_TRUE(client.connected());
  ASSERT_TRUE(Await([&] { return Count(Counter::kConnectionsActive) != 0; }));
  // By then the socket with that port had its turn, since the others come in the order in which they
  // ended.
  for (int i = 0; i < 3; ++i) EXPECT_NE(AskUntilOneComesAgain(), taken);
  EXPECT_EQ(Count(Counter::kUpstreamConnectTimeouts), 0u);
}

INSTANTIATE_TEST_SUITE_P(Modes, SidecarSocketTest, AllSidecarModes(), SidecarModeName);
INSTANTIATE_TEST_SUITE_P(Modes, SidecarReuseTest, AllSidecarModes(), SidecarModeName);

}  // namespace
}  // namespace whence::proxy
