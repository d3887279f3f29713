// A non-blocking stream socket that remembers what epoll said.
//
// Events are edge-triggered: "readable" is told once and holds until a read finds nothing more.
// Loop-affine.
#ifndef WHENCE_DATAPLANE_PROXY_STREAM_H_
#define WHENCE_DATAPLANE_PROXY_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

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
  explicit Stream(os::UniqueFd fd) : fd_(std::move(fd)) {}

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
  Result Write(std::string_view first, std::string_view second = {});

  // Our FIN, once. False: the connection is broken.
  void ShutdownWrite();
  bool write_shut() const { return write_shut_; }

  void Close() { fd_.Reset(); }
  // Closes with a reset: the other side learns that something went wrong, and nothing lingers.
  void Reset();

 private:
  os::UniqueFd fd_;
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
