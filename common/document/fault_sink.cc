#include "common/document/fault_sink.h"

namespace whence::document {

void FaultSink::SetDocument(std::string document) {
  document_ = std::move(document);
  document_paths_.clear();
}

v1::Fault FaultSink::Make(Location at, const std::string& path, std::string message) const {
  v1::Fault fault;
  fault.set_file(file_);
  fault.set_line(at.line);
  fault.set_column(at.column);
  fault.set_document(document_);
  fault.set_path(path);
  fault.set_message(std::move(message));
  return fault;
}

void FaultSink::Fault(Location at, const std::string& path, std::string message) {
  document_paths_.insert(path);
  if (faults_.size() == kLimit) {
    ++beyond_limit_;
    return;
  }
  faults_.push_back(Make(at, path, std::move(message)));
}

void FaultSink::Warn(Location at, const std::string& path, std::string message) {
  if (warnings_.size() < kLimit) warnings_.push_back(Make(at, path, std::move(message)));
}

bool FaultSink::HasFaultBelow(const std::string& path) const {
  for (auto at = document_paths_.lower_bound(path);
       at != document_paths_.end() && at->compare(0, path.size(), path) == 0; ++at) {
    if (at->size() == path.size() || (*at)[path.size()] == '.' || (*at)[path.size()] == '[') {
      return true;
    }
  }
  return false;
}

std::vector<v1::Fault> FaultSink::TakeFaults() {
  if (beyond_limit_ > 0) {
    v1::Fault more;
    more.set_file(file_);
    more.set_message("and " + std::to_string(beyond_limit_) + " more faults");
    faults_.push_back(std::move(more));
    beyond_limit_ = 0;
  }
  return std::move(faults_);
}

}  // namespace whence::document
