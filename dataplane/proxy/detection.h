// Is this HTTP/1? Told from the first bytes of a connection, pure.
//
// The answer errs towards HTTP: whatever an HTTP/1 server could take for a request has to meet the
// strict parser and the policies that look at requests, so odd spacing, odd case and HTTP/0.9 count
// as HTTP and are refused there. A text protocol whose first line only resembles a request (SMTP's
// "EHLO host", memcached's "get key") is told apart at the end of that line.
//
// The preface of HTTP/2 is not HTTP/1: it is relayed as TCP.
#ifndef WHENCE_DATAPLANE_PROXY_DETECTION_H_
#define WHENCE_DATAPLANE_PROXY_DETECTION_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace whence::proxy {

enum class Detected : uint8_t { kNeedMore, kHttp, kOther };

// A first line longer than this is taken as it looks so far.
inline constexpr size_t kDetectionBytes = 8192;

// `bytes` are the first of the connection. The answer never changes with more bytes once it is not
// kNeedMore.
Detected Detect(std::string_view bytes);

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_DETECTION_H_
