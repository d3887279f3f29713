// A non-blocking stream socket that remembers what epoll said.
//
// Events are edge-triggered: "readable" is told once and holds until a read finds nothing more.
// Room for writing is asked for when a write first finds none. Loop-affine.
#ifndef WHENCE_DATAPLANE_PROXY_STREAM_H_
#define WHENCE_DATAPLANE_PROXY_STREAM_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "dataplane/loop/event_loop.h"
#include "dataplane/loop/timer_wheel.h"
#include "dataplane/os/unique_fd.h"
#include "dataplane/proxy/pipe.h"

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

  // From now on small pieces go at once.
  void DisableNagle();
  // Has `handler` told of events; `interest` kBoth for a socket that is still connecting. False:
  // out of memory for that. Both outlive this object.
  bool Register(loop::EventLoop& loop, loop::EventHandler& handler,
                loop::EventLoop::Interest interest);

  int fd() const { return fd_.get(); }
  bool open() const { return static_cast<bool>(fd_); }
  bool registered() const { return loop_ != nullptr; }
  // Asks for what WatchWritable of the loop tells, if it was not asked for yet. REQUIRES:
  // registered.
  void WatchWritable();

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

  // The same through a pipe (splice.h). ReadTo takes none of what is behind the next `ahead` bytes;
  // kBlocked while readable() means that it is not to be had: read as usual. REQUIRES:
  // worth_splicing(), the pipe is empty; of WriteFrom: it is not.
  Result ReadTo(Pipe& pipe, uint64_t ahead);
  Result WriteFrom(Pipe& pipe, bool last = false);
  // Whether a pipe pays: the stream is fast, comes in large pieces, and is taken as fast.
  bool worth_splicing() const { return fast() && pace_->copies == 0; }
  // What was read to a pipe then has all gone on now.
  void NoteDrained(SteadyTime filled_at);

  // Whether the other side has said nothing, and not ended: asked of the socket itself, since an
  // event may still be on its way.
  bool IsSilent() const;

  // Of a body or a relayed stream `bytes` were read just now, and `ahead` more are certain to come
  // (kUnknown: nobody can tell). A fast stream is then told of less often, in large pieces: that
  // saves more than half of the work. Slow ones are told of at once, as ever, and so is what is not
  // registered.
  static constexpr uint64_t kUnknown = UINT64_MAX;
  void NotePace(size_t bytes, uint64_t ahead);
  bool fast() const { return pace_ != nullptr && pace_->low_water > 1; }
  // What comes next is told of at once again.
  void EndPace() {
    if (fast()) SetLowWater(1);
  }

  // For whoever waits for the rest of something. Our sockets delay their acknowledgements, to send
  // them with the answer; but a sender that writes in small pieces and did not turn Nagle's
  // algorithm off waits for that of the first before it sends the next.
  void AckNow();

  // Nothing of what was written waits to be sent for the first time: a reset comes behind it.
  bool IsAllSent() const;
  // An event tells when it is so. Not for streams that are written to any more.
  void TellWhenSent();

  // Our FIN, once. False: the connection is broken.
  void ShutdownWrite();
  bool write_shut() const { return write_shut_; }

  void Close();
  // Takes the connection away, with a reset if the other side has not heard our end; the socket
  // stays and can be connected again, options, bound port and registration as they are. False: it
  // cannot, and is closed.
  bool Dissolve();
  // Closes with a reset: the other side learns that something went wrong, and nothing lingers.
  void Reset();

 private:
  // How fast bytes come: allocated by the first long read.
  struct Pace {
    Pace(loop::Timer::Fire late, void* stream, uint32_t patience)
        : patience(patience), late(late, stream) {}
    SteadyTime since;
    uint64_t bytes = 0;  // since then
    uint32_t turns = 0;  // so often in a row they were many
    uint32_t patience;   // after so many turns the stream is fast
    size_t low_water = 1;
    uint32_t copies = 0;      // so many pieces are copied before a pipe is used again
    bool tells_rest = false;  // TCP_INQ is set
    loop::Timer late;         // less than `low_water` came for too long
  };

  // recv(2); says as well how much is left to read, if the kernel tells.
  ssize_t Receive(std::span<char> room, std::optional<size_t>* rest);
  ssize_t Send(std::string_view first, std::string_view second, int flags);
  // A read brought nothing; errno where `n` is negative.
  Result NothingRead(ssize_t n);
  Result NothingWritten();
  void Block();  // a write found no room
  // No whole piece came in time.
  void BeLate();
  void SetLowWater(size_t bytes);

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
  std::unique_ptr<Pace> pace_;
};

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_STREAM_H_
