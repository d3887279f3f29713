// Access records as JSON Lines, for `--access-log`: the fields of the view `access_log`, under the
// same names.
//
//   {"time":"2026-11-22T23:04:05.678901Z","agent":"shop/echo",…,"path":"/\u001b[31m"}
//
// Text from the network may be any bytes, and the output is always valid JSON of printable
// characters: control characters, also those of Unicode that reorder or hide text (C1,
// bidirectional overrides, line separators), and every byte that is not part of valid UTF-8 are
// written as \u00XX or \uXXXX.
#ifndef WHENCE_DATAPLANE_ACCESS_LOG_JSON_LINE_H_
#define WHENCE_DATAPLANE_ACCESS_LOG_JSON_LINE_H_

#include <string>
#include <string_view>

#include "whence/v1/access_log.pb.h"

namespace whence::access_log {

// Who reports. Immutable value.
struct Reporting {
  std::string agent;  // "namespace/name"
  std::string workload;
  std::string namespace_;
  std::string node;
  std::string role;
};

// Appends one line with its newline. Pure.
void AppendJsonLine(const v1::AccessRecord& record, const Reporting& reporting, std::string* out);

// Appends `bytes` as a JSON string, quotes included.
void AppendJsonString(std::string_view bytes, std::string* out);

// ISO 8601, UTC, microseconds. For any int64.
std::string TimeText(int64_t time_us);

}  // namespace whence::access_log

#endif  // WHENCE_DATAPLANE_ACCESS_LOG_JSON_LINE_H_
