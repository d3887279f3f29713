// Batches on their way to the control plane: what was made, what was sent, what was acknowledged.
//
//   reporter ──Add──► memory ──(older than a moment, or too much)──► spool
//                        └───────────────┬────────────────────────────┘
//                                   NextToSend ──► stream        Acknowledge removes from both
//
// Records are sent in the order in which they were made, earlier boots first. A batch is sent once
// per stream; what is not acknowledged when a stream ends is sent again on the next. With the
// control plane in reach the disk is not touched: a batch reaches the spool only when it has waited
// for its acknowledgement for a second.
//
// Nothing is lost without a record of the loss: see Spool, and Trim below for agents without a
// spool.
#ifndef WHENCE_DATAPLANE_ACCESS_LOG_OUTBOX_H_
#define WHENCE_DATAPLANE_ACCESS_LOG_OUTBOX_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "dataplane/access_log/spool.h"
#include "whence/v1/access_log.pb.h"

namespace whence::access_log {

struct OutboxLimits {
  size_t memory_bytes = 4 << 20;
  // How many sent batches may wait for their acknowledgement: back-pressure on the stream.
  size_t window = 8;
  std::chrono::milliseconds memory_age{1'000};
};

struct OutboxStats {
  uint64_t memory_bytes = 0;
  uint64_t spool_bytes = 0;
  uint64_t acknowledged = 0;  // records
  uint64_t dropped = 0;       // records that gave way to gap records
  uint64_t spool_errors = 0;
};

// Thread-safe: the reporter adds, the sender takes.
class Outbox {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // `spool` may be null: what does not fit into memory is lost, and a gap record says so.
  Outbox(std::unique_ptr<Spool> spool, OutboxLimits limits)
      : limits_(limits), spool_(std::move(spool)) {}

  // REQUIRES: within one boot, batches come in order of their sequence numbers.
  void Add(v1::IngestBatch batch, Time now);
  // Moves what has waited too long to the spool. An error (a full disk) leaves it in memory and is
  // returned.
  absl::Status Age(Time now);
  // Moves everything to the spool: the last act of a process.
  absl::Status SpoolAll();
  // Waits until everything is acknowledged. False: not within `timeout`.
  bool WaitUntilEmpty(std::chrono::milliseconds timeout);

  // A stream begins: nothing of it has been sent, whatever an earlier one carried.
  void BeginStream();
  // The next batch for the stream; nothing if all is sent, the window is full, or the spool cannot
  // be read at this moment: then `*try_again` (may be null) asks the caller to come back unasked.
  std::optional<v1::IngestBatch> NextToSend(bool* try_again = nullptr);
  void Acknowledge(const std::string& boot, uint64_t last_seq);

  OutboxStats Stats() const;

 private:
  struct Waiting {
    v1::IngestBatch batch;
    size_t bytes = 0;
    Time added;
  };
  struct Sent {
    std::string boot;
    uint64_t last_seq = 0;
  };

  absl::Status SpoolFront();
  void Trim();
  bool WasSent(const v1::IngestBatch& batch) const;
  v1::IngestBatch MarkSent(v1::IngestBatch batch);

  const OutboxLimits limits_;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable emptied_;
  std::unique_ptr<Spool> spool_;
  std::deque<Waiting> memory_;  // oldest first, all younger than what is in the spool
  size_t memory_bytes_ = 0;
  Spool::Position position_;                    // of this stream
  std::map<std::string, uint64_t> sent_up_to_;  // by boot, on this stream
  std::deque<Sent> in_flight_;
  uint64_t acknowledged_ = 0;
  uint64_t dropped_ = 0;
  uint64_t spool_errors_ = 0;
};

}  // namespace whence::access_log

#endif  // WHENCE_DATAPLANE_ACCESS_LOG_OUTBOX_H_
