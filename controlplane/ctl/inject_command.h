// whencectl inject and uninject: manifests in, manifests out. Needs no control plane.
#ifndef WHENCE_CONTROLPLANE_CTL_INJECT_COMMAND_H_
#define WHENCE_CONTROLPLANE_CTL_INJECT_COMMAND_H_

#include <istream>
#include <ostream>
#include <string>
#include <vector>

#include "controlplane/inject_flags.h"

namespace CLI {
class App;
}

namespace whence::ctl {

struct InjectOptions {
  std::vector<std::string> files;  // files, directories or "-"
  bool undo = false;               // uninject
  control::InjectFlags flags;
  inject::Settings settings;  // what the flags come to
};

// Declares both commands on `app`, writing into the options.
void DeclareInject(CLI::App& app, InjectOptions* inject, InjectOptions* uninject);

// Fills `settings`. What is wrong; empty: nothing.
std::string InterpretInject(InjectOptions* options);

// Prints the manifests to `out`; what was left alone, warnings and faults to `err`, with the file's
// name. The exit code: 1 if there is a fault, and then nothing is printed to `out`.
int RunInject(const InjectOptions& options, std::istream& input, std::ostream& out,
              std::ostream& err);

}  // namespace whence::ctl

#endif  // WHENCE_CONTROLPLANE_CTL_INJECT_COMMAND_H_
