// What only starting needed leaves memory again.
#ifndef WHENCE_DATAPLANE_RESIDENT_H_
#define WHENCE_DATAPLANE_RESIDENT_H_

namespace whence {

// Unmaps the pages of code that are resident, and gives free heap back to the system. Code that is
// still in use comes back by itself, in groups of pages, at a microsecond or so for each group: to be
// called once, when starting is over. Half of what the agent has resident by then is code that reads
// configuration, starts gRPC and the like, and will not run again. From any thread.
void GiveBackStartupMemory();

}  // namespace whence

#endif  // WHENCE_DATAPLANE_RESIDENT_H_
