// whence-agent validate: checks documents and prints every fault.
#ifndef WHENCE_DATAPLANE_VALIDATE_COMMAND_H_
#define WHENCE_DATAPLANE_VALIDATE_COMMAND_H_

#include <ostream>
#include <string>
#include <vector>

namespace whence {

struct ValidateOptions {
  std::vector<std::string> paths;  // files, folders or "-"
  bool ignore_unsupported = false;
  bool json = false;
};

// The exit code: 1 if there are faults. As text, faults and warnings go to `err` and a summary to
// `out`; as JSON, all goes to `out`: {"documents":2,"warnings":[…],"faults":[…]}.
int RunValidate(const ValidateOptions& options, std::ostream& out, std::ostream& err);

}  // namespace whence

#endif  // WHENCE_DATAPLANE_VALIDATE_COMMAND_H_
