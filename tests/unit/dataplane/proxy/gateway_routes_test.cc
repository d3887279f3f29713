// VirtualServices on the wire: what the client and the origins see.
#include <atomic>

#include "gmock/gmock.h"
#include "tests/support/free_port.h"
#include "tests/unit/dataplane/proxy/document_gateway.h"

namespace whence::proxy {
namespace {

using access_log::Flag;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

Origin::Serve Says(const std::string& name) {
  return HttpOrigin(
      [name](const std::string& head, const std::string&) { return Ok(name + "|" + head); });
}

using GatewayRoutesTest = DocumentGatewayTest;

TEST_F(GatewayRoutesTest, TakesTheFirstMatch) {
  Origin a(Says("a")), b(Says("b")), c(Says("c"));
  StartYaml(Routes(R"(  http:
  - match:
    - {uri: {regex: "/v[0-9]+/x"}, method: {exact: PUT}}
    - {headers: {x-canary: {exact: "yes"}}, withoutHeaders: {x-stable: {}}}
    route: [{)" + At(a) +
                   R"(}]
  - match:
    - {uri: {prefix: /Inside}, ignoreUriCase: true, sourceCidrs: [127.0.0.0/8]}
    - {queryParams: {to: {prefix: b}}}
    route: [{)" + At(b) +
                   R"(}]
  - match: [{sourceCidrs: [10.0.0.0/8]}, {authority: {exact: other.example}}]
    directResponse: {status: 418}
  - route: [{)" + At(c) +
                   "}]\n"));
  EXPECT_THAT(Ask("/v1/x", "", "PUT"), HasSubstr("\r\n\r\na|"));
  EXPECT_THAT(Ask("/v1/x"), HasSubstr("\r\n\r\nc|"));
  EXPECT_THAT(Ask("/v1/x/y", "", "PUT"), HasSubstr("\r\n\r\nc|"));
  EXPECT_THAT(Ask("/", "X-Canary: yes\r\n"), HasSubstr("\r\n\r\na|"));
  EXPECT_THAT(Ask("/", "X-Canary: yes\r\nX-Stable: 1\r\n"), HasSubstr("\r\n\r\nc|"));
  EXPECT_THAT(Ask("/INSIDE/x"), HasSubstr("\r\n\r\nb|"));
  EXPECT_THAT(Ask("/?to=bb"), HasSubstr("\r\n\r\nb|"));
  // Who claims to come from 10/8 does not, to a gateway that trusts nobody.
  EXPECT_THAT(Ask("/", "X-Forwarded-For: 10.0.0.1\r\n"), HasSubstr("\r\n\r\nc|"));
}

TEST_F(GatewayRoutesTest, RewritesWhatGoesUpstream) {
  Origin origin(Says("o"));
  StartYaml(Routes(R"yaml(  http:
  - match: [{uri: {prefix: /api/}}]
    rewrite: {uri: /, authority: inner.example}
    headers:
      request: {set: {x-set: "1 %% 2"}, add: {x-add: more}, remove: [x-gone, cookie]}
      response: {set: {x-origin: hidden}, remove: [content-length-hint]}
    route:
    - )yaml" + At(origin) +
                   R"yaml(
      headers: {request: {set: {x-set: lost, x-share: kept}}}
  - match: [{uri: {prefix: /old/}}]
    rewrite: {uriRegexRewrite: {match: "^/old/([0-9]+)", rewrite: '/new/\1/x'}}
    route: [{)yaml" +
                   At(origin) + "}]\n"));
  const std::string answer =
      Ask("/api/a?b=/api/",
          "X-Set: theirs\r\nX-Set: too\r\nX-Add: first\r\nX-Gone: 1\r\nCookie: c\r\n");
  EXPECT_THAT(answer, HasSubstr("GET /a?b=/api/ HTTP/1.1\r\nhost: inner.example\r\n"));
  EXPECT_THAT(answer, AllOf(HasSubstr("x-set: 1 % 2\r\n"), HasSubstr("X-Add: first\r\n"),
                            HasSubstr("x-add: more\r\n"), HasSubstr("x-share: kept\r\n")));
  EXPECT_THAT(answer, AllOf(Not(HasSubstr("theirs")), Not(HasSubstr("lost")),
                            Not(HasSubstr("X-Gone")), Not(HasSubstr("Cookie"))));
  EXPECT_THAT(answer.substr(0, answer.find("\r\n\r\n") + 4), HasSubstr("x-origin: hidden\r\n"));
  EXPECT_THAT(answer, HasSubstr("x-forwarded-for: 127.0.0.1\r\n"));
  EXPECT_THAT(Ask("/old/17/y?z"),
              HasSubstr("GET /new/17/x/y?z HTTP/1.1\r\nhost: shop.example\r\n"));
}

TEST_F(GatewayRoutesTest, AnswersByItself) {
  StartYaml(Routes(R"(  http:
  - match: [{uri: {prefix: /secure}}]
    redirect: {scheme: https, redirectCode: 308}
  - match: [{uri: {exact: /moved}}]
    redirect: {uri: /there, authority: new.example}
  - match: [{uri: {exact: /none}}]
    directResponse: {status: 204}
  - directResponse: {status: 503, body: {string: "closed for today"}}
    headers: {response: {set: {retry-after: "60"}}}
)"));
  EXPECT_THAT(Ask("/secure/x?y"), AllOf(StartsWith("HTTP/1.1 308 Permanent Redirect\r\n"),
                                        HasSubstr("location: https://shop.example/secure/x?y\r\n"),
                                        HasSubstr("content-length: 0\r\n")));
  EXPECT_THAT(Ask("/moved?q=1"), HasSubstr("location: http://new.example/there?q=1\r\n"));
  EXPECT_THAT(Ask("/none"),
              AllOf(StartsWith("HTTP/1.1 204 No Content\r\n"), Not(HasSubstr("content-length"))));
  EXPECT_THAT(
      Ask("/x"),
      AllOf(StartsWith("HTTP/1.1 503 Service Unavailable\r\n"), HasSubstr("retry-after: 60\r\n"),
            HasSubstr("content-type: text/plain\r\n"), EndsWith("\r\n\r\nclosed for today")));
  EXPECT_THAT(Ask("/x", "", "HEAD"),
              AllOf(HasSubstr("content-length: 16\r\n"), EndsWith("\r\n\r\n")));
  // The connection goes on behind an answer of ours, body or not.
  WireEnd client = ConnectHttp();
  for (int i = 0; i < 2; ++i) {
    client.Send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    EXPECT_THAT(client.ReadResponse(), EndsWith("closed for today"));
  }
  client.Close();
  for (int i = 0; i < 5; ++i) NextRecord();
  const access_log::Record record = NextRecord();
  EXPECT_EQ(record.status, 503);
  EXPECT_EQ(record.flags, 0u);
}

TEST_F(GatewayRoutesTest, SharesByWeight) {
  Origin a(Says("a")), b(Says("b"));
  StartYaml(
      Routes("  http:\n  - route: [{" + At(a) + ", weight: 3}, {" + At(b) +
             ", weight: 1}]\n  tcp:\n  - match: [{sourceCidrs: [10.0.0.0/8]}]\n    route: [{" +
             At(a) + "}]\n  - route: [{" + At(a) + ", weight: 0}, {" + At(b) + ", weight: 7}]\n"));
  WireEnd client = ConnectHttp();
  int to_a = 0;
  for (int i = 0; i < 400; ++i) {
    client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    to_a += client.ReadResponse().find("\r\n\r\na|") != std::string::npos;
  }
  // Six standard deviations around 300.
  EXPECT_GT(to_a, 248);
  EXPECT_LT(to_a, 352);
  WireEnd tcp = ConnectTcp();
  tcp.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(tcp.ReadResponse(), HasSubstr("\r\n\r\nb|"));
}

TEST_F(GatewayRoutesTest, EndsWhatTakesTooLong) {
  Origin origin([](WireEnd& end) {
    const std::string head = end.ReadThrough("\r\n\r\n");
    if (head.find("/half") != std::string::npos) {
      end.Send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    }
    end.ReadToEnd();
  });
  StartYaml(Routes("  http:\n  - {timeout: 50ms, route: [{" + At(origin) + "}]}\n"));
  WireEnd client = ConnectHttp();
  client.Send("GET /none HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(client.ReadResponse(),
              AllOf(StartsWith("HTTP/1.1 504"), EndsWith("upstream request timeout")));
  const access_log::Record record = NextRecord();
  EXPECT_EQ(record.status, 504);
  EXPECT_TRUE(record.Has(Flag::kUpstreamTimeout));
  EXPECT_GE(record.duration_us, 50'000u);
  // What has begun cannot be answered otherwise: it breaks off.
  client.Send("GET /half HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(client.ReadToEnd(), EndsWith("half"));
  EXPECT_TRUE(NextRecord().Has(Flag::kUpstreamTimeout));
  EXPECT_EQ(Count(Counter::kUpstreamTimeouts), 2u);
}

// A slow client is not the route's fault: its time begins when the request is complete.
TEST_F(GatewayRoutesTest, TimeBeginsWithTheWholeRequest) {
  Origin origin(HttpOrigin([](const std::string&, const std::string& body) { return Ok(body); }));
  StartYaml(Routes("  http:\n  - {timeout: 200ms, route: [{" + At(origin) + "}]}\n"));
  WireEnd client = ConnectHttp();
  client.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na");
  std::this_thread::sleep_for(std::chrono::milliseconds(250));  // longer than the route allows
  client.Send("b");
  EXPECT_THAT(client.ReadResponse(), EndsWith("\r\n\r\nab"));
  // Neither does an idle connection run out, nor one that waits in the pool.
  std::this_thread::sleep_for(std::chrono::milliseconds(250));
  client.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\ncd");
  EXPECT_THAT(client.ReadResponse(), EndsWith("\r\n\r\ncd"));
  EXPECT_EQ(Count(Counter::kUpstreamTimeouts), 0u);
  EXPECT_EQ(origin.connections(), 1);
}

// Fails the first `failures` requests in its own way, then answers.
struct Flaky {
  std::atomic<int> failures, seen = 0;
  Origin origin;
  Flaky(int count, const std::string& failure)
      : failures(count), origin([this, failure](WireEnd& end) {
          while (true) {
            const std::string head = end.ReadThrough("\r\n\r\n");
            if (head.empty()) return;
            const bool has_body = head.find("content-length: 4") != std::string::npos ||
                                  head.find("Content-Length: 4") != std::string::npos;
            const std::string body = has_body ? end.ReadBytes(4) : "";
            ++seen;
            if (failures-- <= 0) {
              end.Send(Ok("done " + body));
            } else if (failure.empty()) {
              return end.Reset();
            } else if (failure == "silence") {
              end.ReadToEnd();
              return;
            } else {
              end.Send(failure);
            }
          }
        }) {}
};

constexpr const char* k503 = "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n";

TEST_F(GatewayRoutesTest, TriesAgain) {
  const struct {
    const char* name;
    const char* failure;
    const char* retries;
  } rows[] = {
      {"status", k503, "{attempts: 2, retryOn: \"503\"}"},
      {"default", k503, "{attempts: 2}"},
      {"reset", "", "{attempts: 2, retryOn: reset}"},
      {"time", "silence", "{attempts: 2, perTryTimeout: 30ms, retryOn: 5xx}"},
  };
  for (const auto& row : rows) {
    Flaky flaky(2, row.failure);
    const std::string yaml = Routes(std::string("  http:\n  - retries: ") + row.retries +
                                    "\n    route: [{" + At(flaky.origin) + "}]\n");
    if (plane_ == nullptr) {
      StartYaml(yaml);
    } else {
      PublishYaml(yaml);
    }
    EXPECT_THAT(Ask("/"), AllOf(StartsWith("HTTP/1.1 200"), EndsWith("done "))) << row.name;
    EXPECT_EQ(flaky.seen, 3) << row.name;
    // With a body, which has been sent before it failed.
    flaky.failures = 1;
    EXPECT_THAT(Ask("/", "", "PUT", "body"), EndsWith("done body")) << row.name;
    EXPECT_EQ(flaky.seen, 5) << row.name;
    // One failure too many, and one more where a connection from the pool turns out stale: that
    // costs no attempt.
    flaky.failures = 4;
    EXPECT_THAT(Ask("/"), StartsWith("HTTP/1.1 50")) << row.name;
    EXPECT_GE(flaky.seen, 8) << row.name;
    EXPECT_LE(flaky.seen, 9) << row.name;
    // A method that does something each time is not repeated.
    flaky.failures = 1;
    const int before = flaky.seen;
    EXPECT_THAT(Ask("/", "", "POST", "body"), StartsWith("HTTP/1.1 50")) << row.name;
    EXPECT_EQ(flaky.seen, before + 1) << row.name;
  }
}

TEST_F(GatewayRoutesTest, DoesNotTryAgainWhatItNoLongerHas) {
  Flaky flaky(1, k503);
  StartYaml(Routes("  http:\n  - {retries: {attempts: 3}, route: [{" + At(flaky.origin) + "}]}\n"));
  // The origin answers before it reads the rest, which does not fit what is kept.
  EXPECT_THAT(Ask("/", "", "PUT", std::string(200'000, 'x')), StartsWith("HTTP/1.1 503"));
  EXPECT_EQ(flaky.seen, 1);
}

TEST_F(GatewayRoutesTest, LeavesAResponseAloneThatNobodyWantsRetried) {
  Flaky flaky(1, "HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n");
  StartYaml(Routes("  http:\n  - {retries: {attempts: 3}, route: [{" + At(flaky.origin) + "}]}\n"));
  EXPECT_THAT(Ask("/"), StartsWith("HTTP/1.1 500 Broken"));
  EXPECT_EQ(flaky.seen, 1);
}

TEST_F(GatewayRoutesTest, RetriesConnectionsThatFail) {
  Origin origin(Says("o"));
  const uint16_t dead = FreePort();
  const std::string two =
      "---\napiVersion: v1\nkind: Service\nmetadata: {name: two, namespace: n}\n"
      "spec: {selector: {app: two}, ports: [{port: " +
      std::to_string(origin.address().port) + "}]}\n";
  AddWorkload("dead", {{"app", "two"}}, "127.0.0.77");
  AddWorkload("live", {{"app", "two"}}, "127.0.0.1");
  const auto yaml = [&](const std::string& retries) {
    return Routes(
               "  http:\n  - match: [{uri: {exact: /dead}}]\n    route: [{destination: {host: "
               "127.0.0.1, port: {number: " +
               std::to_string(dead) +
               "}}}]\n    retries: {attempts: "
               "2}\n  - retries: " +
               retries + "\n    route: [{destination: {host: two}}]\n") +
           two;
  };
  StartYaml(yaml("{attempts: 1}"));
  for (int i = 0; i < 4; ++i) EXPECT_THAT(Ask("/"), HasSubstr("\r\n\r\no|")) << i;
  // A connection that failed carried nothing: any method may be tried again.
  for (int i = 0; i < 4; ++i) EXPECT_THAT(Ask("/", "", "POST", "x"), HasSubstr("\r\n\r\no|")) << i;
  const uint64_t before = Count(Counter::kUpstreamRetries);
  EXPECT_THAT(Ask("/dead"), StartsWith("HTTP/1.1 503"));
  EXPECT_EQ(Count(Counter::kUpstreamRetries), before + 2);
  // Zero attempts is a wish, too.
  PublishYaml(yaml("{attempts: 0}"));
  const std::string first = Ask("/"), second = Ask("/");
  EXPECT_NE(first.substr(0, 12), second.substr(0, 12)) << "one of the two endpoints is dead";
}

}  // namespace
}  // namespace whence::proxy
