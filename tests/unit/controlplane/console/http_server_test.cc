// The HTTP port: what it serves to whom.
#include "controlplane/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/unit/controlplane/console/http_client.h"

namespace whence::control {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class HttpServerTest : public ::testing::Test {
 protected:
  HttpServerTest() {
    auto server = HttpServer::Start(
        *ListenAddress::Parse("0.0.0.0:0"), {}, [] { return absl::OkStatus(); },
        [this](std::string_view target) {
          asked_ = target;
          return console::Answer{target == "/" ? 200 : 404, "<p>page</p>\n", true};
        });
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  std::string Ask(const std::string& head, const char* from = "127.0.0.1") {
    return Exchange(server_->port(), head, from);
  }

  std::string asked_;  // of the console
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, ServesPagesThatMayLoadAndRunNothing) {
  const std::string answer = Ask("GET / HTTP/1.1\r\nHost: 127.0.0.1:15014\r\n");
  EXPECT_THAT(answer,
              AllOf(StartsWith("HTTP/1.1 200 "), EndsWith("\r\n\r\n<p>page</p>\n"),
                    HasSubstr("Content-Type: text/html; charset=utf-8\r\n"),
                    HasSubstr("Content-Security-Policy: default-src 'none'; style-src 'sha256-"),
                    HasSubstr("X-Content-Type-Options: nosniff\r\n"),
                    HasSubstr("Cache-Control: no-store\r\n")));
  EXPECT_EQ(asked_, "/");
}

TEST_F(HttpServerTest, GivesPathAndQueryAsTheyCame) {
  Ask("GET /logs?path=%2Fa+b&x=%26 HTTP/1.1\r\nHost: localhost\r\n");
  EXPECT_EQ(asked_, "/logs?path=%2Fa+b&x=%26");
}

TEST_F(HttpServerTest, AnswersHeadWithoutABody) {
  EXPECT_THAT(Ask("HEAD / HTTP/1.1\r\nHost: localhost\r\n"),
              AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("Content-Length: 12\r\n"),
                    EndsWith("\r\n\r\n")));
}

TEST_F(HttpServerTest, ShowsTheConsoleToItsOwnMachineOnly) {
  const std::string request = "GET / HTTP/1.1\r\nHost: localhost:15014\r\n";
  EXPECT_THAT(Ask(request, "127.0.0.6"),
              AllOf(StartsWith("HTTP/1.1 403 "), HasSubstr("its own machine only"),
                    HasSubstr("Content-Type: text/plain")));
  EXPECT_EQ(asked_, "");
}

// A header of a client's is not where it comes from.
TEST_F(HttpServerTest, BelievesNoHeaderAboutThePeer) {
  EXPECT_THAT(Ask("GET / HTTP/1.1\r\nHost: localhost\r\nREMOTE_ADDR: 127.0.0.1\r\n"
                  "X-Forwarded-For: 127.0.0.1\r\n",
                  "127.0.0.6"),
              StartsWith("HTTP/1.1 403 "));
}

TEST_F(HttpServerTest, AnswersToNoOtherHost) {
  for (const char* hosts :
       {"Host: evil.example:15014\r\n", "", "Host: localhost\r\nHost: evil.example\r\n"}) {
    EXPECT_THAT(Ask(std::string("GET / HTTP/1.1\r\n") + hosts),
                AllOf(StartsWith("HTTP/1.1 403 "), HasSubstr("no such Host")))
        << hosts;
  }
  EXPECT_EQ(asked_, "");
}

TEST_F(HttpServerTest, TakesNoOtherMethod) {
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "PATCH"}) {
    EXPECT_THAT(
        Ask(std::string(method) + " / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"),
        AllOf(StartsWith("HTTP/1.1 405 "), HasSubstr("Allow: GET, HEAD\r\n")))
        << method;
  }
  EXPECT_EQ(asked_, "");
}

// A page whose name points here may send a body that looks like a request to localhost, and read
// what it is answered as the answer to its own next one.
TEST_F(HttpServerTest, ReadsNoFurtherRequestOutOfABody) {
  const std::string inner = "GET / HTTP/1.1\r\nHost: localhost\r\n";
  const std::string answer =
      Ask("POST / HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 1000\r\n\r\n" + inner);
  EXPECT_THAT(answer, AllOf(StartsWith("HTTP/1.1 403 "), HasSubstr("Connection: close\r\n"),
                            Not(HasSubstr("<p>page</p>"))));
  EXPECT_EQ(asked_, "");
}

TEST_F(HttpServerTest, PassesOnThatThereIsNoSuchPage) {
  EXPECT_THAT(Ask("GET /etc HTTP/1.1\r\nHost: localhost\r\n"), StartsWith("HTTP/1.1 404 "));
}

TEST_F(HttpServerTest, GivesMetricsAndHealthToWhoeverAsks) {
  for (const char* path : {"/metrics", "/healthz"}) {
    const std::string answer =
        Ask(std::string("GET ") + path + " HTTP/1.1\r\nHost: control.example\r\n", "127.0.0.6");
    EXPECT_THAT(answer, AllOf(StartsWith("HTTP/1.1 200 "), Not(HasSubstr("Security-Policy"))));
  }
  EXPECT_EQ(asked_, "");
}

}  // namespace
}  // namespace whence::control
