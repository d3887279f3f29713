#include "tests/fuzz/mutation.h"

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string_view>

namespace whence::fuzz {
namespace {

std::vector<std::string> Load(const std::string& path) {
  std::ifstream file(path);
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

constexpr std::string_view kGood[] = {
    "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD /2 HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "POST /4 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\nT: "
    "1\r\n\r\n",
    "PUT /5 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
    "GET /6 HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n",
    // Bodies that would be requests if anybody took them for the next head.
    "POST /8 HTTP/1.1\r\nHost: a\r\nContent-Length: 31\r\n\r\nGET /evil HTTP/1.1\r\nHost: "
    "a\r\n\r\n",
    "POST /9 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    "1f\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n\r\n0\r\n\r\n",
    "GET /7 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
};

}  // namespace

Mutation::Mutation(const std::string& vectors, uint32_t seed)
    : random_(seed),
      requests_(Load(vectors + "/http1_requests.jsonl")),
      responses_(Load(vectors + "/http1_responses.jsonl")) {}

std::string Mutation::Mutated(std::string bytes) {
  const auto at = [&] { return bytes.empty() ? 0 : random_() % bytes.size(); };
  static constexpr std::string_view kPieces[] = {"\r\n",
                                                 "\n",
                                                 "\r",
                                                 ":",
                                                 " ",
                                                 "\t",
                                                 "0",
                                                 ",",
                                                 "Content-Length: 5\r\n",
                                                 "Transfer-Encoding: chunked\r\n",
                                                 "GET /z HTTP/1.1\r\nHost: z\r\n\r\n",
                                                 "0\r\n\r\n",
                                                 "Expect: 100-continue\r\n",
                                                 "Connection: close\r\n",
                                                 "HTTP/1.1 200 OK\r\n"};
  for (uint32_t left = random_() % 4; left > 0 && !bytes.empty(); --left) {
    switch (random_() % 4) {
      case 0:
        bytes[at()] = static_cast<char>(random_());
        break;
      case 1:
        bytes.erase(at(), 1 + random_() % 4);
        break;
      case 2:
        bytes.insert(at(), kPieces[random_() % std::size(kPieces)]);
        break;
      default: {
        const size_t from = at();
        bytes.insert(at(), bytes.substr(from, random_() % 64));
      }
    }
  }
  return bytes;
}

CodecScript Mutation::Next() {
  CodecScript script;
  // Most vectors are refused, and end their connection: something has to come before them.
  for (uint32_t left = random_() % 4; left > 0; --left) {
    script.client += kGood[random_() % std::size(kGood)];
  }
  for (uint32_t left = 1 + random_() % 2; left > 0; --left) {
    script.client += Mutated(Any(requests_));
  }
  // Answers that may come before their requests are whole.
  for (uint32_t left = random_() % 3 == 0 ? 1 + random_() % 3 : 0; left > 0; --left) {
    script.origin += "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  }
  for (uint32_t left = random_() % 4 == 0 ? 1 + random_() % 2 : 0; left > 0; --left) {
    script.origin += Mutated(Any(responses_));
  }
  for (uint32_t left = random_() % 24; left > 0; --left) {
    script.steps.push_back(static_cast<uint8_t>(random_()));
  }
  return script;
}

}  // namespace whence::fuzz
