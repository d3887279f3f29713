#include "dataplane/proxy/buffer.h"

#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>

namespace whence::proxy {

namespace {

constexpr size_t kPage = 4096;  // the smallest there is

void* Map(size_t bytes) {
  void* const at =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) std::abort();
  return at;
}

}  // namespace

Pages::Pages(size_t bytes) : data_(static_cast<char*>(Map(bytes))), size_(bytes) {}

Pages::~Pages() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

void* InPages::operator new(size_t bytes) {
  // Each begins elsewhere in its page, or all would compete for the same few lines of the cache.
  constexpr size_t kLine = 64, kStep = 5 * kLine;
  static std::atomic<size_t> turn = 0;
  const size_t room = (kPage - bytes % kPage) % kPage;
  const size_t offset =
      turn.fetch_add(kStep, std::memory_order_relaxed) % (room + 1) / kLine * kLine;
  return static_cast<char*>(Map(bytes + room)) + offset;
}

void InPages::operator delete(void* at, size_t bytes) {
  if (at == nullptr) return;
  char* const start = static_cast<char*>(at) - reinterpret_cast<uintptr_t>(at) % kPage;
  ::munmap(start, bytes + (kPage - bytes % kPage) % kPage);
}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this == &other) return *this;
  Reset();
  pool_ = std::exchange(other.pool_, nullptr);
  memory_ = std::move(other.memory_);
  return *this;
}

void Buffer::Reset() {
  if (pool_ == nullptr) return;
  std::exchange(pool_, nullptr)->Give(std::move(memory_));
}

Buffer BufferPool::Take(size_t bytes) {
  for (Size& size : sizes_) {
    if (bytes > size.bytes) continue;
    return Buffer(this, size.free.empty() ? Pages(size.bytes) : size.free.Take());
  }
  return Buffer(this, Pages(bytes));
}

void BufferPool::Give(Pages memory) {
  for (Size& size : sizes_) {
    if (size.bytes == memory.size()) return size.free.Give(std::move(memory));
  }
}

void BufferPool::Trim() {
  for (Size& size : sizes_) size.free.Trim();
}

size_t BufferPool::idle_bytes() const {
  size_t bytes = 0;
  for (const Size& size : sizes_) bytes += size.bytes * size.free.size();
  return bytes;
}

std::span<char> ReadBuffer::Room(BufferPool& pool, size_t bytes) {
  if (empty()) {
    if (chunk_.size() < bytes) chunk_ = pool.Take(bytes);
    begin_ = ready_end_ = raw_ = end_ = 0;
  }
  if (begin_ == ready_end_ && raw_ != 0 && chunk_.size() - end_ < chunk_.size() / 2) {
    std::memmove(chunk_.data(), chunk_.data() + raw_, end_ - raw_);
    end_ -= raw_;
    begin_ = ready_end_ = raw_ = 0;
  }
  return {chunk_.data() + end_, chunk_.size() - end_};
}

void ReadBuffer::Hold(PipeHandle pipe) {
  Trim();
  pipe_ = std::move(pipe);
}

void ReadBuffer::Trim() {
  if (empty()) Clear();
}

void ReadBuffer::Clear() {
  begin_ = ready_end_ = raw_ = end_ = 0;
  pipe_.reset();
  chunk_.Reset();
}

std::span<char> WriteBuffer::Room(BufferPool& pool, size_t bytes) {
  if (chunk_.size() - end_ < bytes) {
    Buffer larger = pool.Take(end_ - begin_ + bytes);
    if (!empty()) std::memcpy(larger.data(), chunk_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    chunk_ = std::move(larger);
  }
  return {chunk_.data() + end_, chunk_.size() - end_};
}

}  // namespace whence::proxy
