// The flags of `logs`, `logs export` and `top`.
#ifndef WHENCE_CONTROLPLANE_CTL_LOG_OPTIONS_H_
#define WHENCE_CONTROLPLANE_CTL_LOG_OPTIONS_H_

#include <string>

#include "controlplane/ctl/log_selection.h"
#include "controlplane/ctl/options.h"

namespace CLI {
class App;
}

namespace whence::ctl {

void DeclareLogs(CLI::App& app, LogFlags& flags);
// What is wrong; empty: nothing. REQUIRES: the command is one of the three.
std::string InterpretLogs(const CLI::App& app, const LogFlags& flags, Command* command);

}  // namespace whence::ctl

#endif  // WHENCE_CONTROLPLANE_CTL_LOG_OPTIONS_H_
