// Is interception sound here, and if not, what is missing and how is it mended?
#ifndef WHENCE_DATAPLANE_INTERCEPT_CHECK_H_
#define WHENCE_DATAPLANE_INTERCEPT_CHECK_H_

#include <string>
#include <vector>

#include "dataplane/intercept/kernel.h"

namespace whence::intercept {

struct Finding {
  enum class Level { kGood, kNote, kFault };
  Level level;
  std::string what;
  std::string mend;  // empty unless kFault
};

struct CheckResult {
  std::vector<Finding> findings;
  bool sound() const {
    for (const Finding& finding : findings) {
      if (finding.level == Finding::Level::kFault) return false;
    }
    return true;
  }
};

// Never fails: what cannot be read is itself a fault. Changes nothing.
CheckResult Check(Kernel& kernel);

}  // namespace whence::intercept

#endif  // WHENCE_DATAPLANE_INTERCEPT_CHECK_H_
