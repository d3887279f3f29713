// Sockets as the data path needs them: non-blocking, closed on exec, with the few options that
// transparent proxying is made of.
//
// Cold calls (listeners) give an absl::Status that names call and purpose. Calls on the hot path
// give 0 or an errno value: an error there is an everyday event that the caller counts.
#ifndef WHENCE_DATAPLANE_OS_SOCKET_H_
#define WHENCE_DATAPLANE_OS_SOCKET_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/net/socket_address.h"
#include "dataplane/os/unique_fd.h"

namespace whence::os {

struct ListenOptions {
  bool transparent = false;  // IP_TRANSPARENT: accept for addresses that are not ours
  uint32_t mark = 0;         // SO_MARK, 0: none; accepted sockets inherit it
  bool reuse_port = true;    // SO_REUSEPORT: one listener per worker
  int backlog = 4096;
  bool delay_acks = false;                    // see DelayAcks
  std::chrono::milliseconds user_timeout{0};  // TCP_USER_TIMEOUT of accepted sockets; 0: system's
};

// A listening TCP socket of the address's own family (an IPv6 one is IPv6 only). Accepted sockets
// inherit TCP_NODELAY and keep-alive from it, which saves two calls per connection.
absl::StatusOr<UniqueFd> Listen(const net::SocketAddress& address, const ListenOptions& options);

// False where the kernel was started without the family (ipv6.disable=1).
bool IsFamilySupported(bool v4);

// From now on the listener ignores new SYNs; handshakes under way complete. Who is ignored sends its
// SYN again after a second, and is then refused, or served by who listens then. Accepted sockets are
// not affected. 0 or errno.
int IgnoreNewConnections(int listener);

struct AcceptQueue {
  uint32_t waiting = 0;
  uint32_t most = 0;  // the kernel's bound: the backlog, as far as the system allows
  bool full() const { return most > 0 && waiting > most; }  // it takes one more than its bound
};
AcceptQueue AcceptQueueOf(int listener);

struct Accepted {
  UniqueFd fd;
  net::SocketAddress peer;
};
// 0 and `out`, or errno (EAGAIN: none waits).
int Accept(int listener, Accepted* out);

// The local end: the original destination of a connection that TPROXY brought.
std::optional<net::SocketAddress> LocalAddress(int fd);
// The remote end.
std::optional<net::SocketAddress> PeerAddress(int fd);
// The destination before REDIRECT, from connection tracking. `v4`: family of the accepted socket.
// nullopt: the connection was not redirected.
std::optional<net::SocketAddress> OriginalDestination(int fd, bool v4);

// A non-blocking TCP socket; -1 and errno on error.
UniqueFd NewTcpSocket(bool v4);
int SetNoDelay(int fd);
// Acknowledgements wait for something to go along with. On a listener: for what it accepts.
int DelayAcks(int fd);
// What waits goes now, and so does the next.
int AckNow(int fd);
// Readable is told when so many bytes have come, or an end or an error.
int SetLowWater(int fd, size_t bytes);
// What has come and was not read yet.
size_t UnreadBytes(int fd);
// What was written and was not sent once yet.
size_t UnsentBytes(int fd);
// From now on there is room for writing only when nothing is unsent.
int TellRoomWhenSent(int fd);
// From now on recvmsg says how many bytes are left (TCP_CM_INQ).
int TellRest(int fd);
// May be bound to an address that is not ours. Needs CAP_NET_RAW or CAP_NET_ADMIN.
int SetTransparent(int fd, bool v4);
int SetMark(int fd, uint32_t mark);
// The port is chosen at connect(), when the whole tuple is known: as many connections per source
// address as there are ports for each destination, not in all.
int SetBindNoPort(int fd);
int SetReuseAddress(int fd);
struct KeepAlive {
  std::chrono::seconds time{60};      // of silence, before the first probe
  std::chrono::seconds interval{15};  // between probes
  int probes = 4;
};
int SetKeepAlive(int fd, const KeepAlive& probing = {});
// The longest there is, 24 days, for one that is longer.
int SetUserTimeout(int fd, std::chrono::milliseconds timeout);
int Bind(int fd, const net::SocketAddress& address);
// 0, EINPROGRESS or another errno.
int Connect(int fd, const net::SocketAddress& address);
// Takes the connection away, with a reset if the other side has not heard our end. Options and an
// explicitly bound port stay, so that the socket can be connected again. 0 or errno.
int Dissolve(int fd);
// Whether the other side has acknowledged all that we sent, our end included.
bool IsAllAcknowledged(int fd);
// Sends `bytes` together with what is written next (MSG_MORE), on a socket that has sent nothing
// yet. False: not all of them.
bool SendAhead(int fd, std::string_view bytes);
// SO_ERROR: how a connect ended, or what reset a connection. 0: no error.
int TakeError(int fd);
// The next close() sends RST and drops what is queued: how a reset is passed on.
void ResetOnClose(int fd);

}  // namespace whence::os

#endif  // WHENCE_DATAPLANE_OS_SOCKET_H_
