// The Date field: "Sun, 06 Nov 1994 08:49:37 GMT" (IMF-fixdate, RFC 9110 5.6.7).
//
// A proxy that forwards a response without a Date adds one (RFC 9110, 6.6.1), or every cache behind
// it would have to guess how old the response is.
#ifndef WHENCE_COMMON_HTTP_HTTP_DATE_H_
#define WHENCE_COMMON_HTTP_HTTP_DATE_H_

#include <array>
#include <cstdint>
#include <string_view>

namespace whence::http {

// Keeps the text of the current second, which serves thousands of responses. Thread-compatible.
class HttpDate {
 public:
  // `seconds` since 1970, UTC. Valid until the next call.
  std::string_view At(int64_t seconds) {
    if (seconds != seconds_) Format(seconds);
    return {text_.data(), text_.size()};
  }

 private:
  void Format(int64_t seconds);

  int64_t seconds_ = INT64_MIN;
  std::array<char, 29> text_{};
};

}  // namespace whence::http

#endif  // WHENCE_COMMON_HTTP_HTTP_DATE_H_
