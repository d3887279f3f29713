// TCP through a gateway on loopback.
#include <future>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "dataplane/os/socket.h"
#include "gmock/gmock.h"
#include "tests/unit/dataplane/proxy/gateway_fixture.h"

namespace whence::proxy {
namespace {

using access_log::Flag;

class TcpGatewayTest : public GatewayTest {};

TEST_F(TcpGatewayTest, RelaysBothWaysAndPassesHalfClose) {
  Origin origin([](WireEnd& end) {
    const std::string got = end.ReadToEnd();  // returns only when the client's end came through
    end.Send("you said " + got);
  });
  Start({.tcp = {origin.address()}});
  WireEnd client = ConnectTcp();
  client.Send("hello");
  client.Finish();
  EXPECT_EQ(client.ReadToEnd(), "you said hello");
  const access_log::Record record = NextRecord();
  EXPECT_EQ(record.protocol, access_log::Protocol::kTcp);
  EXPECT_EQ(record.bytes_in, 5u);
  EXPECT_EQ(record.bytes_out, 14u);
  EXPECT_EQ(record.flags, 0u);
  EXPECT_EQ(record.destination_port, tcp_port_);
}

TEST_F(TcpGatewayTest, PassesTheServersHalfCloseToo) {
  std::promise<std::string> heard;
  Origin origin([&](WireEnd& end) {
    end.Send("bye");
    end.Finish();
    heard.set_value(end.ReadToEnd());
  });
  Start({.tcp = {origin.address()}});
  WireEnd client = ConnectTcp();
  EXPECT_EQ(client.ReadToEnd(), "bye");
  client.Send("still here");
  client.Finish();
  EXPECT_EQ(heard.get_future().get(), "still here");
  const access_log::Record record = NextRecord();
  EXPECT_EQ(record.bytes_in, 10u);
  EXPECT_EQ(record.bytes_out, 3u);
  EXPECT_EQ(record.flags, 0u);
}

TEST_F(TcpGatewayTest, ConnectTimeoutResetsTheClient) {
  options_.limits.connect_timeout = std::chrono::milliseconds(50);
  auto listener = os::Listen(*net::SocketAddress::Parse("127.0.0.1:0"), {.backlog = 1});
  ASSERT_TRUE(listener.ok());
  ASSERT_EQ(os::IgnoreNewConnections(listener->get()), 0);
  Start({.tcp = {*os::LocalAddress(listener->get())}});
  WireEnd client = ConnectTcp();
  client.Send("x");
  EXPECT_TRUE(client.SeesReset());
  EXPECT_TRUE(NextRecord().Has(Flag::kUpstreamTimeout));
  EXPECT_EQ(Count(Counter::kUpstreamConnectTimeouts), 1u);
}

TEST_F(TcpGatewayTest, ServerMaySpeakFirst) {
  Origin origin([](WireEnd& end) {
    end.Send("220 ready\r\n");
    end.Send(end.ReadThrough("\n"));
  });
  Start({.tcp = {origin.address()}});
  WireEnd client = ConnectTcp();
  EXPECT_EQ(client.ReadThrough("\n"), "220 ready\r\n");
  client.Send("EHLO x\n");
  EXPECT_EQ(client.ReadToEnd(), "EHLO x\n");
}

TEST_F(TcpGatewayTest, ResetsPassInBothDirections) {
  {
    std::promise<bool> saw;
    Origin origin([&](WireEnd& end) {
      end.ReadBytes(1);
      saw.set_value(end.SeesReset());
    });
    Start({.tcp = {origin.address()}});
    WireEnd client = ConnectTcp();
    client.Send("x");
    AwaitCounter(Counter::kUpstreamConnects, 1);
    client.Reset();
    EXPECT_TRUE(saw.get_future().get());
    EXPECT_TRUE(NextRecord().Has(Flag::kDownstreamReset));
  }
  Origin origin([](WireEnd& end) {
    end.ReadBytes(1);
    end.Reset();
  });
  Publish({.tcp = {origin.address()}});
  AwaitCounter(Counter::kSnapshots, 4);
  WireEnd client = ConnectTcp();
  client.Send("x");
  EXPECT_TRUE(client.SeesReset());
  EXPECT_TRUE(NextRecord().Has(Flag::kUpstreamReset));
}

TEST_F(TcpGatewayTest, DeniedIsResetBeforeAnythingGoesUpstream) {
  Origin origin([](WireEnd& end) { end.ReadToEnd(); });
  Start({.tcp = {origin.address()}, .policies = {DenyEverything()}});
  WireEnd client = ConnectTcp();
  client.Send("x");
  EXPECT_TRUE(client.SeesReset());
  EXPECT_EQ(origin.connections(), 0);
  const access_log::Record record = NextRecord();
  EXPECT_EQ(record.decision, access_log::Decision::kDeny);
  EXPECT_EQ(record.Get(access_log::Text::kPolicy), "test/closed");
  EXPECT_EQ(Count(Counter::kTcpDenied), 1u);
}

TEST_F(TcpGatewayTest, NewPolicyClosesOpenConnections) {
  Origin origin([](WireEnd& end) { end.Send(end.ReadBytes(1)), end.ReadToEnd(); });
  Start({.tcp = {origin.address()}});
  WireEnd client = ConnectTcp();
  client.Send("x");
  EXPECT_EQ(client.ReadBytes(1), "x");
  Publish({.tcp = {origin.address()}});  // nothing new: it stays open
  AwaitCounter(Counter::kSnapshots, 4);
  EXPECT_EQ(Count(Counter::kConnectionsActive), 1u);
  Publish({.tcp = {origin.address()}, .policies = {DenyEverything()}});
  EXPECT_TRUE(client.SeesReset());
  const access_log::Record record = NextRecord();
  EXPECT_TRUE(record.Has(Flag::kPolicyClosed));
  EXPECT_EQ(record.decision, access_log::Decision::kDeny);
}

TEST_F(TcpGatewayTest, MovesMuchDataBothWaysAtOnce) {
  const std::string data(8 << 20, 'd');
  std::promise<size_t> received;
  Origin origin([&](WireEnd& end) {
    std::thread writer([&] { end.Send(data), end.Finish(); });
    received.set_value(end.ReadToEnd().size());
    writer.join();
  });
  Start({.tcp = {origin.address()}});
  WireEnd client = ConnectTcp();
  std::thread writer([&] { client.Send(data), client.Finish(); });
  EXPECT_TRUE(client.ReadToEnd() == data);
  writer.join();
  EXPECT_EQ(received.get_future().get(), data.size());
  EXPECT_EQ(NextRecord().bytes_in, data.size());
}

TEST_F(TcpGatewayTest, RefusedConnectResetsTheClient) {
  net::SocketAddress dead;
  {
    Origin gone([](WireEnd&) {});
    dead = gone.address();
  }
  Start({.tcp = {dead}});
  WireEnd client = ConnectTcp();
  client.Send("x");
  EXPECT_TRUE(client.SeesReset());
  EXPECT_TRUE(NextRecord().Has(Flag::kUpstreamConnectFailed));
}

TEST_F(TcpGatewayTest, IdleConnectionsEnd) {
  options_.limits.tcp_idle_timeout = std::chrono::milliseconds(50);
  Origin origin([](WireEnd& end) { end.ReadToEnd(); });
  Start({.tcp = {origin.address()}});
  WireEnd client = ConnectTcp();
  client.Send("x");
  EXPECT_TRUE(client.SeesReset());
  EXPECT_EQ(Count(Counter::kIdleTimeouts), 1u);
}

TEST_F(TcpGatewayTest, DrainWaitsForTheDeadlineThenCuts) {
  Origin origin([](WireEnd& end) { end.Send("x"), end.ReadToEnd(); });
  Start({.tcp = {origin.address()}});
  WireEnd client = ConnectTcp();
  EXPECT_EQ(client.ReadBytes(1), "x");
  plane_->Drain(std::chrono::milliseconds(50));
  EXPECT_TRUE(client.SeesReset());
  EXPECT_TRUE(NextRecord().Has(Flag::kDrained));
}

// ---- Judged again ----

// Relayed, then denied by a new revision: both sides are reset within a second, and the record says so.
TEST_F(TcpGatewayTest, ANewRevisionClosesWhatItDenies) {
  std::promise<bool> origin_saw;
  Origin origin([&](WireEnd& end) {
    end.Send(end.ReadBytes(1));
    origin_saw.set_value(end.SeesReset());
  });
  Start({.tcp = {origin.address()}});
  WireEnd client = ConnectTcp();
  client.Send("x");
  EXPECT_EQ(client.ReadBytes(1), "x");
  const auto begin = std::chrono::steady_clock::now();
  Publish({.tcp = {origin.address()}, .policies = {DenyEverything()}});
  EXPECT_TRUE(client.SeesReset());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
  EXPECT_TRUE(origin_saw.get_future().get());
  const access_log::Record record = NextRecord();
  EXPECT_TRUE(record.Has(Flag::kPolicyClosed));
  EXPECT_EQ(record.decision, access_log::Decision::kDeny);
  EXPECT_EQ(record.Get(access_log::Text::kPolicy), "test/closed");
  EXPECT_EQ(record.bytes_in, 1u);
}

// Nobody publishes anything: the grant has a time, and it comes.
TEST_F(TcpGatewayTest, TheEndOfAGrantClosesWhatItLetIn) {
  Origin origin([&](WireEnd& end) {
    end.Send(end.ReadBytes(1));
    end.ReadToEnd();
  });
  const policy::PolicySpec grant = Ending(policy::Action::kAllow, std::chrono::milliseconds(700));
  Start({.tcp = {origin.address()}, .policies = {grant}});
  WireEnd client = ConnectTcp();
  client.Send("x");
  EXPECT_EQ(client.ReadBytes(1), "x") << "let in before its end";
  EXPECT_TRUE(client.SeesReset());
  absl::Time end;
  ASSERT_TRUE(absl::ParseTime(absl::RFC3339_full, grant.expires, &end, nullptr));
  EXPECT_GE(absl::Now(), end);
  EXPECT_LT(absl::Now(), end + absl::Seconds(1));
  const access_log::Record record = NextRecord();
  EXPECT_TRUE(record.Has(Flag::kPolicyClosed));
  EXPECT_EQ(record.decision, access_log::Decision::kDeny);
}

TEST_F(TcpGatewayTest, TheEndOfADenialClosesNothing) {
  Origin origin([&](WireEnd& end) {
    while (true) {
      const std::string got = end.ReadBytes(1);
      if (got.empty()) return;
      end.Send(got);
    }
  });
  policy::PolicySpec denial = Ending(policy::Action::kDeny, std::chrono::milliseconds(500));
  denial.rules[0].to = {policy::Operation{.ports = {"1"}}};
  policy::PolicySpec grant = Ending(policy::Action::kAllow, std::chrono::milliseconds(500));
  grant.name = "grant-of-another";
  grant.rules[0].from = {policy::Source{.ip_blocks = {"9.9.9.9"}}};
  policy::PolicySpec everybody = Ending(policy::Action::kAllow, std::chrono::hours(1));
  everybody.name = "grant-of-everybody";
  Start({.tcp = {origin.address()}, .policies = {denial, grant, everybody}});
  WireEnd client = ConnectTcp();
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(900);
  do {
    client.Send("x");
    ASSERT_EQ(client.ReadBytes(1), "x");
  } while (std::chrono::steady_clock::now() < until);
  EXPECT_EQ(Count(Counter::kPolicyClosed), 0u);
}

}  // namespace
}  // namespace whence::proxy
