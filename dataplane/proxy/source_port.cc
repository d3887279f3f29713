#include "dataplane/proxy/source_port.h"

namespace whence::proxy {

PortSequence::PortSequence(PortRange range, uint32_t stride, uint32_t offset, uint32_t start)
    : low_(range.low), count_(uint32_t{range.high} - range.low + 1), stride_(stride) {
  // The last, incomplete row is left out, or wrapping would move a worker onto another's ports.
  if (count_ > stride_) count_ -= count_ % stride_;
  position_ = (start % count_ / stride_ * stride_ + offset) % count_;
}

uint16_t PortSequence::Next() {
  const uint32_t port = low_ + position_;
  position_ = (position_ + stride_) % count_;
  return static_cast<uint16_t>(port);
}

void PortSequence::Jump() {
  const uint32_t rows = count_ / stride_;
  position_ = (position_ + rows * 61 / 99 * stride_) % count_;
}

bool TupleTable::Add(const net::SocketAddress& client, const net::SocketAddress& destination) {
  if (client.port < range_.low || client.port > range_.high) return false;
  has_met_.store(true, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  ++tuples_[Tuple{client, destination}];
  size_.store(static_cast<uint32_t>(tuples_.size()), std::memory_order_release);
  return true;
}

void TupleTable::Remove(const net::SocketAddress& client, const net::SocketAddress& destination) {
  const std::lock_guard lock(mutex_);
  const auto at = tuples_.find(Tuple{client, destination});
  if (at != tuples_.end() && --at->second == 0) tuples_.erase(at);
  size_.store(static_cast<uint32_t>(tuples_.size()), std::memory_order_release);
}

bool TupleTable::Contains(const net::SocketAddress& client,
                          const net::SocketAddress& destination) const {
  if (size_.load(std::memory_order_acquire) == 0) return false;
  const std::lock_guard lock(mutex_);
  return tuples_.contains(Tuple{client, destination});
}

}  // namespace whence::proxy
