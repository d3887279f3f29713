// logs.db: the access records of the mesh, exactly once each.
//
// One writer thread takes the batches that have come in since it last looked and commits them
// together: while one commit waits for the disk the next one fills, so the cost of durability is
// shared and a record is visible within milliseconds. A batch and the sequence number it reaches
// (the agent's high-water mark) are in one transaction, and the agent is told only after it; what
// an agent repeats because it was not told is at or below the mark and skipped.
//
// The file does not grow over the last of the disk (disk_plan.h): old segments are given up before,
// early enough that new records find free pages inside it. Where others fill the disk, the reserve
// is given up and then what is oldest; if that does not help, the batch is refused, and the agent
// keeps it.
#ifndef WHENCE_CONTROLPLANE_ACCESS_LOG_ACCESS_LOG_STORE_H_
#define WHENCE_CONTROLPLANE_ACCESS_LOG_ACCESS_LOG_STORE_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "controlplane/access_log/disk_plan.h"
#include "controlplane/access_log/segments.h"
#include "controlplane/log/logger.h"
#include "controlplane/metrics/metrics.h"
#include "controlplane/store/database.h"
#include "controlplane/store/disk_reserve.h"
#include "whence/v1/access_log.pb.h"

namespace whence::access_log {

// Who reports. Fields are printable text.
struct ReportingAgent {
  std::string agent;  // "namespace/name"
  std::string workload;
  std::string namespace_;
  std::string node;
  std::string role;  // sidecar, gateway, node
  friend auto operator<=>(const ReportingAgent&, const ReportingAgent&) = default;
};

struct Batch {
  // One object for each stream: if a batch fails, so do those that were appended behind it with the
  // same one, until `done` has been told of it.
  std::shared_ptr<const ReportingAgent> reporter;
  v1::IngestBatch message;  // boot not empty; sequence numbers fit into int64
  // Called once, on the writer thread, after the commit: the high-water mark of the boot. Or with
  // an error, and then nothing of the batch is in the database. Must be quick.
  std::function<void(absl::StatusOr<uint64_t>)> done;
};

// Since start, but for the gauges. Read for display only.
struct AccessLogCounters {
  std::atomic<uint64_t> records{0};     // committed
  std::atomic<uint64_t> duplicates{0};  // skipped: at or below the high-water mark
  std::atomic<uint64_t> lost{0};        // that agents said they had to drop
  std::atomic<uint64_t> missing{0};     // sequence numbers that never came
  std::atomic<uint64_t> commits{0};
  std::atomic<uint64_t> failures{0};  // commits that failed
  std::atomic<uint64_t> segments_dropped{0};
  std::atomic<uint64_t> segments_given_up{0};  // of them, before their time: no space
  std::atomic<uint64_t> segments{0};           // gauge
  std::atomic<uint64_t> used_bytes{0};         // gauge
  std::atomic<uint64_t> queued{0};             // gauge: batches
  std::atomic<uint64_t> wal_bytes{0};          // gauge
};

// Thread-safe.
class AccessLogStore final : public metrics::Source {
 public:
  static absl::StatusOr<std::unique_ptr<AccessLogStore>> Open(const std::string& path,
                                                              SegmentLimits limits,
                                                              const Clock& clock,
                                                              const log::Logger& logger);
  // Commits what was appended before, then stops.
  ~AccessLogStore() override;

  void Append(Batch batch);
  // From now on. Takes effect within a second; what is beyond the new limits goes then.
  void SetLimits(const SegmentLimits& limits);

  // `on_commit` is called on the writer thread after each commit that added rows. RemoveListener
  // returns when it is not being called any more; not to be called from a listener.
  uint64_t AddListener(std::function<void()> on_commit);
  void RemoveListener(uint64_t listener);

  const std::string& path() const { return path_; }
  const AccessLogCounters& counters() const { return counters_; }
  // Why records cannot be stored, or old ones not be given up; for a minute after the last failure
  // of a commit, or until the next one is good.
  absl::Status Health() const;
  void Collect(metrics::TextWriter& out) const override;

 private:
  AccessLogStore(std::unique_ptr<store::Database> database, SegmentLimits limits,
                 const Clock& clock, const log::Logger& logger);

  void Run();
  // Commits all or none; gives the mark each batch reaches.
  absl::StatusOr<std::vector<uint64_t>> Commit(const std::vector<Batch>& batches);
  // The same, if the disk has room for it.
  absl::StatusOr<std::vector<uint64_t>> CommitIfRoom(const std::vector<Batch>& batches);
  absl::StatusOr<std::vector<uint64_t>> CommitOrMakeRoom(const std::vector<Batch>& batches);
  void RefuseWhatFollows(const std::vector<Batch>& refused, const absl::Status& status);
  absl::StatusOr<uint64_t> Add(const Batch& batch, int64_t now_us);
  absl::StatusOr<int64_t> AgentId(const ReportingAgent& reporter);
  absl::StatusOr<std::optional<int64_t>> HighWater(const std::string& agent,
                                                   const std::string& boot);
  absl::Status SetHighWater(const std::string& agent, const std::string& boot, int64_t last_seq,
                            int64_t now_us);
  // What is remembered of the file is no longer true: read it again.
  void Forget();
  DiskPlan LookAtDisk();
  // If it is not held and there is space for it. The disk as it is then.
  DiskPlan TakeReserve();
  void Maintain();
  // False: nothing is due.
  absl::StatusOr<bool> MaintainOnce();
  void TellOfShortage(bool is_short);
  // What came of a commit, or of maintenance: for Health, and a line of the log when it fails, but
  // not each second.
  void NoteCommit(const absl::Status& status, const absl::Status& room);
  void NoteMaintenance(const absl::Status& status);
  bool MayComplain(SteadyTime* last);
  void Sweep();
  absl::Status ForgetOldMarks();
  // Those that no row refers to any more: pods come and go, each under a name of its own.
  absl::Status ForgetGoneAgents();
  int64_t NowMicros() const;

  const std::string path_;
  const Clock& clock_;
  const log::Logger& logger_;
  AccessLogCounters counters_;

  // The writer thread's:
  std::unique_ptr<store::Database> database_;
  Segments segments_;
  store::DiskReserve reserve_;
  std::map<ReportingAgent, int64_t> agent_ids_;
  std::map<std::pair<std::string, std::string>, int64_t> high_water_;
  // Of the transaction at hand; counted when it is committed.
  struct {
    uint64_t records = 0, duplicates = 0, lost = 0, missing = 0;
  } tally_;
  SteadyTime complained_of_commit_{}, complained_of_maintenance_{};
  bool shortage_told_ = false;
  SteadyTime swept_{};

  mutable std::mutex health_mutex_;
  absl::Status commit_status_;       // by health_mutex_
  SteadyTime commit_failed_{};       // by health_mutex_
  absl::Status maintenance_status_;  // by health_mutex_

  std::mutex listeners_mutex_;                           // held while they are called
  std::map<uint64_t, std::function<void()>> listeners_;  // by listeners_mutex_
  uint64_t next_listener_ = 1;                           // by listeners_mutex_

  std::mutex mutex_;
  std::condition_variable wake_;
  // By mutex_:
  std::deque<Batch> queue_;
  std::optional<SegmentLimits> new_limits_;  // not yet taken up by the writer
  bool stop_ = false;

  std::thread thread_;  // last
};

}  // namespace whence::access_log

#endif  // WHENCE_CONTROLPLANE_ACCESS_LOG_ACCESS_LOG_STORE_H_
