// Sockets of upstream connections that ended, still bound to a client's address and a port: to connect
// one again takes two system calls, where a new one takes eight and is made and unmade.
//
// First in, first out, and none before it has rested: the application's side is told of the end by a
// packet that may wait for the application to leave its socket alone, and an opening packet that
// overtakes it there would be lost with the old connection. Nor can an event of the round in which the
// connection ended be taken for one of the next then.
//
// Loop-affine.
#ifndef WHENCE_DATAPLANE_PROXY_SPARE_SOCKETS_H_
#define WHENCE_DATAPLANE_PROXY_SPARE_SOCKETS_H_

#include <deque>
#include <memory>

#include "absl/container/flat_hash_map.h"
#include "dataplane/proxy/upstream.h"

namespace whence::proxy {

class SpareSockets {
 public:
  static constexpr std::chrono::milliseconds kRest{10};
  // In all: each holds a descriptor and some KB of the kernel's memory.
  static constexpr size_t kMost = 512;

  explicit SpareSockets(loop::EventLoop& loop) : loop_(loop) {}

  // Null: none has rested.
  std::unique_ptr<Upstream> Take(const Upstream::Key& key, SteadyTime now);
  // REQUIRES: `parked` is.
  void Give(std::unique_ptr<Upstream> parked, SteadyTime now);
  // Closes what lay unused ever since the last call. Called every second or so.
  void Trim();
  void Clear();
  size_t size() const { return count_; }

 private:
  struct Parked {
    std::unique_ptr<Upstream> upstream;
    SteadyTime since;
  };
  struct Queue {
    std::deque<Parked> parked;
    size_t unused = 0;  // so many at least were there since the last Trim
  };

  void Discard(std::unique_ptr<Upstream> upstream);

  loop::EventLoop& loop_;
  size_t count_ = 0;
  absl::flat_hash_map<Upstream::Key, Queue> queues_;
};

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_SPARE_SOCKETS_H_
