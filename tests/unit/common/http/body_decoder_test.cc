#include "common/http/body_decoder.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace whence::http {
namespace {

// What a proxy would forward, feeding pieces of `step` bytes and keeping what is not consumed.
struct Outcome {
  std::string forwarded;
  size_t payload = 0;
  size_t consumed = 0;
  ParseStatus status = ParseStatus::kNeedMore;
  std::string_view reason;
};

Outcome Pass(BodyDecoder decoder, std::string_view input, size_t step,
             TrailerPolicy trailers = TrailerPolicy::kDrop) {
  Outcome run;
  std::string pending;
  size_t fed = 0;
  while (run.status == ParseStatus::kNeedMore) {
    // A buffer of the exact size, for sanitizers.
    std::vector<char> buffer(pending.begin(), pending.end());
    const BodyDecoder::Passed passed = decoder.PassThrough(buffer, trailers);
    EXPECT_LE(passed.produced, passed.consumed);
    EXPECT_LE(passed.consumed, buffer.size());
    run.forwarded.append(buffer.data(), passed.produced);
    run.payload += passed.payload;
    run.consumed += passed.consumed;
    run.status = passed.status;
    run.reason = passed.reason;
    pending.assign(buffer.begin() + static_cast<ptrdiff_t>(passed.consumed), buffer.end());
    if (run.status != ParseStatus::kNeedMore || fed == input.size()) break;
    const std::string_view piece = input.substr(fed, step);
    pending += piece;
    fed += piece.size();
  }
  return run;
}

// The result must not depend on how the bytes were split.
Outcome PassEveryWay(const BodyDecoder& decoder, std::string_view input,
                     TrailerPolicy trailers = TrailerPolicy::kDrop) {
  const Outcome whole = Pass(decoder, input, input.size() + 1, trailers);
  for (size_t step = 1; step < input.size() && step < 40; ++step) {
    const Outcome split = Pass(decoder, input, step, trailers);
    EXPECT_EQ(split.forwarded, whole.forwarded) << input << " by " << step;
    EXPECT_EQ(split.payload, whole.payload) << input << " by " << step;
    EXPECT_EQ(split.consumed, whole.consumed) << input << " by " << step;
    EXPECT_EQ(split.status, whole.status) << input << " by " << step;
    EXPECT_EQ(split.reason, whole.reason) << input << " by " << step;
  }
  return whole;
}

const BodyDecoder kChunkedBody(BodyFraming::kChunked, 0);

struct BadRow {
  std::string input;
  std::string_view reason;
};

TEST(BodyDecoderTest, RefusesMalformedChunks) {
  using namespace std::string_literals;
  const BadRow rows[] = {
      {"0x5\r\nhello\r\n", "malformed chunk size"},
      {"-5\r\nhello\r\n", "malformed chunk size"},
      {"+5\r\nhello\r\n", "malformed chunk size"},
      {"0_5\r\nhello\r\n", "malformed chunk size"},
      {"g\r\n", "malformed chunk size"},
      {"\r\nhello\r\n", "malformed chunk size"},
      {" 5\r\nhello\r\n", "malformed chunk size"},
      {"5 \r\nhello\r\n", "malformed chunk size"},
      {"5.\r\nhello\r\n", "malformed chunk size"},
      {"5 5\r\nhello\r\n", "malformed chunk size"},
      {"10000000000000005\r\nhello\r\n", "chunk size too large"},
      {"00000000000000005\r\nhello\r\n", "chunk size too large"},
      {"8000000000000000\r\nhello\r\n", "malformed chunk size"},
      {"ffffffffffffffff\r\nhello\r\n", "malformed chunk size"},
      {"5\nhello\r\n", "control byte in framing"},
      {"5\rhello\r\n", "bare CR in framing"},
      {"5\0\r\nhello\r\n"s, "control byte in framing"},
      {"5;a\0b\r\nhello\r\n"s, "control byte in framing"},
      {"5;a\nb\r\nhello\r\n", "control byte in framing"},
      {"5;" + std::string(300, 'x') + "\r\nhello\r\n", "framing line too long"},
      {"3\r\nhello\r\n", "chunk longer than its size"},
      {"5\r\nhelloXX", "chunk longer than its size"},
      {"5\r\nhello\rX", "chunk longer than its size"},
      {"5\r\nhello\n0\r\n\r\n", "chunk longer than its size"},
      {"0\r\nbroken\r\n\r\n", "malformed trailer"},
      {"0\r\nX : 1\r\n\r\n", "malformed trailer"},
      {"0\r\n X: 1\r\n\r\n", "malformed trailer"},
      {"0\r\n: 1\r\n\r\n", "malformed trailer"},
      {"0\r\nX: a\nY: b\r\n\r\n", "control byte in framing"},
      {"0\r\nX: " + std::string(9000, 'a') + "\r\n\r\n", "framing line too long"},
  };
  for (const BadRow& row : rows) {
    const Outcome run = PassEveryWay(kChunkedBody, row.input);
    EXPECT_EQ(run.status, ParseStatus::kReject) << row.input;
    EXPECT_EQ(run.reason, row.reason) << row.input;
  }
}

TEST(BodyDecoderTest, ManySmallTrailersAreBoundedTogether) {
  std::string input = "0\r\n";
  for (int i = 0; i < 2000; ++i) input += "A: b\r\n";
  EXPECT_EQ(PassEveryWay(kChunkedBody, input + "\r\n").reason, "framing line too long");
}

TEST(BodyDecoderTest, ChunksLeaveInNormalForm) {
  struct Row {
    std::string_view input, want;
    size_t payload;
  };
  const Row rows[] = {
      {"5\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", 5},
      {"0\r\n\r\n", "0\r\n\r\n", 0},
      {"00000005\r\nhello\r\n000\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", 5},
      {"A\r\n0123456789\r\n0\r\n\r\n", "a\r\n0123456789\r\n0\r\n\r\n", 10},
      {"5;name=\"v;0\"\r\nhello\r\n0;last\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", 5},
      {"5 \t;x\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", 6},
      {"5\r\n\r\n0\r\n\r\n0\r\n\r\n", "5\r\n\r\n0\r\n\r\n0\r\n\r\n", 5},
      {"2\r\nhi\r\n0\r\nX-T: 1\r\nContent-Length: 9\r\n\r\n", "2\r\nhi\r\n0\r\n\r\n", 2},
  };
  for (const Row& row : rows) {
    const Outcome run = PassEveryWay(kChunkedBody, std::string(row.input) + "GET / HTTP/1.1\r\n");
    EXPECT_EQ(run.status, ParseStatus::kDone) << row.input;
    EXPECT_EQ(run.forwarded, row.want);
    EXPECT_EQ(run.payload, row.payload);
    EXPECT_EQ(run.consumed, row.input.size()) << "the next request is not ours";
  }
}

TEST(BodyDecoderTest, SafeTrailersTravelOnRequest) {
  const Outcome run = PassEveryWay(
      kChunkedBody,
      "0;x\r\ngrpc-status: 0\r\nX-Forwarded-For: 6.6.6.6\r\nX-Sum: 1\r\nSet-Cookie: a\r\n\r\n",
      TrailerPolicy::kForwardSafe);
  EXPECT_EQ(run.forwarded, "0\r\ngrpc-status: 0\r\nX-Sum: 1\r\n\r\n");
  EXPECT_EQ(run.status, ParseStatus::kDone);
}

TEST(BodyDecoderTest, ContentLengthEndsExactly) {
  const Outcome run = PassEveryWay(BodyDecoder(BodyFraming::kContentLength, 5), "helloGET");
  EXPECT_EQ(run.forwarded, "hello");
  EXPECT_EQ(run.status, ParseStatus::kDone);
  EXPECT_EQ(PassEveryWay(BodyDecoder(BodyFraming::kContentLength, 9), "hello").status,
            ParseStatus::kNeedMore);
}

TEST(BodyDecoderTest, NoBodyConsumesNothing) {
  for (const BodyDecoder& decoder : {BodyDecoder(), BodyDecoder(BodyFraming::kContentLength, 0)}) {
    const Outcome run = PassEveryWay(decoder, "GET");
    EXPECT_EQ(run.consumed, 0u);
    EXPECT_EQ(run.status, ParseStatus::kDone);
  }
}

TEST(BodyDecoderTest, EndOfInputCompletesOnlyWhatEndsWithTheConnection) {
  BodyDecoder until_close(BodyFraming::kUntilClose, 0);
  EXPECT_EQ(until_close.Next("hello").bytes, 5u);
  EXPECT_FALSE(until_close.done());
  EXPECT_TRUE(until_close.EndOfInput());

  BodyDecoder length(BodyFraming::kContentLength, 6);
  length.Next("hello");
  EXPECT_FALSE(length.EndOfInput());

  BodyDecoder chunked(BodyFraming::kChunked, 0);
  EXPECT_EQ(chunked.Next("0\r\n\r\n").kind, BodyDecoder::Kind::kLastChunk);
  EXPECT_FALSE(chunked.EndOfInput()) << "the empty line is missing";
}

// A caller that splices payload past us tells how much.
TEST(BodyDecoderTest, SplicedPayloadCounts) {
  BodyDecoder decoder(BodyFraming::kChunked, 0);
  EXPECT_EQ(decoder.payload_ahead(), 0u);
  EXPECT_EQ(decoder.Next("a\r\n").chunk_size, 10u);
  EXPECT_EQ(decoder.payload_ahead(), 10u);
  decoder.AdvancePayload(7);
  EXPECT_EQ(decoder.payload_ahead(), 3u);
  decoder.AdvancePayload(3);
  EXPECT_EQ(decoder.payload_ahead(), 0u);
  EXPECT_EQ(decoder.Next("\r\n").kind, BodyDecoder::Kind::kChunkEnd);
}

TEST(BodyDecoderTest, StaysFailed) {
  BodyDecoder decoder(BodyFraming::kChunked, 0);
  EXPECT_EQ(decoder.Next("zz\r\n").kind, BodyDecoder::Kind::kError);
  EXPECT_EQ(decoder.Next("5\r\nhello").kind, BodyDecoder::Kind::kError);
  EXPECT_TRUE(decoder.failed());
}

}  // namespace
}  // namespace whence::http
