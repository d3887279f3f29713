// The text file that an IpSet may name: one CIDR a line, as published feeds are. `#` or `;` begins
// a comment, on a line of its own or behind a CIDR.
#ifndef WHENCE_COMMON_DOCUMENT_IP_SET_FILE_H_
#define WHENCE_COMMON_DOCUMENT_IP_SET_FILE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/net/packed_cidrs.h"

namespace whence::document {

// What is to be said of one line, from 1.
struct ListRemark {
  uint32_t line = 0;
  std::string message;
};

struct IpSetList {
  // As written, of the content given, the good ones; nothing, if there are more than kKeptAsWritten.
  std::vector<std::string_view> texts;
  bool is_long = false;  // there are
  net::PackedCidrs content;
  std::vector<ListRemark> faults;  // at most kMaxListRemarks of each; the last tells how many more
  std::vector<ListRemark> warnings;  // host bits
};

inline constexpr size_t kMaxListRemarks = 100;

IpSetList ReadIpSetList(std::string_view content);

}  // namespace whence::document

#endif  // WHENCE_COMMON_DOCUMENT_IP_SET_FILE_H_
