// A batch as it stands on disk and goes over the wire: the bytes of a v1::IngestBatch, and the few
// facts about it by which it is sent, acknowledged and given up. Records are encoded once, when
// they come out of a ring, and never made into messages again.
#ifndef WHENCE_DATAPLANE_ACCESS_LOG_ENCODED_BATCH_H_
#define WHENCE_DATAPLANE_ACCESS_LOG_ENCODED_BATCH_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "dataplane/access_log/record.h"
#include "whence/v1/access_log.pb.h"

namespace whence::access_log {

// Value; thread-compatible.
class EncodedBatch {
 public:
  EncodedBatch() = default;
  // Empty, to be added to.
  EncodedBatch(std::string boot, uint64_t first_seq);
  EncodedBatch(const v1::IngestBatch& message);  // NOLINT: implicit on purpose, the same thing
  // One gap record.
  static EncodedBatch Gap(std::string boot, uint64_t seq, int64_t time_us, uint64_t dropped,
                          std::string_view flags = {});
  // Nothing: these are not the bytes of a batch with records.
  static std::optional<EncodedBatch> Parse(std::string_view bytes);

  void Reserve(size_t bytes) { bytes_.reserve(bytes); }
  void Add(const Record& record);
  void AddGap(int64_t time_us, uint64_t dropped, std::string_view flags = {});

  v1::IngestBatch Decode() const;
  const std::string& bytes() const& { return bytes_; }
  std::string bytes() && { return std::move(bytes_); }

  const std::string& boot() const { return boot_; }
  uint64_t first_seq() const { return first_seq_; }
  // REQUIRES: there are records.
  uint64_t last_seq() const { return first_seq_ + records_ - 1; }
  uint64_t records() const { return records_; }
  uint64_t gaps() const { return gaps_; }          // how many of the records are gaps
  uint64_t accesses() const { return accesses_; }  // that the records stand for
  int64_t last_time_us() const { return last_time_us_; }

 private:
  void Count(int64_t time_us, uint64_t dropped);

  std::string boot_;
  uint64_t first_seq_ = 0;
  uint64_t records_ = 0;
  uint64_t gaps_ = 0;
  uint64_t accesses_ = 0;
  int64_t last_time_us_ = 0;
  std::string bytes_;
};

}  // namespace whence::access_log

#endif  // WHENCE_DATAPLANE_ACCESS_LOG_ENCODED_BATCH_H_
