// whencectl as it is typed, against a real control plane.
#ifndef WHENCE_TESTS_UNIT_CONTROLPLANE_CTL_CTL_FIXTURE_H_
#define WHENCE_TESTS_UNIT_CONTROLPLANE_CTL_CTL_FIXTURE_H_

#include <sstream>
#include <string>
#include <vector>

#include "common/document/document.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/options.h"
#include "tests/unit/controlplane/control_fixture.h"

namespace whence::ctl {

class CtlFixture : public ControlFixture {
 protected:
  // As typed: exit code; out_ and err_ are what was printed.
  int Ctl(std::vector<std::string> arguments, const std::string& input = "") {
    arguments.insert(arguments.begin(), {"whencectl", "--control-plane", Address()});
    std::vector<const char*> raw;
    for (const std::string& argument : arguments) raw.push_back(argument.c_str());
    CommandLine line = ParseCommandLine(static_cast<int>(raw.size()), raw.data());
    out_ = line.out;
    err_ = line.error;
    if (!line.options) return line.exit_code;
    std::istringstream in(input);
    std::ostringstream out, err;
    int code = ctl::Run(*line.options, in, out, err);
    out_ = out.str();
    err_ = err.str();
    return code;
  }

  std::string out_, err_;
};

}  // namespace whence::ctl

#endif  // WHENCE_TESTS_UNIT_CONTROLPLANE_CTL_CTL_FIXTURE_H_
