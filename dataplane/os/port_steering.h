// Which listener of a SO_REUSEPORT group takes a connection: one for the ports on which clients are
// known to speak first, or one for all others.
//
// With TCP_DEFER_ACCEPT the kernel holds a connection back until its first bytes are there, so that
// it is accepted, read and served in one go. Where the server speaks first nothing would come for a
// second, hence two listeners behind one address, and a classic BPF program that looks at the
// packet's own destination port, which TPROXY leaves as it is.
//
//   group:  [ others: worker 0 … n-1 | speaking first: worker 0 … n-1 ]   in order of listen()
#ifndef WHENCE_DATAPLANE_OS_PORT_STEERING_H_
#define WHENCE_DATAPLANE_OS_PORT_STEERING_H_

#include <cstdint>
#include <span>

namespace whence::os {

// For the whole group of `listener`, in place of the program before; needs no capability. Which of
// the workers' sockets it is, is left to chance. What is not TCP right behind the IP header is
// taken for another port. 0 or errno.
int SteerByPort(int listener, bool v4, uint32_t workers, std::span<const uint16_t> speaking_first);

// Connections come with their first bytes, or a second later without. 0 or errno.
int DeferAccept(int listener);
// They come at once again.
int AcceptAtOnce(int listener);

}  // namespace whence::os

#endif  // WHENCE_DATAPLANE_OS_PORT_STEERING_H_
