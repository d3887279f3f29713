// connectionPool of a DestinationRule: how many connections, who waits for one, and how dead ones are
// found.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "dataplane/os/socket.h"
#include "gmock/gmock.h"
#include "tests/unit/dataplane/proxy/document_gateway.h"

namespace whence::proxy {
namespace {

using access_log::Flag;
using testing::HasSubstr;

// Where requests wait for the test to let them go.
class Gate {
 public:
  ~Gate() { Open(); }
  void Pass() {
    std::unique_lock lock(mutex_);
    ++inside_;
    most_ = std::max(most_, inside_);
    changed_.notify_all();
    changed_.wait(lock, [this] { return is_open_ || leave_ > 0; });
    if (!is_open_) --leave_;
    --inside_;
  }
  // Until so many are inside; false: they did not come.
  bool Await(int inside) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10),
                             [&] { return inside_ >= inside && leave_ == 0; });
  }
  void LetOneGo() {
    const std::lock_guard lock(mutex_);
    ++leave_;
    changed_.notify_all();
  }
  void Open() {
    const std::lock_guard lock(mutex_);
    is_open_ = true;
    changed_.notify_all();
  }
  int most() {
    const std::lock_guard lock(mutex_);
    return most_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int inside_ = 0, leave_ = 0, most_ = 0;
  bool is_open_ = false;
};

class ConnectionLimitTest : public DocumentGatewayTest {
 protected:
  ConnectionLimitTest() : a_(Held("a"), "127.0.0.11:0"), b_(Held("b"), "127.0.0.12:" + Port()) {
    AddWorkload("a", {{"app", "web"}}, "127.0.0.11");
  }
  ~ConnectionLimitTest() override { gate_.Open(); }

  Origin::Serve Held(const std::string& name) {
    auto serve = HttpOrigin([this, name](const std::string& head, const std::string&) {
      if (head.find("/held") != std::string::npos) gate_.Pass();
      return Ok(name);
    });
    return [this, serve](WireEnd& connection) {
      {
        const std::lock_guard lock(mutex_);
        last_peer_ = connection.peer();
      }
      serve(connection);
    };
  }
  // The address from which the gateway opened its last connection.
  net::SocketAddress LastPeer() {
    const std::lock_guard lock(mutex_);
    return last_peer_;
  }
  std::string Port() const { return std::to_string(a_.address().port); }
  std::string Limited(const std::string& pool, const std::string& http = "") const {
    const std::string where = "[{destination: {host: web, port: {number: " + Port() + "}}}]";
    return Routes("  http:\n  - {" + http + "retries: {attempts: 0}, route: " + where +
                  "}\n  tcp:\n  - {route: " + where + "}\n") +
           "---\napiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: n}\n"
           "spec: {selector: {app: web}, ports: [{port: " +
           Port() +
           "}]}\n---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
           "metadata: {name: web, namespace: n}\n"
           "spec: {host: web, trafficPolicy: {connectionPool: {" +
           pool + "}}}\n";
  }
  WireEnd SendHeld() const {
    WireEnd client = ConnectHttp();
    client.Send("GET /held HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    return client;
  }
  access_log::Record RecordOf(int status) {
    access_log::Record record = NextRecord();
    while (record.status != status) record = NextRecord();
    return record;
  }

  Gate gate_;
  std::mutex mutex_;
  net::SocketAddress last_peer_;  // by mutex_
  Origin a_, b_;
};

// The workers together have one place; wherever it becomes free, whoever waits gets it.
TEST_F(ConnectionLimitTest, HoldsForAllWorkersTogetherAndTheRestWait) {
  options_.workers = 3;
  StartYaml(Limited("tcp: {maxConnections: 1}"));
  constexpr int kClients = 12;
  std::vector<WireEnd> clients;
  for (int i = 0; i < kClients; ++i) clients.push_back(SendHeld());
  AwaitCounter(Counter::kRequestsPending, kClients - 1);
  for (int i = 0; i < kClients; ++i) {
    ASSERT_TRUE(gate_.Await(1)) << i;
    gate_.LetOneGo();
  }
  for (WireEnd& client : clients) EXPECT_THAT(client.ReadResponse(), HasSubstr("200 OK"));
  EXPECT_EQ(gate_.most(), 1);
  EXPECT_EQ(Count(Counter::kPendingOverflow), 0u);
}

TEST_F(ConnectionLimitTest, RefusesWhoIsOneTooManyToWait) {
  StartYaml(Limited("tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}"));
  WireEnd first = SendHeld();
  ASSERT_TRUE(gate_.Await(1));
  WireEnd second = SendHeld();
  AwaitCounter(Counter::kRequestsPending, 1);
  WireEnd third = SendHeld();
  EXPECT_THAT(third.ReadResponse(), HasSubstr("503 Service Unavailable"));
  EXPECT_EQ(Count(Counter::kPendingOverflow), 1u);
  const access_log::Record refused = RecordOf(503);
  EXPECT_TRUE(refused.Has(Flag::kOverload));
  // It keeps its connection, and is served when there is room.
  gate_.Open();
  EXPECT_THAT(first.ReadResponse(), HasSubstr("200 OK"));
  EXPECT_THAT(second.ReadResponse(), HasSubstr("200 OK"));
  third.Send("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
  EXPECT_THAT(third.ReadResponse(), HasSubstr("200 OK"));
  EXPECT_EQ(a_.connections(), 1) << "who waited got the connection that was there";
}

TEST_F(ConnectionLimitTest, KeepsNoConnectionThatOthersNeed) {
  // Whichever worker takes the client, it finds the only place with a connection that another keeps.
  options_.workers = 3;
  StartYaml(Limited("tcp: {maxConnections: 1}"));
  for (int i = 0; i < 40; ++i) EXPECT_THAT(Ask("/"), HasSubstr("200 OK")) << i;
}

TEST_F(ConnectionLimitTest, GivesTheConnectionToOneEndpointUpForAnother) {
  AddWorkload("b", {{"app", "web"}}, "127.0.0.12");
  StartYaml(Limited("tcp: {maxConnections: 1}"));
  std::string answers;
  for (int i = 0; i < 6; ++i) answers += Ask("/").back();
  EXPECT_TRUE(answers == "ababab" || answers == "bababa") << answers;
}

// Nobody is left waiting beside a free place, however ends and arrivals meet.
TEST_F(ConnectionLimitTest, ManyAtOnceNeitherExceedItNorAreForgotten) {
  AddWorkload("b", {{"app", "web"}}, "127.0.0.12");
  options_.workers = 4;
  StartYaml(Limited("tcp: {maxConnections: 2}"));
  gate_.Open();
  std::atomic<int> good = 0;
  std::vector<std::thread> clients;
  constexpr int kClients = 12, kRequests = 40;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&, i] {
      for (int request = 0; request < kRequests; ++request) {
        // Some go with the request, some stay for a second one.
        WireEnd client = SendHeld();
        const bool is_served = client.ReadResponse().find("200 OK") != std::string::npos;
        good += is_served ? 1 : 0;
        if (!is_served || (i + request) % 2 == 0) continue;
        client.Send("GET /held HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        EXPECT_THAT(client.ReadResponse(), HasSubstr("200 OK"));
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(good, kClients * kRequests);
  EXPECT_LE(gate_.most(), 2);
}

TEST_F(ConnectionLimitTest, WhoWaitsMayLeaveAndTheNextIsServed) {
  StartYaml(Limited("tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}"));
  WireEnd first = SendHeld();
  ASSERT_TRUE(gate_.Await(1));
  WireEnd second = SendHeld();
  AwaitCounter(Counter::kRequestsPending, 1);
  second.Reset();
  AwaitCounter(Counter::kDownstreamResets, 1);
  WireEnd third = SendHeld();
  AwaitCounter(Counter::kRequestsPending, 2);
  gate_.LetOneGo();
  EXPECT_THAT(first.ReadResponse(), HasSubstr("200 OK"));
  ASSERT_TRUE(gate_.Await(1));
  gate_.LetOneGo();
  EXPECT_THAT(third.ReadResponse(), HasSubstr("200 OK"));
}

TEST_F(ConnectionLimitTest, WaitingIsPartOfTheRoutesTimeout) {
  StartYaml(Limited("tcp: {maxConnections: 1}", "timeout: 100ms, "));
  WireEnd holder = ConnectTcp();  // of the same cluster
  holder.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(holder.ReadResponse(), HasSubstr("200 OK"));
  EXPECT_THAT(Ask("/"), HasSubstr("504 Gateway Timeout"));
  EXPECT_TRUE(RecordOf(504).Has(Flag::kUpstreamTimeout));
  holder.Close();
  for (int i = 0; i < 200; ++i) {
    if (Ask("/").find("200 OK") != std::string::npos) return;
  }
  FAIL() << "the place did not become free";
}

TEST_F(ConnectionLimitTest, ALimitThatIsLiftedLetsThoseGoWhoWait) {
  StartYaml(Limited("tcp: {maxConnections: 1}"));
  WireEnd first = SendHeld(), second = SendHeld(), third = SendHeld();
  AwaitCounter(Counter::kRequestsPending, 2);
  PublishYaml(Limited("tcp: {maxConnections: 2}"));
  ASSERT_TRUE(gate_.Await(2));
  PublishYaml(Limited("http: {idleTimeout: 1h}"));
  ASSERT_TRUE(gate_.Await(3));
  gate_.Open();
  for (WireEnd* client : {&first, &second, &third}) {
    EXPECT_THAT(client->ReadResponse(), HasSubstr("200 OK"));
  }
}

TEST_F(ConnectionLimitTest, ClosesTcpConnectionsBeyondIt) {
  options_.workers = 3;
  StartYaml(Limited("tcp: {maxConnections: 1}"));
  WireEnd first = ConnectTcp();
  first.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(first.ReadResponse(), HasSubstr("200 OK"));
  WireEnd second = ConnectTcp();
  second.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(second.SeesReset());
  EXPECT_EQ(Count(Counter::kConnectionOverflow), 1u);
  EXPECT_TRUE(NextRecord().Has(Flag::kOverload));
  first.Close();
  for (int i = 0; i < 200; ++i) {
    WireEnd again = ConnectTcp();
    again.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    if (!again.ReadResponse().empty()) return;
  }
  FAIL() << "the place did not become free";
}

// The gateway's end of a connection, which is in this process: by the address that the origin saw.
int OptionOf(const net::SocketAddress& local, int level, int option) {
  for (int fd = 0; fd < 1024; ++fd) {
    const auto own = os::LocalAddress(fd);
    if (!own || *own != local) continue;
    int value = -1;
    socklen_t size = sizeof(value);
    if (getsockopt(fd, level, option, &value, &size) == 0) return value;
  }
  return -1;
}

TEST_F(ConnectionLimitTest, FindsDeadPeersAsItIsTold) {
  struct Case {
    std::string pool;
    bool is_tcp;
    int time, interval, probes, user_timeout;
  };
  const Case cases[] = {
      {"tcp: {tcpKeepalive: {time: 7s, interval: 3s, probes: 5}}", false, 7, 3, 5, 22'000},
      {"tcp: {tcpKeepalive: {time: 2m}}", true, 120, 15, 4, 180'000},
      {"tcp: {tcpKeepalive: {}}", false, 60, 15, 4, 120'000},
      {"tcp: {tcpKeepalive: {time: 32767s, interval: 32767s, probes: 127}}", false, 32767, 32767,
       127, INT_MAX},
  };
  for (const Case& one : cases) {
    // So that the next case does not get this one's connection.
    const std::string yaml = Limited(one.pool + ", http: {maxRequestsPerConnection: 1}");
    if (plane_) {
      PublishYaml(yaml);
    } else {
      StartYaml(yaml);
    }
    WireEnd client = one.is_tcp ? ConnectTcp() : SendHeld();
    if (one.is_tcp) client.Send("GET /held HTTP/1.1\r\nHost: x\r\n\r\n");
    ASSERT_TRUE(gate_.Await(1));
    const net::SocketAddress seen = LastPeer();
    EXPECT_EQ(OptionOf(seen, IPPROTO_TCP, TCP_KEEPIDLE), one.time) << one.pool;
    EXPECT_EQ(OptionOf(seen, IPPROTO_TCP, TCP_KEEPINTVL), one.interval) << one.pool;
    EXPECT_EQ(OptionOf(seen, IPPROTO_TCP, TCP_KEEPCNT), one.probes) << one.pool;
    EXPECT_EQ(OptionOf(seen, IPPROTO_TCP, TCP_USER_TIMEOUT), one.user_timeout) << one.pool;
    EXPECT_EQ(OptionOf(seen, SOL_SOCKET, SO_KEEPALIVE), 1) << one.pool;
    gate_.LetOneGo();
    EXPECT_THAT(client.ReadResponse(), HasSubstr("200 OK"));
  }
}

}  // namespace
}  // namespace whence::proxy
