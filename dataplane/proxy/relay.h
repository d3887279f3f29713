// Bytes both ways between two streams, until both sides are done: TCP, and HTTP after an upgrade.
//
// Each direction has one bounded buffer; when it is full we stop reading, and TCP slows the sender
// down. Where bytes come fast they move through a pipe instead, without being copied. An end of one
// direction is passed on when its last byte is (half-close: the other direction goes on); a reset
// ends both at once. Loop-affine.
#ifndef WHENCE_DATAPLANE_PROXY_RELAY_H_
#define WHENCE_DATAPLANE_PROXY_RELAY_H_

#include <cstdint>

#include "common/proxy_protocol/signature_guard.h"
#include "dataplane/proxy/buffer.h"
#include "dataplane/proxy/stream.h"

namespace whence::proxy {

class Relay {
 public:
  struct Side {
    Stream& stream;
    ReadBuffer& in;
  };
  // What already waits in the buffers goes first. All references outlive this object. `first_bytes`
  // (may be null) looks at what is read from downstream.
  Relay(BufferPool& pool, PipePool& pipes, Side downstream, Side upstream,
        proxy_protocol::SignatureGuard* first_bytes = nullptr);

  enum class State : uint8_t {
    kOpen,
    kDone,              // both ends were read and passed on
    kDownstreamBroken,  // reset by that side: reset the other
    kUpstreamBroken,
    kForbiddenHeader,  // downstream began with a PROXY protocol header: reset both
  };
  struct Progress {
    State state;
    bool moved = false;      // any byte: the idle timer starts anew
    bool cut_short = false;  // more could move; others get their turn first
  };
  Progress Move();

  uint64_t bytes_in() const { return in_.bytes; }    // read from downstream and passed on
  uint64_t bytes_out() const { return out_.bytes; }  // passed on to downstream

 private:
  struct Direction {
    Side from;
    Stream& to;
    proxy_protocol::SignatureGuard* first_bytes = nullptr;
    uint64_t bytes = 0;
  };
  enum class Step : uint8_t { kNothing, kMoved, kFromBroken, kToBroken, kForbidden };
  Stream::Result Read(Direction& direction);
  Step MoveOnce(Direction& direction);
  static bool Done(const Direction& direction) { return direction.to.write_shut(); }

  BufferPool& pool_;
  PipePool& pipes_;
  Direction in_;
  Direction out_;
};

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_RELAY_H_
