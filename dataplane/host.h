// What this machine tells of itself: the defaults of the command line.
#ifndef WHENCE_DATAPLANE_HOST_H_
#define WHENCE_DATAPLANE_HOST_H_

#include "dataplane/config.h"

namespace whence {

// Host name, processors that we may use (affinity and the container's CPU quota), addresses.
HostDefaults ReadHost();

}  // namespace whence

#endif  // WHENCE_DATAPLANE_HOST_H_
