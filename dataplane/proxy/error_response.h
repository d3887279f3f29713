// Answers that the agent gives itself. Pure.
#ifndef WHENCE_DATAPLANE_PROXY_ERROR_RESPONSE_H_
#define WHENCE_DATAPLANE_PROXY_ERROR_RESPONSE_H_

#include <cstddef>
#include <span>
#include <string_view>

namespace whence::proxy {

struct ErrorResponse {
  int status = 500;
  std::string_view body;  // plain text, for people
  std::string_view date;  // for the Date field; empty: none
  bool close = true;      // the connection ends behind it
  bool head = false;      // answers a HEAD request: length without body
};

// What every answer fits into, with a body of at most kMaxErrorBody.
inline constexpr size_t kMaxErrorBody = 256;
inline constexpr size_t kMaxErrorResponse = 512;

// The whole response; returns its length. REQUIRES: `out` holds kMaxErrorResponse.
size_t WriteErrorResponse(const ErrorResponse& response, std::span<char> out);

// "Forbidden" for 403; "Error" (below 400 "Status") for what has no name here.
std::string_view ReasonPhrase(int status);

// The body of a denied request: Envoy's text, which people and tools look for.
inline constexpr std::string_view kDeniedBody = "RBAC: access denied";

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_ERROR_RESPONSE_H_
