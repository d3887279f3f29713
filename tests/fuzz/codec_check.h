// What the codec harness holds against what it saw. Pure.
#ifndef WHENCE_TESTS_FUZZ_CODEC_CHECK_H_
#define WHENCE_TESTS_FUZZ_CODEC_CHECK_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace whence::fuzz {

// A request as the client made it, by our own parser, or as it arrived upstream, by a small strict
// one that shares no code with it.
struct SeenRequest {
  std::string method, target, body;
  bool head_whole = false;
  bool whole = false;
  bool upgrade = false;
};

// By our own parsers. Stops where they refuse.
std::vector<SeenRequest> ClientRequests(std::string_view bytes);

// Takes one request off the front of `bytes`, which are not empty. False: malformed.
bool TakeStrictRequest(std::string_view& bytes, SeenRequest* out);

// Both give the fault, or an empty text. `requests` counts what was found.
std::string CheckUpstream(const std::vector<SeenRequest>& asked,
                          const std::vector<std::string>& connections, bool may_switch,
                          size_t* requests);
std::string CheckResponses(const std::vector<SeenRequest>& asked, std::string_view received,
                           size_t* responses);

}  // namespace whence::fuzz

#endif  // WHENCE_TESTS_FUZZ_CODEC_CHECK_H_
