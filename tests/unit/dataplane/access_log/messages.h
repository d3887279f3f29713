// What a record is as a message, said field by field: what the encoder's bytes have to parse to.
#ifndef WHENCE_TESTS_UNIT_DATAPLANE_ACCESS_LOG_MESSAGES_H_
#define WHENCE_TESTS_UNIT_DATAPLANE_ACCESS_LOG_MESSAGES_H_

#include <cstdint>

#include "dataplane/access_log/record.h"
#include "whence/v1/access_log.pb.h"

namespace whence::access_log {

// Text that was cut adds "path-truncated" and the like to `flags`.
v1::AccessRecord ToMessage(const Record& record);

// Stands for `dropped` records that were lost just before it.
v1::AccessRecord GapMessage(int64_t time_us, uint64_t dropped);

// How many accesses a message stands for: 1, or a gap's `dropped`.
uint64_t AccessesIn(const v1::AccessRecord& message);

}  // namespace whence::access_log

#endif  // WHENCE_TESTS_UNIT_DATAPLANE_ACCESS_LOG_MESSAGES_H_
