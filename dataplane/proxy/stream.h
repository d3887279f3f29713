// A non-blocking stream socket that remembers what epoll said.
//
// Events are edge-triggered: "readable" is told once and holds until a read finds nothing more.
// Room for writing is asked for when a write first finds none. Loop-affine.
#ifndef WHENCE_DATAPLANE_PROXY_STREAM_H_
#define WHENCE_DATAPLANE_PROXY_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "dataplane/loop/event_loop.h"
#include "dataplane/os/unique_fd.h"

namespace whence::proxy {

enum class Io : uint8_t {
  kMoved,    // some bytes
  kBlocked,  // nothing now; an event will tell
  kEnd,      // reading: the other side sends no more
  kBroken,   // reset or timed out
};

class Stream {
 public:
  // What small pieces do that are sent while earlier ones are not yet acknowledged.
  enum class Nagle : uint8_t {
    kOff,             // TCP_NODELAY is set: they go at once
    kOffAtNextWrite,  // it is not set yet; a first write does not need it, the second sets it
  };
  explicit Stream(os::UniqueFd fd, Nagle nagle = Nagle::kOff) : fd_(std::move(fd)), nagle_(nagle) {}

  // Has `handler` told of events; `interest` kBoth for a socket that is still connecting. False:
  // out of memory for that. Both outlive this object.
  bool Register(loop::EventLoop& loop, loop::EventHandler& handler,
                loop::EventLoop::Interest interest);

  int fd() const { return fd_.get(); }
  bool open() const { return static_cast<bool>(fd_); }

  void Note(uint32_t events);
  bool readable() const { return readable_; }
  bool writable() const { return writable_; }
  bool at_end() const { return at_end_; }  // the end was read
  bool broken() const { return broken_; }
  // Both directions are dead: nothing we write arrives any more.
  bool hung_up() const { return hung_up_; }

  struct Result {
    Io io;
    size_t bytes = 0;
  };
  // REQUIRES: `room` is not empty.
  Result Read(std::span<char> room);
  // Both parts with one call; the first before the second. REQUIRES: not both are empty.
  // `last`: an end of this direction follows at once (ShutdownWrite or Close), so that it can go
  // out with these bytes in one packet.
  Result Write(std::string_view first, std::string_view second = {}, bool last = false);

  // Whether the other side has said nothing, and not ended: asked of the socket itself, since an
  // event may still be on its way.
  bool IsSilent() const;

  // Our FIN, once. False: the connection is broken.
  void ShutdownWrite();
  bool write_shut() const { return write_shut_; }

  void Close() { fd_.Reset(); }
  // Closes with a reset: the other side learns that something went wrong, and nothing lingers.
  void Reset();

 private:
  void Block();

  os::UniqueFd fd_;
  loop::EventLoop* loop_ = nullptr;
  loop::EventHandler* handler_ = nullptr;
  Nagle nagle_;
  bool written_ = false;
  bool watches_writable_ = false;
  bool readable_ = false;
  bool writable_ = true;  // until a write says otherwise
  bool peer_shut_ = false;
  bool at_end_ = false;
  bool broken_ = false;
  bool hung_up_ = false;
  bool write_shut_ = false;
};

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_STREAM_H_
