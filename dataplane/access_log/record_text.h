// Record -> wire message, and the words for its codes.
#ifndef WHENCE_DATAPLANE_ACCESS_LOG_RECORD_TEXT_H_
#define WHENCE_DATAPLANE_ACCESS_LOG_RECORD_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "common/trust/client_privacy.h"
#include "dataplane/access_log/record.h"
#include "whence/v1/access_log.pb.h"

namespace whence::access_log {

// Makes every address that may be a client's as coarse as the mesh wants it.
void HideClient(const trust::ClientPrivacy& privacy, Record* record);

// Pure; safe from any thread. Text that was cut adds "path-truncated" and the like to `flags`.
v1::AccessRecord ToMessage(const Record& record);

// Stands for `dropped` records that were lost just before it.
v1::AccessRecord GapMessage(int64_t time_us, uint64_t dropped);

// How many accesses a message stands for: 1, or a gap's `dropped`.
uint64_t AccessesIn(const v1::AccessRecord& message);

v1::Decision ToWire(Decision decision);
bool HasFlags(const Record& record);  // FlagsText is not empty
std::string_view ProtocolText(Protocol protocol);  // "tcp", "http/1.0", "http/1.1"
std::string FlagsText(const Record& record);       // "downstream-reset,path-truncated"

}  // namespace whence::access_log

#endif  // WHENCE_DATAPLANE_ACCESS_LOG_RECORD_TEXT_H_
