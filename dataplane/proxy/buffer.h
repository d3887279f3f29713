// Buffers of the data path: borrowed from the worker's pool while bytes wait, given back when none
// do, so that an idle connection holds none.
#ifndef WHENCE_DATAPLANE_PROXY_BUFFER_H_
#define WHENCE_DATAPLANE_PROXY_BUFFER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "dataplane/proxy/pipe.h"
#include "dataplane/proxy/spares.h"

namespace whence::proxy {

class BufferPool;

// Memory of whole pages, straight from the system: it can be given back whatever lies around it.
class Pages {
 public:
  Pages() = default;
  explicit Pages(size_t bytes);  // ends the process if there is none left, as `new` would
  Pages(Pages&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Pages& operator=(Pages&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Pages();

  char* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  char* data_ = nullptr;
  size_t size_ = 0;
};

// A base of objects that come in bursts and go, while smaller ones stay: each in pages of its own, which
// go back to the system with it. On the heap, what stays would lie between them and keep their pages.
class InPages {
 public:
  static void* operator new(size_t bytes);
  static void operator delete(void* at, size_t bytes);
};

// A chunk of memory, move-only; goes back to its pool when destroyed. The pool outlives it.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)), memory_(std::move(other.memory_)) {}
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer() { Reset(); }

  explicit operator bool() const { return data() != nullptr; }
  char* data() const { return memory_.data(); }
  size_t size() const { return memory_.size(); }
  void Reset();

 private:
  friend class BufferPool;
  Buffer(BufferPool* pool, Pages memory) : pool_(pool), memory_(std::move(memory)) {}

  BufferPool* pool_ = nullptr;
  Pages memory_;
};

// Three sizes: a page for what we write ourselves, mostly heads; one that holds the largest head;
// and one for long bodies and TCP, where fewer and larger system calls save a third of the work.
// Last in, first out: the next user finds it in the cache. Loop-affine.
class BufferPool {
 public:
  static constexpr size_t kSmall = 4 * 1024;
  static constexpr size_t kNormal = 64 * 1024;
  static constexpr size_t kLarge = 256 * 1024;

  // At least `bytes`, of the smallest size that fits; beyond kLarge: not pooled.
  Buffer Take(size_t bytes);

  // Gives back to the system what lay unused ever since the last call, so that an hour's flood does
  // not cost memory for a day. Called every second or so.
  void Trim();
  // Bytes that wait here for use.
  size_t idle_bytes() const;

 private:
  friend class Buffer;
  struct Size {
    size_t bytes;
    Spares<Pages> free;
  };
  void Give(Pages memory);

  std::array<Size, 3> sizes_ = {
      {{kSmall, Spares<Pages>(4096)}, {kNormal, Spares<Pages>(1024)}, {kLarge, Spares<Pages>(64)}}};
};

// What one connection has sent us, in place, in two parts:
//
//   data   [ .... sent .... | ready: may go on | (gap) | raw: not yet judged | .... room .... ]
//                           ^begin_            ^ready_end_  ^raw_            ^end_
//
// Heads are parsed from `raw` and skipped, bodies move from `raw` to `ready` as the decoder passes
// them. Instead of all that it may hold a pipe with bytes that may go on; until they have, there is
// no room for others. Loop-affine.
class ReadBuffer {
 public:
  std::string_view ready() const { return View(begin_, ready_end_); }
  std::string_view raw() const { return View(raw_, end_); }
  std::span<char> mutable_raw() const { return {chunk_.data() + raw_, end_ - raw_}; }
  size_t piped() const { return pipe_ == nullptr ? 0 : pipe_->held(); }
  // Some may go on.
  bool has_ready() const { return begin_ != ready_end_ || pipe_ != nullptr; }
  bool empty() const { return !has_ready() && raw_ == end_; }

  // Where the next bytes may be read to; may be empty: then what is here has to go first. Takes a
  // chunk of at least `bytes` if there is none.
  std::span<char> Room(BufferPool& pool, size_t bytes);
  void Filled(size_t bytes) { end_ += static_cast<uint32_t>(bytes); }

  // Drops the front of `raw`.
  void Skip(size_t bytes) { raw_ += static_cast<uint32_t>(bytes); }
  // The front `consumed` bytes of `raw` are judged, the first `produced` of them may go on.
  // REQUIRES: ready() is empty.
  void Pass(size_t consumed, size_t produced) {
    begin_ = raw_;
    ready_end_ = raw_ + static_cast<uint32_t>(produced);
    raw_ += static_cast<uint32_t>(consumed);
  }
  void Sent(size_t bytes) { begin_ += static_cast<uint32_t>(bytes); }
  // What may go on goes nowhere.
  void DropReady() {
    begin_ = ready_end_;
    pipe_.reset();
  }

  // REQUIRES: empty(), and `pipe` is not.
  void Hold(PipeHandle pipe);
  Pipe* pipe() const { return pipe_.get(); }
  // REQUIRES: it holds one that is empty.
  void ReturnPipe() { pipe_.reset(); }

  // Gives the chunk back if nothing is in it.
  void Trim();
  // Gives it back with what is in it.
  void Clear();

 private:
  std::string_view View(size_t from, size_t to) const { return {chunk_.data() + from, to - from}; }

  Buffer chunk_;
  // In chunks of less than 4 GiB.
  uint32_t begin_ = 0;
  uint32_t ready_end_ = 0;
  uint32_t raw_ = 0;
  uint32_t end_ = 0;
  PipeHandle pipe_;
};

// What we wrote ourselves and have not yet sent: heads and local answers. Loop-affine.
class WriteBuffer {
 public:
  std::string_view pending() const { return {chunk_.data() + begin_, end_ - begin_}; }
  bool empty() const { return begin_ == end_; }
  bool untouched() const { return begin_ == 0; }  // nothing of it was sent
  // What can be added so that Rewind still has all of it.
  size_t room() const { return chunk_.size() - end_; }

  // At least `bytes` behind what is pending.
  std::span<char> Room(BufferPool& pool, size_t bytes);
  void Written(size_t bytes) { end_ += bytes; }
  void Sent(size_t bytes) { begin_ += bytes; }
  // To send all of it once more. What was sent is kept until Clear.
  void Rewind() { begin_ = 0; }
  void Clear() {
    begin_ = end_ = 0;
    chunk_.Reset();
  }

 private:
  Buffer chunk_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_BUFFER_H_
