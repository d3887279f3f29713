// Flags for the bounds of the data path (dataplane/proxy/limits.h): one row of a table each.
#ifndef WHENCE_DATAPLANE_LIMIT_FLAGS_H_
#define WHENCE_DATAPLANE_LIMIT_FLAGS_H_

#include <string>
#include <vector>

#include "dataplane/proxy/limits.h"

namespace CLI {
class App;
}

namespace whence {

// Thread-compatible. Stays where it is: the declared options point into it.
class LimitFlags {
 public:
  LimitFlags();
  LimitFlags(const LimitFlags&) = delete;
  LimitFlags& operator=(const LimitFlags&) = delete;

  void Declare(CLI::App& app);
  // What is wrong and how to mend it; empty: nothing.
  std::string Apply(proxy::Limits* limits) const;

 private:
  std::vector<std::string> texts_;  // in the order of the table; what was given, or the default
};

}  // namespace whence

#endif  // WHENCE_DATAPLANE_LIMIT_FLAGS_H_
