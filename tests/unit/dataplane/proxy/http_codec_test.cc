// The codec harness on what is known to be dangerous: every request vector against every way of
// answering, cut in pieces by a repeatable choice, and mutations of them. The fuzzer
// (tests/fuzz/http_codec_fuzz.cc) goes on from there.
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "gmock/gmock.h"
#include "tests/fuzz/codec_harness.h"

namespace whence::fuzz {
namespace {

std::vector<std::string> Load(const std::string& name) {
  std::ifstream file(std::string(WHENCE_VECTORS) + "/" + name);
  std::vector<std::string> all;
  for (std::string line; std::getline(file, line);) {
    const std::string hex = nlohmann::json::parse(line).at("raw_hex");
    std::string bytes;
    for (size_t i = 0; i + 1 < hex.size(); i += 2) {
      bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    }
    if (bytes.size() < 8192) all.push_back(bytes);
  }
  return all;
}

std::string Mutated(std::string bytes, std::mt19937& random) {
  const auto at = [&] { return bytes.empty() ? 0 : random() % bytes.size(); };
  static constexpr std::string_view kPieces[] = {
      "\r\n", "\n", "\r", ":", " ", "\t", "0", ",", "Content-Length: 5\r\n",
      "Transfer-Encoding: chunked\r\n", "GET /z HTTP/1.1\r\nHost: z\r\n\r\n", "0\r\n\r\n",
      "Expect: 100-continue\r\n", "Connection: close\r\n", "HTTP/1.1 200 OK\r\n"};
  for (uint32_t left = random() % 4; left > 0 && !bytes.empty(); --left) {
    switch (random() % 4) {
      case 0:
        bytes[at()] = static_cast<char>(random());
        break;
      case 1:
        bytes.erase(at(), 1 + random() % 4);
        break;
      case 2:
        bytes.insert(at(), kPieces[random() % std::size(kPieces)]);
        break;
      default: {
        const size_t from = at();
        bytes.insert(at(), bytes.substr(from, random() % 64));
      }
    }
  }
  return bytes;
}

constexpr std::string_view kGood[] = {
    "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD /2 HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "POST /4 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\nT: 1\r\n\r\n",
    "PUT /5 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
    "GET /6 HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n",
    "GET /7 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
};

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
  const auto requests = Load("http1_requests.jsonl");
  const auto responses = Load("http1_responses.jsonl");
  ASSERT_GT(requests.size(), 100u);
  ASSERT_GT(responses.size(), 30u);
  std::mt19937 random(20'260'101);  // any fixed one: a failure shall come again
  size_t upstream = 0, answered = 0;
  for (int i = 0; i < 1500; ++i) {
    CodecScript script;
    // Most vectors are refused, and end their connection: something has to come before them.
    for (uint32_t left = random() % 4; left > 0; --left) {
      script.client += kGood[random() % std::size(kGood)];
    }
    for (uint32_t left = 1 + random() % 2; left > 0; --left) {
      script.client += Mutated(requests[random() % requests.size()], random);
    }
    for (uint32_t left = random() % 4 == 0 ? 1 + random() % 2 : 0; left > 0; --left) {
      script.origin += Mutated(responses[random() % responses.size()], random);
    }
    for (uint32_t left = random() % 24; left > 0; --left) {
      script.steps.push_back(static_cast<uint8_t>(random()));
    }
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
