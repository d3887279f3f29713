// Batches on their way to the control plane: what was made, what was sent, what was acknowledged.
//
//   reporter ──Add──► spool (and memory, until it is sent) ──NextToSend──► stream
//                       └────────────────◄── Acknowledge removes
//
// A batch is in the spool before it is sent: a process that is killed loses nothing that it had
// taken out of its rings. The kernel has it then; the disk gets it only when the control plane is
// away, or at leisure: what is acknowledged in time goes from the page cache as it came. Without a
// spool, or while the disk is full, memory holds it.
//
// Records are sent in the order in which they were made, earlier boots first. A batch is sent once
// per stream; what is not acknowledged when a stream ends is sent again on the next.
//
// Nothing is lost without a record of the loss: see Spool, Trim below for agents without a spool,
// and Tally for agents that are killed.
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
#include "dataplane/access_log/encoded_batch.h"
#include "dataplane/access_log/spool.h"
#include "dataplane/access_log/tally.h"

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

  // `spool` may be null: what does not fit into memory is lost, and a gap record says so. `tally`
  // may be null; it counts what is in the spool.
  Outbox(std::unique_ptr<Spool> spool, OutboxLimits limits, std::unique_ptr<Tally> tally = nullptr)
      : limits_(limits), spool_(std::move(spool)), tally_(std::move(tally)) {}

  // REQUIRES: within one boot, batches come in order of their sequence numbers.
  void Add(EncodedBatch batch, Time now);
  // Tries again what could not be spooled; an error (a full disk) leaves it in memory and is
  // returned. Brings the spool to the disk if nothing was acknowledged for a while.
  absl::Status Age(Time now);
  // Everything into the spool and onto the disk: the last act of a process.
  absl::Status SpoolAll();
  // Waits until everything is acknowledged. False: not within `timeout`.
  bool WaitUntilEmpty(std::chrono::milliseconds timeout);

  // A stream begins: nothing of it has been sent, whatever an earlier one carried.
  void BeginStream();
  // The next batch for the stream; nothing if all is sent, the window is full, or the spool cannot
  // be read at this moment: then `*try_again` (may be null) asks the caller to come back unasked.
  std::optional<EncodedBatch> NextToSend(bool* try_again = nullptr);
  void Acknowledge(const std::string& boot, uint64_t last_seq);

  OutboxStats Stats() const;

 private:
  struct Waiting {
    EncodedBatch batch;
    bool spooled = false;
  };
  struct Sent {
    std::string boot;
    uint64_t last_seq = 0;
    uint64_t records = 0;
  };

  absl::Status SpoolWhatIsNot();
  void Carried(const EncodedBatch& batch);
  void Shrink();
  void Trim();
  bool WasSent(const EncodedBatch& batch) const;
  EncodedBatch MarkSent(EncodedBatch batch);

  const OutboxLimits limits_;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable emptied_;
  std::unique_ptr<Spool> spool_;
  const std::unique_ptr<Tally> tally_;
  // Oldest first: what is in the spool as well and not yet sent, then what is not in the spool.
  std::deque<Waiting> memory_;
  size_t memory_bytes_ = 0;
  Spool::Position position_;                    // of this stream
  std::map<std::string, uint64_t> sent_up_to_;  // by boot, on this stream
  std::deque<Sent> in_flight_;
  uint64_t acknowledged_ = 0;
  uint64_t dropped_ = 0;
  uint64_t spool_errors_ = 0;
  uint64_t acknowledged_then_ = 0;  // when Age last looked
  Time looked_{};
};

}  // namespace whence::access_log

#endif  // WHENCE_DATAPLANE_ACCESS_LOG_OUTBOX_H_
