// The way of access records out of a worker: one producer, one consumer, no locks, and never a
// wait.
//
// A worker must not be slowed by a log that nobody reads. So TryPush either copies the record or
// counts it as dropped; the reporter turns the count into a gap record, so that a loss is never
// silent.
//
//   head_ (consumer)          tail_ (producer)        positions only grow; slot = position %
//   capacity
//     v                          v                    tail_ - head_ records wait
//   [ A ][ B ][ C ][   ][   ][   ]
//
// Each side keeps a stale copy of the other's position and looks at the real one only when the copy
// says full (or empty), so the cache line of a position moves between cores once per batch, not
// once per record.
#ifndef WHENCE_DATAPLANE_ACCESS_LOG_RING_H_
#define WHENCE_DATAPLANE_ACCESS_LOG_RING_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <utility>

#include "dataplane/access_log/record.h"

namespace whence::access_log {

// TryPush: the producer's thread only. TryPop and TakeDropped: the consumer's thread only. The
// rest: any thread.
class Ring {
 public:
  static constexpr size_t kDefaultCapacity = 1024;  // about 1 MiB, touched as it is used

  // `capacity` is rounded up to a power of two, at least 2. `wake` (may be empty) is called on the
  // producer's thread, and must not block, when a quarter of the ring is filled: once, until the
  // consumer calls ArmWake again.
  explicit Ring(size_t capacity = kDefaultCapacity, std::function<void()> wake = nullptr)
      : mask_(RoundUp(capacity) - 1),
        wake_at_(std::max<uint64_t>((mask_ + 1) / 4, 1)),
        wake_(std::move(wake)),
        slots_(new Slot[mask_ + 1]) {}
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // An access has begun, of which a record will be pushed: once before each TryPush. For the count
  // of what is lost when the process is killed (tally.h).
  void Begin() {
    begun_->store(begun_->load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }
  // Where Begin counts from now on. Before the producer starts.
  void CountAt(std::atomic<uint64_t>* begun) { begun_ = begun; }

  // False: the ring is full, the record is dropped and counted.
  bool TryPush(const Record& record) {
    const uint64_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_seen_ >= wake_at_) {
      head_seen_ = head_.load(std::memory_order_acquire);
      if (tail - head_seen_ > mask_) {
        dropped_.fetch_add(1, std::memory_order_relaxed);
        return false;
      }
    }
    std::memcpy(slots_[tail & mask_].bytes, &record, record.used_bytes());
    tail_.store(tail + 1, std::memory_order_release);
    if (tail + 1 - head_seen_ >= wake_at_ && wake_ &&
        !woken_.exchange(true, std::memory_order_acq_rel))
      wake_();
    return true;
  }

  // Copies the oldest record out. False: the ring is empty.
  bool TryPop(Record* out) {
    const uint64_t head = head_.load(std::memory_order_relaxed);
    if (head == tail_seen_) {
      tail_seen_ = tail_.load(std::memory_order_acquire);
      if (head == tail_seen_) return false;
    }
    const Slot& slot = slots_[head & mask_];
    std::memcpy(static_cast<void*>(out), slot.bytes, sizeof(Record) - kTextAreaBytes);
    std::memcpy(static_cast<void*>(out), slot.bytes, out->used_bytes());
    head_.store(head + 1, std::memory_order_release);
    return true;
  }

  // Lets the next quarter filled call `wake` again. Call before draining, or a wake in between is
  // lost.
  void ArmWake() { woken_.store(false, std::memory_order_release); }

  // Records dropped since the last call.
  uint64_t TakeDropped() {
    const uint64_t total = dropped_.load(std::memory_order_relaxed);
    return total - std::exchange(dropped_taken_, total);
  }

  // Ever dropped.
  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }
  // Records that wait now; a moment's view.
  size_t size() const {
    const uint64_t head = head_.load(std::memory_order_acquire);
    return static_cast<size_t>(tail_.load(std::memory_order_acquire) - head);
  }
  size_t capacity() const { return mask_ + 1; }

 private:
  // Bytes, not Records: making a ring then touches no page before it is used.
  struct Slot {
    alignas(Record) unsigned char bytes[sizeof(Record)];
  };

  static size_t RoundUp(size_t capacity) {
    size_t size = 2;
    while (size < capacity) size *= 2;
    return size;
  }

  // Constant after construction.
  const uint64_t mask_;
  const uint64_t wake_at_;
  const std::function<void()> wake_;
  const std::unique_ptr<Slot[]> slots_;

  // A line each: what the producer writes, what the consumer writes. 64 bytes on every processor we
  // build for.
  alignas(64) std::atomic<uint64_t> tail_ = 0;
  uint64_t head_seen_ = 0;
  std::atomic<uint64_t> dropped_ = 0;
  std::atomic<uint64_t> begun_here_ = 0;
  std::atomic<uint64_t>* begun_ = &begun_here_;

  alignas(64) std::atomic<uint64_t> head_ = 0;
  uint64_t tail_seen_ = 0;
  uint64_t dropped_taken_ = 0;
  std::atomic<bool> woken_ = false;
};

}  // namespace whence::access_log

#endif  // WHENCE_DATAPLANE_ACCESS_LOG_RING_H_
