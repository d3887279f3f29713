// Pipes through which splice(2) moves bytes from one socket to another: the kernel passes on the
// pages that they came in, and copies nothing. They are borrowed like buffers, while bytes wait.
#ifndef WHENCE_DATAPLANE_PROXY_PIPE_H_
#define WHENCE_DATAPLANE_PROXY_PIPE_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "common/base/clock.h"
#include "dataplane/os/unique_fd.h"
#include "dataplane/proxy/counters.h"
#include "dataplane/proxy/spares.h"

namespace whence::proxy {

class PipePool;

// Loop-affine; goes back to its pool, which outlives it, through PipeHandle.
class Pipe {
 public:
  Pipe(PipePool& pool, os::UniqueFd in, os::UniqueFd out);
  ~Pipe();
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  // What is in it. Exact, and the reason why nothing of one connection ever reaches another: only
  // an empty pipe is used again.
  size_t held() const { return held_; }
  PipePool& pool() const { return pool_; }
  SteadyTime filled_at;  // for whoever fills it

  // As read(2) and write(2) on `socket`: bytes, 0 for its end, or -1 and errno. REQUIRES of Fill: it
  // is empty; of Drain: it is not. `more`: other bytes or an end follow at once. SIGPIPE is blocked.
  ssize_t Fill(int socket, size_t most);
  ssize_t Drain(int socket, bool more);

 private:
  PipePool& pool_;
  const os::UniqueFd in_;
  const os::UniqueFd out_;
  size_t held_ = 0;
};

// To the pool if it is empty; closed otherwise, with what is in it.
struct PipeReturn {
  void operator()(Pipe* pipe) const;
};
using PipeHandle = std::unique_ptr<Pipe, PipeReturn>;

// Loop-affine.
class PipePool {
 public:
  // What one pipe holds, if the system lets it: fewer, larger moves. A slot of it holds a page at
  // most, so of traffic in small packets it is less.
  static constexpr size_t kBytes = 1024 * 1024;
  // Of all workers, but two at least for each: a quarter of the pages that all pipes of an ordinary
  // user may have by default (/proc/sys/fs/pipe-user-pages-soft). Only receivers that are slow for a
  // moment keep one.
  static constexpr size_t kMostInAll = 16;

  // So much is moved for one connection, then the others have their turn.
  static constexpr uint64_t kMostPerTurn = 4 * 1024 * 1024;

  // At most `most` pipes. `counters` outlives the pool.
  PipePool(WorkerCounters& counters, size_t most) : counters_(counters), most_(most), free_(most) {}

  // Null: all are in use, or the system gives no other, or descriptors become scarce. Then bytes
  // are copied, which is counted.
  PipeHandle Take();
  // Closes what lay unused ever since the last call; one that was refused is then asked for again.
  void Trim();
  size_t open() const { return open_; }
  // Bytes that went through since the beginning.
  uint64_t moved() const { return counters_.Get(Counter::kBytesSpliced); }

 private:
  friend class Pipe;
  friend struct PipeReturn;
  std::unique_ptr<Pipe> Open();

  WorkerCounters& counters_;
  const size_t most_;
  size_t open_ = 0;
  bool refused_ = false;
  Spares<std::unique_ptr<Pipe>> free_;
};

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_PIPE_H_
