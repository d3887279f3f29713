// Which access records people ask for, as they write it: on a command line, or in the console's form.
#ifndef WHENCE_CONTROLPLANE_CTL_LOG_SELECTION_H_
#define WHENCE_CONTROLPLANE_CTL_LOG_SELECTION_H_

#include <cstdint>
#include <optional>
#include <string>

#include "whence/v1/admin.pb.h"

namespace whence::ctl {

// Which records. Times in `query` are filled from the spans when the command runs.
struct LogSelection {
  v1::LogQuery query;
  std::optional<int64_t> since_span_us, until_span_us;
};

// As written.
struct LogFlags {
  std::string client, peer, workload, decision, since, until;
  std::string host, path, method, policy, request_id;
  uint32_t status = 0;
  int64_t id = 0, before = 0;
  uint32_t limit = 0;  // 0: not given
  bool follow = false;
  std::string deadline, output = "table";
  std::string format = "jsonl", file = "-";
  std::string top_by, top_since = "1h";
  uint32_t top_limit = 20;
};

// Each of the next returns what is wrong, in the words of the flag ("--since …: give …"); empty:
// nothing.
std::string ReadSelection(const LogFlags& flags, LogSelection* selection);
std::string ReadSpan(const char* flag, const std::string& text, std::optional<int64_t>* span_us);
// "" is right, since it says nothing.
std::string CheckWorkload(const std::string& workload);

}  // namespace whence::ctl

#endif  // WHENCE_CONTROLPLANE_CTL_LOG_SELECTION_H_
