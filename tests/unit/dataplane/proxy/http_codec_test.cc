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
      {"GET /a HTTP/1.1\r\nHost: a\r\n\r\nPOST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
       "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n",
       "",
       {}});
  EXPECT_EQ(run.fault, "");
  EXPECT_EQ(run.upstream_requests, 3u);
  EXPECT_EQ(run.responses, 3u);
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
