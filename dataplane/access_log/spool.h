// Access records on disk, until the control plane has acknowledged them.
//
// A folder of segments; a segment is appended to, never changed, and removed whole:
//
//   DIR/spool-0000000000000007   "WHSPOOL1" frame frame frame … end
//   frame = length (4 bytes, LE) | CRC-32C of the payload (4 bytes, LE) | payload: one serialised
//   v1::IngestBatch
//   end   = eight zeros in place of length and CRC; what stands behind it is nothing
//
// The one that is being written is not removed but begun anew: nearly every batch is acknowledged
// before the next one comes, and a file for each would cost more than all else here. So would
// emptying it, which gives back pages only to ask for them again; hence the end mark, behind which
// the remains of its earlier uses stand, up to 1 MiB of them.
//
// A process that is killed may leave half a frame; opening cuts the file at the first frame that is
// not whole, or not newer than the one before it. All batches of a segment are of one boot, so that
// "acknowledged up to" is one comparison per segment.
//
// The spool is bounded. When it is full the oldest segment gives way, and in its place stands a
// batch with one gap record: the loss is a record itself, under the sequence number of the last
// record lost, so that if the lost ones had in truth arrived, the gap is dropped as the duplicate
// that it is.
//
// A frame that turns out damaged while the spool is read loses what stands behind it in its
// segment; for that, too, the reader gets a gap.
//
// What the kernel has taken survives a crash of the process. A power failure may take what was
// written since the last segment change or Sync.
#ifndef WHENCE_DATAPLANE_ACCESS_LOG_SPOOL_H_
#define WHENCE_DATAPLANE_ACCESS_LOG_SPOOL_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dataplane/access_log/encoded_batch.h"
#include "dataplane/os/unique_fd.h"

namespace whence::access_log {

// Thread-compatible.
class Spool {
 public:
  // Where a reader stands. Starts at the oldest record; stays valid when segments go.
  struct Position {
    uint64_t segment = 0;
    uint64_t offset = 0;
    uint64_t generation = 0;
    uint64_t accesses = 0;  // that were read of this segment
  };

  // Takes up what an earlier run left. `*cut_bytes` (may be null): what was lost in torn tails.
  static absl::StatusOr<std::unique_ptr<Spool>> Open(const std::string& directory,
                                                     uint64_t max_bytes,
                                                     uint64_t* cut_bytes = nullptr);
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  // REQUIRES: within one boot, batches come in order of their sequence numbers.
  absl::Status Append(const EncodedBatch& batch);
  // The batch at `position`, which moves behind it. Nothing: all has been read, or `*failed`: the
  // next batch cannot be read at this moment (no descriptor is free, say). Nothing that is newer
  // may be sent before it: acknowledging that would count this one as arrived.
  std::optional<EncodedBatch> Next(Position* position, bool* failed);
  // Whether a reader at `position` has read all; and where one stands who has.
  bool AtEnd(const Position& position) const;
  Position End() const;
  // The last sequence number there is of `boot`.
  std::optional<uint64_t> LastSeq(const std::string& boot) const;
  // Everything of `boot` up to `last_seq` is in the database.
  void Acknowledge(const std::string& boot, uint64_t last_seq);
  void Sync();

  uint64_t bytes() const { return bytes_; }
  bool empty() const { return segments_.empty(); }
  // Records that gave way to gap records, by this object, or that it found damaged.
  uint64_t dropped() const { return dropped_; }

 private:
  struct Segment {
    uint64_t id = 0;
    uint64_t generation = 0;  // changes when a gap takes the place of the content
    uint64_t bytes = 0;
    std::string boot;
    uint64_t last_seq = 0;
    uint64_t accesses = 0;  // records, and those that its gap records stand for
    int64_t last_time_us = 0;
    bool is_gap = false;
    uint64_t dropped = 0;  // of `accesses`: those that are counted in dropped_
  };

  Spool(std::string directory, uint64_t max_bytes);

  std::string PathOf(uint64_t id) const;
  absl::Status Scan(uint64_t id, uint64_t* cut_bytes);
  absl::Status BeginSegment(const std::string& boot);
  absl::Status MakeRoom(uint64_t bytes);
  absl::Status DropOldest(size_t index);
  void Remove(size_t index);
  bool Empty();  // the file of tail_
  EncodedBatch GapForTheRest(Segment* segment, Position* position);
  static void Count(const EncodedBatch& batch, Segment* segment);

  const std::string directory_;
  const uint64_t max_bytes_;
  const uint64_t segment_bytes_;

  std::deque<Segment> segments_;  // oldest first
  os::UniqueFd tail_;             // of the last segment, if it was begun by this object; or of
  std::optional<Segment> spare_;  // a file without batches, the next segment
  uint64_t tail_bytes_ = 0;       // of its file, remains included
  uint64_t next_id_ = 1;
  uint64_t bytes_ = 0;
  uint64_t dropped_ = 0;
};

}  // namespace whence::access_log

#endif  // WHENCE_DATAPLANE_ACCESS_LOG_SPOOL_H_
