// What RFC 9110 and RFC 9112 ask of an intermediary, where it shows on the wire only: each test
// names the section.
#include <sys/socket.h>

#include <atomic>
#include <future>

#include "gmock/gmock.h"
#include "tests/unit/dataplane/proxy/gateway_fixture.h"

namespace whence::proxy {
namespace {

using access_log::Flag;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string Request(std::string_view line, std::string_view fields = "") {
  return std::string(line) + " HTTP/1.1\r\nHost: shop.example\r\n" + std::string(fields) + "\r\n";
}

Origin::Serve EchoHead() {
  return HttpOrigin([](const std::string& head, const std::string&) { return Ok(head); });
}

size_t CountOf(const std::string& text, std::string_view what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

class HttpRfcTest : public GatewayTest {};

// RFC 9110, 10.1.4: who sends TE names it in Connection, or the next hop must not believe it.
TEST_F(HttpRfcTest, TeTravelsWithItsConnectionOption) {
  Origin origin(EchoHead());
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send(Request("GET /", "TE: trailers\r\nConnection: te\r\n"));
  const std::string with = client.ReadResponse();
  EXPECT_THAT(with, HasSubstr("TE: trailers\r\n"));
  EXPECT_THAT(with, HasSubstr("connection: te\r\n"));
  client.Send(Request("GET /", "TE: gzip\r\nConnection: te\r\n"));
  EXPECT_THAT(client.ReadResponse(), Not(HasSubstr("onnection:")));
}

// RFC 9110, 7.6.2.
TEST_F(HttpRfcTest, OptionsCountsMaxForwardsDown) {
  Origin origin(EchoHead());
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send(Request("OPTIONS /", "Max-Forwards: 10\r\n"));
  const std::string forwarded = client.ReadResponse();
  EXPECT_THAT(forwarded, HasSubstr("max-forwards: 9\r\n"));
  EXPECT_THAT(forwarded, Not(HasSubstr("Max-Forwards: 10")));
  client.Send(Request("GET /", "Max-Forwards: 0\r\n"));
  EXPECT_THAT(client.ReadResponse(), HasSubstr("Max-Forwards: 0\r\n")) << "other methods ignore it";
  const int before = origin.connections();
  client.Send(Request("OPTIONS *", "Max-Forwards: 0\r\n"));
  const std::string own = client.ReadResponse();
  EXPECT_THAT(own, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(own, Not(HasSubstr("Max-Forwards")));
  for (const char* bad : {"x", "-1", "", "1, 2", "99999999999999999999"}) {
    client.Send(Request("OPTIONS *", std::string("Max-Forwards: ") + bad + "\r\n"));
    EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 400 ")) << bad;
    client = ConnectHttp();
  }
  EXPECT_EQ(origin.connections(), before);
}

// RFC 9110, 6.6.1.
TEST_F(HttpRfcTest, DateIsAddedWhereItIsMissing) {
  Origin origin(HttpOrigin([](const std::string& head, const std::string&) {
    return head.starts_with("GET /dated") ? Ok("a", "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n")
                                          : Ok("b");
  }));
  Start({.http = {origin.address()}, .policies = {DenyPath("/denied")}});
  WireEnd client = ConnectHttp();
  client.Send(Request("GET /dated"));
  const std::string dated = client.ReadResponse();
  EXPECT_THAT(dated, HasSubstr("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
  EXPECT_THAT(dated, Not(HasSubstr("\r\ndate: ")));
  client.Send(Request("GET /undated"));
  EXPECT_THAT(client.ReadResponse(), testing::ContainsRegex("\r\ndate: ..., [0-9]+ ... 20.* GMT"));
  client.Send(Request("GET /denied"));
  EXPECT_THAT(client.ReadResponse(), testing::ContainsRegex("\r\ndate: ..., [0-9]+ ... 20.* GMT"));
}

// RFC 9112, 9.6: a half-closed client still gets the answers to all that it asked.
TEST_F(HttpRfcTest, HalfClosedClientGetsAllItsAnswers) {
  Origin origin(EchoHead());
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send(Request("GET /1") + Request("GET /2") + Request("GET /3"));
  client.Finish();
  const std::string answers = client.ReadToEnd();
  for (const char* path : {"GET /1 ", "GET /2 ", "GET /3 "}) EXPECT_THAT(answers, HasSubstr(path));
  EXPECT_EQ(Count(Counter::kDownstreamResets), 0u);
}

// RFC 9112, 9.3: a server that answers HTTP/1.0 keeps the connection only if it says so.
TEST_F(HttpRfcTest, Http10IsToldWhetherTheConnectionStays) {
  Origin origin(HttpOrigin([](const std::string&, const std::string&) { return Ok("x"); }));
  Start({.http = {origin.address()}, .policies = {DenyPath("/denied")}});
  WireEnd client = ConnectHttp();
  client.Send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_THAT(client.ReadResponse(), HasSubstr("connection: keep-alive\r\n"));
  client.Send("GET /denied HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_THAT(client.ReadToEnd(), HasSubstr("connection: close\r\n"));
  WireEnd plain = ConnectHttp();
  plain.Send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
  EXPECT_THAT(plain.ReadToEnd(), HasSubstr("connection: close\r\n"));
}

// RFC 9110, 15.2: interim responses are passed on, however many, without growing.
TEST_F(HttpRfcTest, ManyInterimResponsesPass) {
  Origin origin(HttpOrigin([](const std::string&, const std::string&) {
    std::string all;
    for (int i = 0; i < 2000; ++i) all += "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    return all + Ok("last");
  }));
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send(Request("GET /"));
  const std::string answers = client.ReadThrough("\r\n\r\nlast");
  EXPECT_EQ(CountOf(answers, "HTTP/1.1 103 "), 2000u);
  EXPECT_EQ(CountOf(answers, "HTTP/1.1 200 "), 1u);
}

// RFC 9110, 7.8: the switch is an answer to a whole request. Earlier it would turn the rest of the
// request into bytes that nobody judged.
TEST_F(HttpRfcTest, SwitchBeforeTheRequestIsWholeIsRefused) {
  Origin origin([](WireEnd& end) {
    end.ReadThrough("\r\n\r\n");
    end.Send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat\r\nConnection: upgrade\r\n\r\n");
    EXPECT_THAT(end.ReadToEnd(), Not(HasSubstr("/smuggled")));
  });
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  client.Send(Request("POST /", "Connection: Upgrade\r\nUpgrade: chat\r\nContent-Length: 500\r\n"));
  const std::string answer = client.ReadResponse();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 502 "));
  EXPECT_THAT(answer, HasSubstr("connection: close\r\n"));
  client.Send(Request("GET /smuggled"));
}

// A client may not have us lose what its request is called in the logs.
TEST_F(HttpRfcTest, NominatingWhatWeVouchForIsRefused) {
  Origin origin(EchoHead());
  Start({.http = {origin.address()}});
  for (const char* name : {"x-request-id", "x-forwarded-for", "X-Envoy-External-Address",
                           "x-whence-client", "Forwarded", "X-Real-IP", "Content-Length", "Host"}) {
    WireEnd client = ConnectHttp();
    client.Send(Request("GET /", std::string("Connection: ") + name + "\r\n"));
    EXPECT_THAT(client.ReadToEnd(), StartsWith("HTTP/1.1 400 ")) << name;
  }
  EXPECT_EQ(origin.connections(), 0);
}

// RFC 9112, 9.6: an early answer must survive although the client still sends, and reads only then.
TEST_F(HttpRfcTest, EarlyAnswerSurvivesAClientThatReadsLast) {
  Origin origin([](WireEnd& end) {
    end.ReadThrough("\r\n\r\n");
    end.Send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig");
    end.Close();
  });
  Start({.http = {origin.address()}});
  WireEnd client = ConnectHttp();
  constexpr size_t kSize = 20 << 20;
  client.Send(Request("POST /", "Content-Length: " + std::to_string(kSize) + "\r\n"));
  const std::string piece(1 << 20, 'x');
  for (size_t sent = 0; sent < kSize; sent += piece.size()) client.Send(piece);
  EXPECT_THAT(client.ReadResponse(), EndsWith("\r\n\r\nbig"));
}

// What became of a body that the origin did not read before it had answered.
struct Unread {
  uint64_t taken = 0;     // by us, from the client
  size_t reached = 0;     // the origin, in the end
  std::string behind;     // what the origin read after it on the same connection
  bool answered = false;  // the client's next request, on its connection
};

class UnreadBodyTest : public GatewayTest {
 protected:
  Unread Try(size_t size) {
    std::promise<void> all_sent, early_seen;
    std::promise<std::string> read;
    std::atomic<int> turn = 0;
    Origin origin([&](WireEnd& end) {
      if (turn++ > 0) {  // a new connection for the second request: it must have nothing else on it
        end.ReadThrough("\r\n\r\n");
        end.Send(Ok("second"));
        EXPECT_EQ(end.ReadToEnd(), "");
        return;
      }
      all_sent.get_future().wait();
      end.Send(Ok("early"));
      early_seen.get_future().wait();
      end.ReadThrough("\r\n\r\n");
      std::string rest = end.ReadBytes(size);
      if (rest.size() == size) rest += end.ReadThrough("\r\n\r\n");
      if (rest.ends_with("\r\n\r\n")) end.Send(Ok("second"));
      read.set_value(rest);
    });
    const uint64_t before = Count(Counter::kSnapshots);
    Publish({.http = {origin.address()}});
    AwaitCounter(Counter::kSnapshots, before + 1);
    WireEnd client = ConnectHttp();
    const std::string head = Request("POST /", "Content-Length: " + std::to_string(size) + "\r\n");
    client.Send(head + std::string(size, 'b'));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // a standstill cannot be awaited
    all_sent.set_value();
    EXPECT_THAT(client.ReadResponse(), EndsWith("early"));
    early_seen.set_value();
    Unread unread{.taken = NextRecord().bytes_in - head.size()};
    client.Send(Request("GET /second"));
    unread.answered = client.ReadResponse().ends_with("second");
    if (unread.answered) NextRecord();
    client.Close();
    const std::string rest = read.get_future().get();
    unread.reached = std::min(rest.find_first_not_of('b'), rest.size());
    unread.behind = rest.substr(unread.reached);
    return unread;
  }
};

// A body that was read but not sent must not be dropped with the next head behind it: the origin
// would take that head for the rest of the body, and what the client put there for a request that
// nobody judged. So the client's body is made as long as sockets hold, and a little longer: then we
// have its end in hand when the answer comes. What sockets hold is the kernel's affair: found by
// halving, until the range is smaller than our buffer.
TEST_F(UnreadBodyTest, NextHeadNeverFollowsABodyThatWasCutShort) {
  options_.workers = 1;
  Start({});
  size_t arrives = 0;
  size_t sticks = 8 << 20;
  bool met = false;
  while (!met && sticks - arrives > 8 * 1024) {
    const size_t size = arrives + (sticks - arrives) / 2;
    SCOPED_TRACE(size);
    const Unread unread = Try(size);
    ASSERT_FALSE(HasFailure());
    if (unread.reached == size) {
      arrives = size;
      EXPECT_TRUE(unread.answered);
      EXPECT_THAT(unread.behind, StartsWith("GET /second "));
      continue;
    }
    sticks = size;
    met = unread.taken == size;
    EXPECT_EQ(unread.behind, "");
    EXPECT_FALSE(unread.answered) << "the connection ends: what is left may be anything";
  }
  EXPECT_TRUE(met) << "no body was read whole and sent in part";
}

}  // namespace
}  // namespace whence::proxy
