// A record that waits for the end of a long connection: only the bytes that it uses, a third or so of
// all. Movable, thread-compatible.
#ifndef WHENCE_DATAPLANE_ACCESS_LOG_PACKED_RECORD_H_
#define WHENCE_DATAPLANE_ACCESS_LOG_PACKED_RECORD_H_

#include <cstring>
#include <memory>

#include "dataplane/access_log/record.h"

namespace whence::access_log {

class PackedRecord {
 public:
  explicit PackedRecord(const Record& record)
      : bytes_(std::make_unique_for_overwrite<char[]>(record.used_bytes())) {
    std::memcpy(bytes_.get(), &record, record.used_bytes());
  }

  void UnpackTo(Record* out) const {
    // What is always used says how much else is.
    std::memcpy(static_cast<void*>(out), bytes_.get(), sizeof(Record) - kTextAreaBytes);
    std::memcpy(static_cast<void*>(out), bytes_.get(), out->used_bytes());
  }

 private:
  std::unique_ptr<char[]> bytes_;
};

}  // namespace whence::access_log

#endif  // WHENCE_DATAPLANE_ACCESS_LOG_PACKED_RECORD_H_
