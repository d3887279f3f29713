// What the process may do, and how many files it may have open.
#ifndef WHENCE_DATAPLANE_PRIVILEGES_H_
#define WHENCE_DATAPLANE_PRIVILEGES_H_

#include "absl/status/status.h"

namespace whence {

// Keeps of the capabilities that the process has what a running agent needs (CAP_NET_RAW for
// transparent sockets and marks, CAP_NET_BIND_SERVICE for a gateway's ports) and gives up all
// others, for good. Capabilities belong to threads: call before the first is started.
absl::Status DropCapabilities();

// A connection through us is two descriptors, and the usual soft limit is 1,024: raises it to the
// hard one.
void RaiseFileLimit();

}  // namespace whence

#endif  // WHENCE_DATAPLANE_PRIVILEGES_H_
