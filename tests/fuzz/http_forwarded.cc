// whence-http-forwarded VECTORS COUNT SEED: runs the codec on mutated vectors and prints, for each upstream
// connection, what it carried and the whole requests that a strict reader finds in it. JSON, one a
// line; tests/fuzz/http_differential.mjs gives the bytes to another parser.
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/fuzz/codec_check.h"
#include "tests/fuzz/mutation.h"

namespace {

std::string Hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) {
    hex += kDigits[static_cast<unsigned char>(c) >> 4];
    hex += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return hex;
}

void Print(const std::string& connection) {
  nlohmann::json requests = nlohmann::json::array();
  std::string_view left = connection;
  size_t shown = connection.size();
  while (!left.empty()) {
    const std::string_view before = left;
    whence::fuzz::SeenRequest request;
    if (!whence::fuzz::TakeStrictRequest(left, &request) || !request.whole) break;
    requests.push_back(
        {{"method", request.method}, {"target", request.target}, {"bodyHex", Hex(request.body)}});
    // We wait for the answer before we send on, and one who is asked to switch may read on otherwise.
    if (before.substr(0, before.size() - left.size()).find("\r\nconnection: upgrade") !=
        std::string_view::npos) {
      shown = connection.size() - left.size();
      break;
    }
  }
  std::printf("%s\n", nlohmann::json{{"hex", Hex(std::string_view(connection).substr(0, shown))},
                                     {"requests", requests}}
                          .dump()
                          .c_str());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: whence-http-forwarded VECTORS COUNT SEED\n");
    return 2;
  }
  whence::fuzz::Mutation mutation(argv[1], static_cast<uint32_t>(std::atoi(argv[3])));
  for (int i = std::atoi(argv[2]); i > 0; --i) {
    whence::fuzz::CodecScript script = mutation.Next();
    if (script.origin.find(" 101") != std::string::npos) continue;  // a tunnel carries anything
    for (const std::string& connection : whence::fuzz::RunCodec(script).upstream) Print(connection);
  }
  return 0;
}
