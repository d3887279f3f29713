// Carries access records out of the workers' rings: to the control plane, to a JSON Lines file, or
// both.
//
// A thread of its own: it wakes when a ring has filled a sixteenth, else every 200 ms. So it takes
// a little often: where it shares a core with a worker, requests wait for it. A batch goes on when
// it is full or the last one is 200 ms ago, so that a record waits for 400 ms at most. It gives
// each record its sequence number and turns what a ring had to drop into a gap record.
#ifndef WHENCE_DATAPLANE_ACCESS_LOG_REPORTER_H_
#define WHENCE_DATAPLANE_ACCESS_LOG_REPORTER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "common/trust/client_privacy.h"
#include "dataplane/access_log/access_summary.h"
#include "dataplane/access_log/json_line.h"
#include "dataplane/access_log/log_file.h"
#include "dataplane/access_log/outbox.h"
#include "dataplane/access_log/ring.h"
#include "dataplane/access_log/tally.h"
#include "dataplane/log.h"
#include "dataplane/os/unique_fd.h"

namespace whence::access_log {

// The rings come into being with the reporter, one per worker, since they wake it. Start and Stop:
// the owner's thread.
class Reporter {
 public:
  struct Outputs {
    Outbox* outbox = nullptr;      // may be null: no control plane
    std::function<void()> on_add;  // after something was added to the outbox
    LogFile* file = nullptr;       // may be null
  };

  // `boot`: random, of this start of the agent.
  Reporter(int workers, std::string boot, const Reporting& reporting, const Clock& clock, Log& log);
  ~Reporter();

  const std::vector<Ring*>& rings() const { return ring_pointers_; }
  // Where the workers count what they begin. Before they start.
  void CountAt(Tally& tally);
  void Start(Outputs outputs);
  // For records that are carried out from now on. From any thread.
  void SetPrivacy(const trust::ClientPrivacy& privacy);
  // Carries out what the rings hold and ends the thread. REQUIRES: nobody pushes any more.
  // Idempotent.
  void Stop();
  // Opens the JSON Lines file anew, as after a rotation. From any thread.
  void ReopenFile();

  // Of all records so far. From any thread.
  AccessSummary summary() const;
  uint64_t records() const { return records_.load(std::memory_order_relaxed); }
  uint64_t ring_dropped() const;

 private:
  void Run();
  void Drain();
  void Append(const Record& record);
  void AppendGap(uint64_t dropped);
  // Says how many were dropped since it was last said, but not all the time.
  void SayDropped();
  // Room for one record more.
  EncodedBatch& OpenBatch();
  void Flush();
  void WriteLines();
  void Notify();

  // Constant after construction, but for `outputs_`, which Start sets before the thread begins.
  const std::string boot_;
  const JsonLines json_;
  const Clock& clock_;
  Log& log_;
  os::UniqueFd wake_;
  std::vector<std::unique_ptr<Ring>> rings_;
  std::vector<Ring*> ring_pointers_;
  Outputs outputs_;

  // The thread's own.
  uint64_t next_seq_ = 1;
  EncodedBatch batch_;
  SteadyTime flushed_{};
  size_t last_batch_bytes_ = 0;  // the next one will be about as large
  std::string lines_;
  bool file_failed_ = false;  // said once
  bool spool_failed_ = false;
  uint64_t dropped_unsaid_ = 0;
  SteadyTime said_dropped_{};

  mutable std::mutex mutex_;
  trust::ClientPrivacy privacy_;   // by mutex_
  AccessSummary summary_;          // by mutex_: what others see
  AccessSummary summary_in_hand_;  // the thread's own

  std::atomic<uint64_t> records_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> reopen_ = false;
  std::thread thread_;
};

}  // namespace whence::access_log

#endif  // WHENCE_DATAPLANE_ACCESS_LOG_REPORTER_H_
