// A command line as it is typed.
#ifndef WHENCE_TESTS_UNIT_CONTROLPLANE_CTL_TYPED_H_
#define WHENCE_TESTS_UNIT_CONTROLPLANE_CTL_TYPED_H_

#include <sstream>
#include <string>
#include <vector>

#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/options.h"

namespace whence::ctl {

inline CommandLine Parse(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "whencectl");
  std::vector<const char*> raw;
  for (const std::string& argument : arguments) raw.push_back(argument.c_str());
  return ParseCommandLine(static_cast<int>(raw.size()), raw.data());
}

// The exit code; `*out` and `*err` are what was printed.
inline int Type(std::vector<std::string> arguments, const std::string& input, std::string* out,
                std::string* err) {
  const CommandLine line = Parse(std::move(arguments));
  *out = line.out;
  *err = line.error;
  if (!line.options) return line.exit_code;
  std::istringstream in(input);
  std::ostringstream printed, complained;
  const int code = ctl::Run(*line.options, in, printed, complained);
  *out = printed.str();
  *err = complained.str();
  return code;
}

}  // namespace whence::ctl

#endif  // WHENCE_TESTS_UNIT_CONTROLPLANE_CTL_TYPED_H_
