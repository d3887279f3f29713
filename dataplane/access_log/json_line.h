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

#include "dataplane/access_log/record.h"

namespace whence::access_log {

// Who reports. Immutable value.
struct Reporting {
  std::string agent;  // "namespace/name"
  std::string workload;
  std::string namespace_;
  std::string node;
  std::string role;
};

// The lines of one agent, each with its newline. Immutable.
class JsonLines {
 public:
  explicit JsonLines(const Reporting& reporting);

  void Append(const Record& record, std::string* out) const;
  // Stands for `dropped` records that were lost just before it.
  void AppendGap(int64_t time_us, uint64_t dropped, std::string* out) const;

 private:
  std::string reporting_;  // its members as JSON
};

// Appends `bytes` as a JSON string, quotes included.
void AppendJsonString(std::string_view bytes, std::string* out);

// ISO 8601, UTC, microseconds. For any int64.
std::string TimeText(int64_t time_us);

}  // namespace whence::access_log

#endif  // WHENCE_DATAPLANE_ACCESS_LOG_JSON_LINE_H_
