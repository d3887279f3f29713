#include "dataplane/access_log/encoded_batch.h"

#include <utility>

#include "dataplane/access_log/record_encoder.h"

namespace whence::access_log {

EncodedBatch::EncodedBatch(std::string boot, uint64_t first_seq)
    : boot_(std::move(boot)), first_seq_(first_seq), bytes_(BatchHead(boot_, first_seq)) {}

EncodedBatch::EncodedBatch(const v1::IngestBatch& message)
    : boot_(message.boot()), first_seq_(message.first_seq()), bytes_(message.SerializeAsString()) {
  for (const v1::AccessRecord& record : message.records())
    Count(record.time_us(), record.dropped());
}

EncodedBatch EncodedBatch::Gap(std::string boot, uint64_t seq, int64_t time_us, uint64_t dropped,
                               std::string_view flags) {
  EncodedBatch gap(std::move(boot), seq);
  gap.AddGap(time_us, dropped, flags);
  return gap;
}

std::optional<EncodedBatch> EncodedBatch::Parse(std::string_view bytes) {
  v1::IngestBatch message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) ||
      message.records().empty()) {
    return std::nullopt;
  }
  return EncodedBatch(message);
}

void EncodedBatch::Count(int64_t time_us, uint64_t dropped) {
  ++records_;
  gaps_ += dropped > 0 ? 1 : 0;
  accesses_ += dropped > 0 ? dropped : 1;
  last_time_us_ = time_us;
}

void EncodedBatch::Add(const Record& record) {
  AppendRecord(record, &bytes_);
  Count(record.time_us, 0);
}

void EncodedBatch::AddGap(int64_t time_us, uint64_t dropped, std::string_view flags) {
  AppendGap(time_us, dropped, flags, &bytes_);
  Count(time_us, dropped);
}

v1::IngestBatch EncodedBatch::Decode() const {
  v1::IngestBatch message;
  message.ParseFromString(bytes_);
  return message;
}

}  // namespace whence::access_log
