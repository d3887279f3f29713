#include "common/document/ip_set_file.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/document/ip_set.h"
#include "common/document/values.h"
#include "common/net/cidr.h"

namespace whence::document {
namespace {

// Bounded: a file that is no list at all must not become a million remarks.
class Remarks {
 public:
  explicit Remarks(std::vector<ListRemark>* out) : out_(*out) {}
  void Add(uint32_t line, std::string message) {
    if (++count_ <= kMaxListRemarks) out_.push_back({line, std::move(message)});
  }
  void Finish(std::string_view what) {
    if (count_ <= kMaxListRemarks) return;
    out_.back().message =
        absl::StrCat("and ", count_ - kMaxListRemarks + 1, " more lines ", std::string(what));
  }

 private:
  std::vector<ListRemark>& out_;
  size_t count_ = 0;
};

// Without comment and blanks; empty: nothing is left.
std::string_view Bare(std::string_view line) {
  constexpr std::string_view kBlanks = " \t\r";
  const auto comment =
      std::find_if(line.begin(), line.end(), [](char c) { return c == '#' || c == ';'; });
  line = line.substr(0, static_cast<size_t>(comment - line.begin()));
  const size_t first = line.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(kBlanks) - first + 1);
}

}  // namespace

IpSetList ReadIpSetList(std::string_view content) {
  IpSetList list;
  Remarks faults(&list.faults);
  Remarks warnings(&list.warnings);
  net::CidrPacker packer;
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (content.substr(0, 3) == kByteOrderMark) content.remove_prefix(3);
  for (uint32_t line = 1; !content.empty(); ++line) {
    const size_t end = std::min(content.find('\n'), content.size());
    const std::string_view text = Bare(content.substr(0, end));
    content.remove_prefix(std::min(end + 1, content.size()));
    if (text.empty()) continue;
    const auto cidr = net::Cidr::Parse(text);
    if (!cidr.ok()) {
      faults.Add(line, std::string(cidr.status().message()));
      continue;
    }
    if (cidr->has_host_bits()) warnings.Add(line, HostBitsWarning(text, *cidr));
    list.is_long = list.is_long || list.texts.size() == size_t{kKeptAsWritten};
    if (!list.is_long) list.texts.push_back(text);
    packer.Add(*cidr);
  }
  if (list.is_long) list.texts.clear();
  faults.Finish("are no CIDRs");
  warnings.Finish("have host bits set");
  list.content = packer.Finish();
  return list;
}

}  // namespace whence::document
