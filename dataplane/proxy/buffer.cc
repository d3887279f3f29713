#include "dataplane/proxy/buffer.h"

namespace whence::proxy {

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this == &other) return *this;
  Reset();
  pool_ = std::exchange(other.pool_, nullptr);
  memory_ = std::move(other.memory_);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

void Buffer::Reset() {
  if (memory_ == nullptr) return;
  pool_->Give(std::move(memory_), size_);
  pool_ = nullptr;
  size_ = 0;
}

Buffer BufferPool::Take(size_t bytes) {
  for (Size& size : sizes_) {
    if (bytes > size.bytes) continue;
    if (size.free.empty()) {
      return Buffer(this, std::unique_ptr<char[]>(new char[size.bytes]), size.bytes);
    }
    std::unique_ptr<char[]> memory = std::move(size.free.back());
    size.free.pop_back();
    return Buffer(this, std::move(memory), size.bytes);
  }
  return Buffer(this, std::unique_ptr<char[]>(new char[bytes]), bytes);
}

void BufferPool::Give(std::unique_ptr<char[]> memory, size_t size) {
  for (Size& pooled : sizes_) {
    if (pooled.bytes == size && pooled.free.size() < pooled.keep) {
      pooled.free.push_back(std::move(memory));
      return;
    }
  }
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

void ReadBuffer::Trim() {
  if (!empty()) return;
  begin_ = ready_end_ = raw_ = end_ = 0;
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
