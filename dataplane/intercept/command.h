// `whence-agent intercept install|remove|show|check`.
#ifndef WHENCE_DATAPLANE_INTERCEPT_COMMAND_H_
#define WHENCE_DATAPLANE_INTERCEPT_COMMAND_H_

#include <span>
#include <string>

namespace whence::intercept {

// `args` are what follows `whence-agent intercept`; --help works at every level. Prints to stdout
// and stderr and returns the exit code: 0 good, 1 failed or not sound, 2 wrong usage.
int RunCommand(std::span<const std::string> args);

}  // namespace whence::intercept

#endif  // WHENCE_DATAPLANE_INTERCEPT_COMMAND_H_
