// The way of access records out of a worker: one producer, one consumer, no locks, and never a
// wait.
//
// A worker must not be slowed by a log that nobody reads. So TryPush either copies the record or
// counts it as dropped; the reporter turns the count into a gap record, so that a loss is never
// silent.
//
//   head_ (consumer)            tail_ (producer)      positions in bytes, which only grow
//     v                            v
//   [ record A | B | record C     ][      ...      ]    byte = position % capacity
//
// A record takes what it uses and no more: what the cache has to hold is the traffic's, not the
// largest record's. One that begins before the end goes on into a slack behind it; the next begins
// as far behind the start as if it had gone on there.
//
// Each side keeps a stale copy of the other's position and looks at the real one only when the copy
// says full (or empty), so the cache line of a position moves between cores once per batch, not
// once per record.
#ifndef WHENCE_DATAPLANE_ACCESS_LOG_RING_H_
#define WHENCE_DATAPLANE_ACCESS_LOG_RING_H_

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <new>
#include <utility>

#include "dataplane/access_log/record.h"

namespace whence::access_log {

// Begin and TryPush: the producer's thread only. Front, Pop, TryPop, ArmWake and TakeDropped: the
// consumer's thread only. The rest: any thread.
class Ring {
 public:
  static constexpr size_t kDefaultBytes = 512 << 10;  // some 2,000 records; touched as it is used

  // `bytes` is rounded up to a power of two that holds two of the largest records. `wake` (may be
  // empty) is called on the producer's thread, and must not block, when a sixteenth of the ring is
  // filled: once, until the consumer calls ArmWake again.
  explicit Ring(size_t bytes = kDefaultBytes, std::function<void()> wake = nullptr)
      : mask_(std::bit_ceil(std::max(bytes, 2 * sizeof(Record))) - 1),
        wake_at_((mask_ + 1) / 16),
        wake_(std::move(wake)),
        bytes_(static_cast<unsigned char*>(
            ::operator new(mask_ + 1 + sizeof(Record), std::align_val_t(kAlignment)))) {}
  ~Ring() { ::operator delete(bytes_, std::align_val_t(kAlignment)); }
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
    const uint64_t next = tail + SizeOf(record);
    if (next - head_seen_ >= wake_at_) {
      head_seen_ = head_.load(std::memory_order_acquire);
      if (next - head_seen_ > mask_ + 1) {
        dropped_.fetch_add(1, std::memory_order_relaxed);
        return false;
      }
    }
    std::memcpy(At(tail), &record, record.used_bytes());
    tail_.store(next, std::memory_order_release);
    if (next - head_seen_ >= wake_at_ && wake_ && !woken_.exchange(true, std::memory_order_acq_rel))
      wake_();
    return true;
  }

  // The oldest record, where it lies. Valid until Pop; of its bytes only those that are used may be
  // read (Record::CopyFrom). Null: the ring is empty.
  const Record* Front() {
    const uint64_t head = head_.load(std::memory_order_relaxed);
    if (head == tail_seen_) {
      tail_seen_ = tail_.load(std::memory_order_acquire);
      if (head == tail_seen_) return nullptr;
    }
    return RecordAt(head);
  }
  // REQUIRES: Front gave a record.
  void Pop() {
    const uint64_t head = head_.load(std::memory_order_relaxed);
    head_.store(head + SizeOf(*RecordAt(head)), std::memory_order_release);
  }

  // Copies the oldest record out. False: the ring is empty.
  bool TryPop(Record* out) {
    const Record* const record = Front();
    if (record == nullptr) return false;
    out->CopyFrom(*record);
    Pop();
    return true;
  }

  // Lets the next sixteenth filled call `wake` again. Call before draining, or a wake in between is
  // lost.
  void ArmWake() { woken_.store(false, std::memory_order_release); }

  // Records dropped since the last call.
  uint64_t TakeDropped() {
    const uint64_t total = dropped_.load(std::memory_order_relaxed);
    return total - std::exchange(dropped_taken_, total);
  }

  // Ever dropped.
  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kAlignment = 64;

  static uint64_t SizeOf(const Record& record) {
    return (record.used_bytes() + alignof(Record) - 1) & ~(alignof(Record) - 1);
  }
  unsigned char* At(uint64_t position) const { return bytes_ + (position & mask_); }
  const Record* RecordAt(uint64_t position) const {
    return std::launder(reinterpret_cast<const Record*>(At(position)));
  }

  // Constant after construction.
  const uint64_t mask_;
  const uint64_t wake_at_;
  const std::function<void()> wake_;
  unsigned char* const bytes_;  // not Records: making a ring then touches no page before it is used

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
