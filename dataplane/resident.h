// What only starting needed leaves memory again.
#ifndef WHENCE_DATAPLANE_RESIDENT_H_
#define WHENCE_DATAPLANE_RESIDENT_H_

namespace whence {

// Has the allocator map every block of a megabyte or more by itself, so that it leaves memory with
// its last user. By default it takes the first such block that is freed as a sign that more will
// come, and keeps room for them: a set of a million CIDRs was in memory twice over after a change
// of it. To be called before the first thread starts.
void KeepLargeBlocksApart();

// Unmaps the pages of code that are resident, and gives free heap back to the system. Code that is
// still in use comes back by itself, in groups of pages, at a microsecond or so for each group: to be
// called once, when starting is over. Half of what the agent has resident by then is code that reads
// configuration, starts gRPC and the like, and will not run again. From any thread.
void GiveBackStartupMemory();

}  // namespace whence

#endif  // WHENCE_DATAPLANE_RESIDENT_H_
