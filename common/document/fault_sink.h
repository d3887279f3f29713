// Collects what is wrong, with its place.
#ifndef WHENCE_COMMON_DOCUMENT_FAULT_SINK_H_
#define WHENCE_COMMON_DOCUMENT_FAULT_SINK_H_

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/document/location.h"
#include "whence/v1/admin.pb.h"

namespace whence::document {

// Thread-compatible. Bounded: a broken million-line file must not become a million faults. Those
// beyond the limit are counted, and TakeFaults says so.
class FaultSink {
 public:
  static constexpr size_t kLimit = 200;

  void SetFile(std::string file) { file_ = std::move(file); }
  // "IpPolicy ns/name"; clears what HasFaultBelow remembers.
  void SetDocument(std::string document);

  void Fault(Location at, const std::string& path, std::string message);
  void Warn(Location at, const std::string& path, std::string message);

  // Whether this document has a fault at `path` or in something below it: "is empty" need not be
  // said of a field whose only content could not be read.
  bool HasFaultBelow(const std::string& path) const;
  size_t faults_of_document() const { return document_paths_.size(); }

  std::vector<v1::Fault> TakeFaults();
  std::vector<v1::Fault> TakeWarnings() { return std::move(warnings_); }

 private:
  v1::Fault Make(Location at, const std::string& path, std::string message) const;

  std::string file_;
  std::string document_;
  std::multiset<std::string> document_paths_;  // of faults of the current document
  std::vector<v1::Fault> faults_, warnings_;
  size_t beyond_limit_ = 0;
};

}  // namespace whence::document

#endif  // WHENCE_COMMON_DOCUMENT_FAULT_SINK_H_
