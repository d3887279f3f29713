// The text file that an IpSet may name: one CIDR a line, `#` begins a comment.
#ifndef WHENCE_COMMON_DOCUMENT_IP_SET_FILE_H_
#define WHENCE_COMMON_DOCUMENT_IP_SET_FILE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace whence::document {

struct ListedCidr {
  std::string text;  // not checked
  uint32_t line = 0;
};

std::vector<ListedCidr> ReadIpSetFileLines(std::string_view content);

}  // namespace whence::document

#endif  // WHENCE_COMMON_DOCUMENT_IP_SET_FILE_H_
