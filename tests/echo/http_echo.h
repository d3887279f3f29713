// HTTP/1.x as an application would see it: answers each request with what it saw.
//
// A parser of its own, lenient and independent of common/http on purpose: it stands in for an
// application, and its answers are what tests compare ours with.
#ifndef WHENCE_TESTS_ECHO_HTTP_ECHO_H_
#define WHENCE_TESTS_ECHO_HTTP_ECHO_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/echo/socket.h"

namespace whence::echo {

struct SeenRequest {
  std::string line;                  // "GET / HTTP/1.1"
  std::vector<std::string> headers;  // as received, in order
  uint64_t body_bytes = 0;
};

// {"name":…,"peer":…,"peerPort":…,"local":…,"localPort":…,"request":…,"headers":[…],"bodyBytes":…};
// bytes that are not printable ASCII become \u00XX.
std::string ToJson(const std::string& name, const Endpoint& peer, const Endpoint& local,
                   const SeenRequest& request);

// Serves one connection until either side closes it; each request is printed to stdout as one JSON
// line unless `quiet`.
void ServeHttp(int socket, const std::string& name, bool quiet);

}  // namespace whence::echo

#endif  // WHENCE_TESTS_ECHO_HTTP_ECHO_H_
