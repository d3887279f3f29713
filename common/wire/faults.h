// Collects what is wrong with a message, for one refusal that names it all.
#ifndef WHENCE_COMMON_WIRE_FAULTS_H_
#define WHENCE_COMMON_WIRE_FAULTS_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace whence::wire {

// Thread-compatible. Bounded, since its text travels in a NACK.
class Faults {
 public:
  void Add(const std::string& path, const std::string& message) {
    AddLine(absl::StrCat(path, ": ", message));
  }
  void AddLine(std::string line) {
    if (lines_.size() < kLimit) lines_.push_back(std::move(line));
    ++count_;
  }
  bool empty() const { return count_ == 0; }

  absl::Status ToStatus() const {
    std::string text = absl::StrJoin(lines_, "\n");
    if (count_ > lines_.size()) {
      absl::StrAppend(&text, "\nand ", count_ - lines_.size(), " more faults");
    }
    return absl::InvalidArgumentError(text);
  }

 private:
  static constexpr size_t kLimit = 50;

  std::vector<std::string> lines_;
  size_t count_ = 0;
};

}  // namespace whence::wire

#endif  // WHENCE_COMMON_WIRE_FAULTS_H_
