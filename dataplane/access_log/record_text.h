// The words and wire values for the codes of a record.
#ifndef WHENCE_DATAPLANE_ACCESS_LOG_RECORD_TEXT_H_
#define WHENCE_DATAPLANE_ACCESS_LOG_RECORD_TEXT_H_

#include <string>
#include <string_view>

#include "common/trust/client_privacy.h"
#include "dataplane/access_log/record.h"
#include "whence/v1/access_log.pb.h"

namespace whence::access_log {

// Makes every address that may be a client's as coarse as the mesh wants it.
void HideClient(const trust::ClientPrivacy& privacy, Record* record);

v1::Decision ToWire(Decision decision);
bool HasFlags(const Record& record);               // FlagsText is not empty
std::string_view ProtocolText(Protocol protocol);  // "tcp", "http/1.0", "http/1.1"
std::string FlagsText(const Record& record);       // "downstream-reset,path-truncated"

}  // namespace whence::access_log

#endif  // WHENCE_DATAPLANE_ACCESS_LOG_RECORD_TEXT_H_
