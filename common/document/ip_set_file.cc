#include "common/document/ip_set_file.h"

namespace whence::document {

std::vector<ListedCidr> ReadIpSetFileLines(std::string_view content) {
  std::vector<ListedCidr> listed;
  constexpr std::string_view kBlanks = " \t\r";
  for (uint32_t line = 1; !content.empty(); ++line) {
    const size_t end = content.find('\n');
    std::string_view text = content.substr(0, end);
    content = end == std::string_view::npos ? "" : content.substr(end + 1);
    text = text.substr(0, text.find('#'));
    const size_t first = text.find_first_not_of(kBlanks);
    if (first == std::string_view::npos) continue;
    text = text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
    listed.push_back({std::string(text), line});
  }
  return listed;
}

}  // namespace whence::document
