// Record -> the bytes that a batch consists of (v1::IngestBatch), without the message in between.
//
// A message of this kind has some ten strings of its own on the heap; building, sizing, serialising
// and freeing it costs several microseconds, which is more than everything else that is done with a
// record. Its bytes are simple: a field is a tag and a value, and a record comes behind its length.
// record_encoder_test proves that these bytes parse to what ToMessage gives.
#ifndef WHENCE_DATAPLANE_ACCESS_LOG_RECORD_ENCODER_H_
#define WHENCE_DATAPLANE_ACCESS_LOG_RECORD_ENCODER_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "dataplane/access_log/record.h"

namespace whence::access_log {

// Appends one element of IngestBatch.records. Pure.
void AppendRecord(const Record& record, std::string* batch);
// Stands for `dropped` accesses that were lost just before it; `flags` says how.
void AppendGap(int64_t time_us, uint64_t dropped, std::string_view flags, std::string* batch);

// What stands before the records: boot and first_seq.
std::string BatchHead(std::string_view boot, uint64_t first_seq);
// What stands before a batch of `size` bytes to make it an IngestRequest.
std::string RequestHead(uint64_t size);

}  // namespace whence::access_log

#endif  // WHENCE_DATAPLANE_ACCESS_LOG_RECORD_ENCODER_H_
