// The flags of `logs`, `logs export` and `top`.
#ifndef WHENCE_CONTROLPLANE_CTL_LOG_OPTIONS_H_
#define WHENCE_CONTROLPLANE_CTL_LOG_OPTIONS_H_

#include <cstdint>
#include <string>

#include "controlplane/ctl/options.h"

namespace CLI {
class App;
}

namespace whence::ctl {

// What CLI11 writes into.
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

void DeclareLogs(CLI::App& app, LogFlags& flags);
// What is wrong; empty: nothing. REQUIRES: the command is one of the three.
std::string InterpretLogs(const CLI::App& app, const LogFlags& flags, Command* command);

// Likewise; "" is right, since it says nothing.
std::string CheckWorkload(const std::string& workload);

}  // namespace whence::ctl

#endif  // WHENCE_CONTROLPLANE_CTL_LOG_OPTIONS_H_
