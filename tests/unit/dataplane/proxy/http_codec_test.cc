// The codec harness on what is known to be dangerous: every request vector against every way of
// answering, cut in pieces by a repeatable choice, and mutations of them. The fuzzer
// (tests/fuzz/http_codec_fuzz.cc) goes on from there.
#include "gmock/gmock.h"
#include "tests/fuzz/codec_harness.h"
#include "tests/fuzz/mutation.h"

namespace whence::fuzz {
namespace {

TEST(HttpCodecTest, PlainRequestsPass) {
  const CodecRun run = RunCodec(
      {"GET /a HTTP/1.1\r\nHost: a\r\n\r\nPOST /b HTTP/1.1\r\nHost: a\r\nContent-Length: "
       "3\r\n\r\nabc"
       "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n",
       "",
       {}});
  EXPECT_EQ(run.fault, "");
  EXPECT_EQ(run.upstream_requests, 3u);
  EXPECT_EQ(run.responses, 3u);
}

// The client sends exactly the head; the answer comes; then the body, which looks like a request.
TEST(HttpCodecTest, BodyBehindAnEarlyAnswerIsNoRequest) {
  const std::string head = "POST /88 HTTP/1.1\r\nHost: a\r\nContent-Length: 31\r\n\r\n";
  ASSERT_EQ(head.size(), 7u * 7 + 1) << "what a step of size 7 sends";
  const CodecRun run = RunCodec({head + "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n",
                                 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                                 {7 << 3, 4 | 10 << 3, 3 | 31 << 3, 4 | 10 << 3}});
  EXPECT_EQ(run.fault, "");
  EXPECT_EQ(run.upstream_requests, 1u);
  EXPECT_EQ(run.responses, 1u);
}

TEST(HttpCodecTest, NothingLeaksBetweenMessages) {
  Mutation mutation(WHENCE_VECTORS, 20'260'101);  // any fixed seed: a failure shall come again
  size_t upstream = 0, answered = 0;
  for (int i = 0; i < 1500; ++i) {
    const CodecScript script = mutation.Next();
    const CodecRun run = RunCodec(script);
    ASSERT_EQ(run.fault, "") << "script " << i << "\n--- client\n"
                             << script.client << "\n--- origin\n"
                             << script.origin << "\n--- steps "
                             << testing::PrintToString(script.steps);
    upstream += run.upstream_requests;
    answered += run.responses;
  }
  EXPECT_GT(upstream, 1000u) << "the scripts test something";
  EXPECT_GT(answered, 1000u);
}

}  // namespace
}  // namespace whence::fuzz
