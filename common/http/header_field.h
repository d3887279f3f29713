// One header field line, borrowed from the buffer that holds the message head.
#ifndef WHENCE_COMMON_HTTP_HEADER_FIELD_H_
#define WHENCE_COMMON_HTTP_HEADER_FIELD_H_

#include <string_view>

namespace whence::http {

// `name` as received (compare with EqualsIgnoreCase); `value` without outer blanks (RFC 9110, 5.5).
struct HeaderField {
  std::string_view name;
  std::string_view value;
};

}  // namespace whence::http

#endif  // WHENCE_COMMON_HTTP_HEADER_FIELD_H_
