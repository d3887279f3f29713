// whencectl as it is typed, against a real control plane.
#ifndef WHENCE_TESTS_UNIT_CONTROLPLANE_CTL_CTL_FIXTURE_H_
#define WHENCE_TESTS_UNIT_CONTROLPLANE_CTL_CTL_FIXTURE_H_

#include <string>
#include <vector>

#include "common/document/document.h"
#include "tests/unit/controlplane/control_fixture.h"
#include "tests/unit/controlplane/ctl/typed.h"

namespace whence::ctl {

class CtlFixture : public ControlFixture {
 protected:
  // As typed: exit code; out_ and err_ are what was printed.
  int Ctl(std::vector<std::string> arguments, const std::string& input = "") {
    arguments.insert(arguments.begin(), {"--control-plane", Address()});
    return Type(std::move(arguments), input, &out_, &err_);
  }

  std::string out_, err_;
};

}  // namespace whence::ctl

#endif  // WHENCE_TESTS_UNIT_CONTROLPLANE_CTL_CTL_FIXTURE_H_
