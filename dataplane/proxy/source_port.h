// Source ports for connections that leave with a client's address, chosen so that they meet none of
// the client's own.
//
// The client C:p is connected to D:d, and the kernel knows that as a socket of ours. If we now
// connect to D:d as C with port p (or with the port of any other connection of C to D:d), the
// application's side of our connection has the same four numbers. The SYN then goes to our own
// accepted socket instead of the application, and hangs. The reverse is as bad: when C later picks
// a port that we use, its SYN finds the application's socket and is dropped.
//
// So ports come from a range below every usual ephemeral range (Linux 32768 to 60999, RFC 6335
// 49152 to 65535), where clients do not pick theirs, and those few clients that do are remembered
// and stepped around. What they have begun and we have not accepted is not known here: the packet
// rules refuse our SYN if it meets that, and we take another port (Connector::TriesAnotherPort), as
// they refuse the client's if it meets a connection of ours (intercept/rule_set.h). Ports are bound
// explicitly: IP_LOCAL_PORT_RANGE can only narrow the namespace's own ephemeral range, which is
// just where clients pick theirs.
//
// With SO_REUSEADDR one port serves any number of destinations; only the whole tuple must be free,
// which connect() tells (EADDRNOTAVAIL). A tuple in TIME_WAIT counts as free for a port that was
// bound explicitly (tcp_twsk_unique: timestamps keep the two connections apart), so 30,000
// connections a minute from one client are no problem.
#ifndef WHENCE_DATAPLANE_PROXY_SOURCE_PORT_H_
#define WHENCE_DATAPLANE_PROXY_SOURCE_PORT_H_

#include <atomic>
#include <cstdint>
#include <mutex>

#include "absl/container/flat_hash_map.h"
#include "common/net/socket_address.h"
#include "dataplane/proxy/data_plane.h"

namespace whence::proxy {

// The ports of one worker: every `stride`-th of the range, so that workers do not try the same one
// at the same time. Pure. REQUIRES: range.low <= range.high, offset < stride.
class PortSequence {
 public:
  PortSequence(PortRange range, uint32_t stride, uint32_t offset, uint32_t start);
  uint16_t Next();
  // Goes on elsewhere: connections that were made in a row and stayed have their ports in a row,
  // too. A few of these look at the whole range (steps of the golden section leave no gap for
  // long).
  void Jump();

 private:
  uint32_t low_;
  uint32_t count_;
  uint32_t stride_;
  uint32_t position_;
};

// Live downstream connections whose client port lies in our range: normally none, so that asking
// costs one relaxed read. Thread-safe.
class TupleTable {
 public:
  explicit TupleTable(PortRange range) : range_(range) {}

  // Returns whether the tuple is watched; only then Remove it.
  bool Add(const net::SocketAddress& client, const net::SocketAddress& destination);
  void Remove(const net::SocketAddress& client, const net::SocketAddress& destination);
  bool Contains(const net::SocketAddress& client, const net::SocketAddress& destination) const;
  // Whether there ever was such a client.
  bool has_met() const { return has_met_.load(std::memory_order_relaxed); }

 private:
  struct Tuple {
    net::SocketAddress client;
    net::SocketAddress destination;
    friend bool operator==(const Tuple&, const Tuple&) = default;
    template <typename H>
    friend H AbslHashValue(H h, const Tuple& t) {
      return H::combine(std::move(h), t.client, t.destination);
    }
  };

  const PortRange range_;
  std::atomic<uint32_t> size_ = 0;
  std::atomic<bool> has_met_ = false;
  mutable std::mutex mutex_;
  absl::flat_hash_map<Tuple, uint32_t> tuples_;  // how often: an old connection may linger
};

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_SOURCE_PORT_H_
