#include "controlplane/access_log/access_log_store.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "controlplane/access_log/row.h"
#include "controlplane/access_log/schema.h"

namespace whence::access_log {
namespace {

// A commit of so many records takes about a tenth of a second: what waits behind it is still
// visible well within the second that is promised.
constexpr int kMaxRecordsPerCommit = 20000;
// And one batch more: with what it does not fill of the write-ahead log's room (disk_plan.h).
constexpr size_t kMaxBytesPerCommit = size_t{4} << 20;
constexpr std::chrono::seconds kMaintenanceInterval(1);
// A segment may be smaller than a commit; but a disk that others fill is not to cost us all.
constexpr int kMaxDropsPerCommit = 4;
// Marks of agents that have not reported for so long are forgotten. Longer than any spool lives.
constexpr int64_t kHighWaterLifeMicros = int64_t{90} * 24 * 3600 * 1000000;
constexpr std::chrono::hours kSweepInterval(1);
// As much as the write-ahead log comes to: where others have filled the disk, it can be moved into
// the file.
constexpr int64_t kReserveBytes = kWalRoomBytes;
// What maintenance may add to a file that is as large as it may be: a segment has a first page.
constexpr int64_t kMaintenanceBytes = int64_t{1} << 20;
constexpr size_t kMaxRemembered = 100000;
constexpr std::chrono::seconds kComplaintInterval(10);
constexpr std::chrono::minutes kFailureLife(1);

bool IsFull(const absl::Status& status) {
  return status.code() == absl::StatusCode::kResourceExhausted;
}

}  // namespace

absl::StatusOr<std::unique_ptr<AccessLogStore>> AccessLogStore::Open(const std::string& path,
                                                                     SegmentLimits limits,
                                                                     const Clock& clock,
                                                                     const log::Logger& logger) {
  store::DiskReserve(store::ReserveOf(path), kReserveBytes).ReleaseToOpen();
  absl::StatusOr<std::unique_ptr<store::Database>> database =
      store::Database::Open(path, {.cache_kib = 16384, .page_bytes = 8192});
  if (!database.ok()) return database.status();
  absl::Status status = store::Migrate(**database, kApplicationId, MigrationSteps());
  if (!status.ok()) return status;
  // A reader that holds up a checkpoint makes the WAL grow; without this it would stay that large.
  status = (*database)->Execute("pragma journal_size_limit = 67108864", "bound the WAL");
  if (!status.ok()) return status;
  std::unique_ptr<AccessLogStore> store(
      new AccessLogStore(*std::move(database), limits, clock, logger));
  status = store->segments_.Load(store->NowMicros());
  if (!status.ok()) return status;
  (void)store->TakeReserve();  // Or later, when there is space.
  store->thread_ = std::thread([raw = store.get()] { raw->Run(); });
  return store;
}

AccessLogStore::AccessLogStore(std::unique_ptr<store::Database> database, SegmentLimits limits,
                               const Clock& clock, const log::Logger& logger)
    : path_(database->path()),
      clock_(clock),
      logger_(logger),
      database_(std::move(database)),
      segments_(*database_, limits),
      reserve_(store::ReserveOf(path_), kReserveBytes) {}

AccessLogStore::~AccessLogStore() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void AccessLogStore::Append(Batch batch) {
  std::lock_guard lock(mutex_);
  queue_.push_back(std::move(batch));
  counters_.queued.store(queue_.size(), std::memory_order_relaxed);
  wake_.notify_one();
}

void AccessLogStore::SetLimits(const SegmentLimits& limits) {
  std::lock_guard lock(mutex_);
  new_limits_ = limits;
  wake_.notify_one();
}

uint64_t AccessLogStore::AddListener(std::function<void()> on_commit) {
  std::lock_guard lock(listeners_mutex_);
  listeners_[next_listener_] = std::move(on_commit);
  return next_listener_++;
}

void AccessLogStore::RemoveListener(uint64_t listener) {
  std::lock_guard lock(listeners_mutex_);
  listeners_.erase(listener);
}

int64_t AccessLogStore::NowMicros() const { return clock_.Now().time_since_epoch().count(); }

void AccessLogStore::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    if (queue_.empty()) {
      if (stop_) return;
      wake_.wait_for(lock, kMaintenanceInterval,
                     [this] { return stop_ || !queue_.empty() || new_limits_; });
    }
    if (new_limits_) segments_.SetLimits(*std::exchange(new_limits_, std::nullopt));
    std::vector<Batch> batches;
    int records = 0;
    size_t bytes = 0;
    while (!queue_.empty() && records < kMaxRecordsPerCommit && bytes < kMaxBytesPerCommit) {
      records += queue_.front().message.records_size();
      bytes += queue_.front().message.ByteSizeLong();
      batches.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    counters_.queued.store(queue_.size(), std::memory_order_relaxed);
    lock.unlock();
    if (!batches.empty()) {
      absl::StatusOr<std::vector<uint64_t>> marks = CommitOrMakeRoom(batches);
      for (size_t i = 0; i < batches.size(); ++i) {
        if (marks.ok()) {
          batches[i].done((*marks)[i]);
        } else {
          batches[i].done(marks.status());
        }
      }
      if (marks.ok()) {
        std::lock_guard listening(listeners_mutex_);
        for (const auto& [id, on_commit] : listeners_) on_commit();
      } else {
        RefuseWhatFollows(batches, marks.status());
      }
    }
    Maintain();
    lock.lock();
  }
}

// Stored behind a gap, they would carry the mark over it, and their reporter would take the refused
// batches for stored. Whoever is told of a failure appends nothing more, so all that follow are here.
void AccessLogStore::RefuseWhatFollows(const std::vector<Batch>& refused,
                                       const absl::Status& status) {
  std::set<std::shared_ptr<const ReportingAgent>> reporters;
  for (const Batch& batch : refused) reporters.insert(batch.reporter);
  std::vector<Batch> following;
  {
    std::lock_guard lock(mutex_);
    std::erase_if(queue_, [&](Batch& batch) {
      if (reporters.count(batch.reporter) == 0) return false;
      following.push_back(std::move(batch));
      return true;
    });
  }
  for (const Batch& batch : following) batch.done(status);
}

DiskPlan AccessLogStore::LookAtDisk() {
  const auto size_of = [](const std::string& path) -> int64_t {
    std::error_code error;
    const uintmax_t size = std::filesystem::file_size(path, error);
    return error ? 0 : static_cast<int64_t>(size);
  };
  const int64_t wal_bytes = size_of(path_ + "-wal");
  counters_.wal_bytes.store(static_cast<uint64_t>(wal_bytes), std::memory_order_relaxed);
  const int64_t file_bytes = size_of(path_);
  const std::optional<int64_t> free_bytes = store::FreeBytesAt(path_);
  absl::StatusOr<int64_t> page_bytes = segments_.FileBytes();
  // Where it cannot be known, SQLite says when the disk is full.
  return PlanFor({.free_bytes = free_bytes.value_or(int64_t{1} << 50),
                  .wal_bytes = wal_bytes,
                  .file_bytes = file_bytes,
                  .page_bytes = page_bytes.value_or(file_bytes),
                  .reserve_bytes = reserve_.bytes(),
                  .reserve_held_bytes = reserve_.held_bytes()},
                 segments_.limits());
}

DiskPlan AccessLogStore::TakeReserve() {
  const DiskPlan disk = LookAtDisk();
  if (!disk.can_take_reserve || reserve_.held_bytes() == reserve_.bytes()) return disk;
  (void)reserve_.Take();
  return LookAtDisk();
}

absl::StatusOr<std::vector<uint64_t>> AccessLogStore::CommitIfRoom(
    const std::vector<Batch>& batches) {
  DiskPlan disk = LookAtDisk();
  if (disk.should_move_wal) {
    (void)database_->Checkpoint(false);  // The next look tells what came of it.
    disk = LookAtDisk();
  }
  if (disk.is_backed_up) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path_, "-wal cannot be moved into the file: free space on its disk, or end ",
                     "queries that have run for long"));
  }
  if (absl::Status status = segments_.BoundFile(disk.max_file_bytes); !status.ok()) return status;
  return Commit(batches);
}

absl::StatusOr<std::vector<uint64_t>> AccessLogStore::CommitOrMakeRoom(
    const std::vector<Batch>& batches) {
  absl::StatusOr<std::vector<uint64_t>> marks = CommitIfRoom(batches);
  absl::Status room;
  if (IsFull(marks.status())) {
    // The log is emptied first: dropping needs pages of it.
    reserve_.Release();
    room = database_->Checkpoint(false);
    // Truncating waits for readers; in vain, if one keeps the log from being moved.
    if (!LookAtDisk().is_backed_up) room = database_->Checkpoint(true);
    marks = CommitIfRoom(batches);
  }
  // The oldest records go before the newest are refused.
  for (int i = 0; i < kMaxDropsPerCommit && IsFull(marks.status()); ++i) {
    const DiskPlan disk = LookAtDisk();
    if (disk.is_backed_up) break;
    room = segments_.BoundFile(disk.max_file_bytes + kMaintenanceBytes);
    absl::StatusOr<bool> dropped = false;
    if (room.ok()) {
      dropped = segments_.DropOldest(NowMicros());
      room = dropped.status();
    }
    if (!dropped.ok() || !*dropped) break;
    room = database_->Checkpoint(true);
    marks = CommitIfRoom(batches);
  }
  NoteCommit(marks.status(), room);
  return marks;
}

void AccessLogStore::NoteCommit(const absl::Status& status, const absl::Status& room) {
  {
    std::lock_guard lock(health_mutex_);
    commit_status_ = status;
    commit_failed_ = clock_.SteadyNow();
  }
  if (status.ok()) return;
  counters_.failures.fetch_add(1, std::memory_order_relaxed);
  if (!MayComplain(&complained_of_commit_)) return;
  logger_.Error("access records cannot be stored, agents keep them",
                {{"error", ToStd(status.message())},
                 {"making_room", room.ok() ? "ok" : ToStd(room.message())}});
}

void AccessLogStore::NoteMaintenance(const absl::Status& status) {
  {
    std::lock_guard lock(health_mutex_);
    maintenance_status_ = status;
  }
  if (status.ok() || !MayComplain(&complained_of_maintenance_)) return;
  logger_.Warning("access log maintenance failed", {{"error", ToStd(status.message())}});
}

bool AccessLogStore::MayComplain(SteadyTime* last) {
  const SteadyTime now = clock_.SteadyNow();
  if (*last != SteadyTime() && now - *last < kComplaintInterval) return false;
  *last = now;
  return true;
}

absl::Status AccessLogStore::Health() const {
  std::lock_guard lock(health_mutex_);
  // Agents try again within seconds; where none does, nothing waits to be stored any more.
  if (!commit_status_.ok() && clock_.SteadyNow() - commit_failed_ < kFailureLife) {
    return absl::Status(commit_status_.code(), absl::StrCat("access records cannot be stored: ",
                                                            commit_status_.message()));
  }
  if (maintenance_status_.ok()) return absl::OkStatus();
  return absl::Status(maintenance_status_.code(), absl::StrCat("access log maintenance failed: ",
                                                               maintenance_status_.message()));
}

absl::StatusOr<std::vector<uint64_t>> AccessLogStore::Commit(const std::vector<Batch>& batches) {
  tally_ = {};
  std::vector<uint64_t> marks;
  absl::Status status;
  {
    absl::StatusOr<store::Transaction> transaction = store::Transaction::Begin(*database_);
    if (!transaction.ok()) return transaction.status();
    int64_t now_us = NowMicros();
    for (const Batch& batch : batches) {
      absl::StatusOr<uint64_t> mark = Add(batch, now_us);
      if (!mark.ok()) {
        status = mark.status();
        break;
      }
      marks.push_back(*mark);
    }
    if (status.ok()) status = segments_.Flush();
    if (status.ok()) status = transaction->Commit();
  }
  if (!status.ok()) {
    Forget();
    return status;
  }
  counters_.records.fetch_add(tally_.records, std::memory_order_relaxed);
  counters_.duplicates.fetch_add(tally_.duplicates, std::memory_order_relaxed);
  counters_.lost.fetch_add(tally_.lost, std::memory_order_relaxed);
  counters_.missing.fetch_add(tally_.missing, std::memory_order_relaxed);
  counters_.commits.fetch_add(1, std::memory_order_relaxed);
  return marks;
}

absl::StatusOr<uint64_t> AccessLogStore::Add(const Batch& batch, int64_t now_us) {
  const std::string& agent = batch.reporter->agent;
  const v1::IngestBatch& message = batch.message;
  absl::StatusOr<int64_t> agent_id = AgentId(*batch.reporter);
  if (!agent_id.ok()) return agent_id.status();
  absl::StatusOr<std::optional<int64_t>> mark = HighWater(agent, message.boot());
  if (!mark.ok()) return mark.status();
  auto first = static_cast<int64_t>(message.first_seq());
  if (*mark && first > **mark + 1) tally_.missing += static_cast<uint64_t>(first - **mark - 1);
  for (int i = 0; i < message.records_size(); ++i) {
    if (*mark && first + i <= **mark) {
      ++tally_.duplicates;
      continue;
    }
    Row row(message.records(i));
    absl::Status status = segments_.Append(row, *agent_id, now_us);
    if (!status.ok()) return status;
    ++tally_.records;
    tally_.lost += static_cast<uint64_t>(row.dropped());
    *mark = first + i;
  }
  if (!*mark) return 0;  // An empty first batch.
  absl::Status status = SetHighWater(agent, message.boot(), **mark, now_us);
  if (!status.ok()) return status;
  return static_cast<uint64_t>(**mark);
}

absl::StatusOr<int64_t> AccessLogStore::AgentId(const ReportingAgent& reporter) {
  auto known = agent_ids_.find(reporter);
  if (known != agent_ids_.end()) return known->second;
  absl::StatusOr<store::Statement> insert = database_->Prepare(
      "insert into agents(agent, workload, namespace, node, role) values (?1, ?2, ?3, ?4, ?5) "
      "on conflict do nothing",
      "note an agent");
  if (!insert.ok()) return insert.status();
  absl::Status status =
      insert->Run(std::string_view(reporter.agent), std::string_view(reporter.workload),
                  std::string_view(reporter.namespace_), std::string_view(reporter.node),
                  std::string_view(reporter.role));
  if (!status.ok()) return status;
  absl::StatusOr<store::Statement> select = database_->Prepare(
      "select id from agents where agent = ?1 and node = ?2 and role = ?3", "find an agent");
  if (!select.ok()) return select.status();
  select->BindAll(std::string_view(reporter.agent), std::string_view(reporter.node),
                  std::string_view(reporter.role));
  absl::StatusOr<bool> row = select->Step();
  if (!row.ok()) return row.status();
  if (!*row) return absl::InternalError("an agent was noted and is not there");
  if (agent_ids_.size() >= kMaxRemembered) agent_ids_.clear();
  return agent_ids_[reporter] = select->Int(0);
}

absl::StatusOr<std::optional<int64_t>> AccessLogStore::HighWater(const std::string& agent,
                                                                 const std::string& boot) {
  auto known = high_water_.find({agent, boot});
  if (known != high_water_.end()) return known->second;
  absl::StatusOr<store::Statement> select = database_->Prepare(
      "select last_seq from high_water where agent = ?1 and boot = ?2", "read a high-water mark");
  if (!select.ok()) return select.status();
  select->BindAll(std::string_view(agent), std::string_view(boot));
  absl::StatusOr<bool> row = select->Step();
  if (!row.ok()) return row.status();
  if (!*row) return std::nullopt;
  return select->Int(0);
}

absl::Status AccessLogStore::SetHighWater(const std::string& agent, const std::string& boot,
                                          int64_t last_seq, int64_t now_us) {
  absl::StatusOr<store::Statement> upsert = database_->Prepare(
      "insert into high_water(agent, boot, last_seq, updated_us) values (?1, ?2, ?3, ?4) "
      "on conflict do update set last_seq = excluded.last_seq, updated_us = excluded.updated_us",
      "write a high-water mark");
  if (!upsert.ok()) return upsert.status();
  absl::Status status =
      upsert->Run(std::string_view(agent), std::string_view(boot), last_seq, now_us);
  if (!status.ok()) return status;
  if (high_water_.size() >= kMaxRemembered) high_water_.clear();
  high_water_[{agent, boot}] = last_seq;
  return absl::OkStatus();
}

void AccessLogStore::Forget() {
  agent_ids_.clear();
  high_water_.clear();
  // If even this fails, the next commit fails as well and comes here again.
  (void)segments_.Load(NowMicros());
}

absl::StatusOr<bool> AccessLogStore::MaintainOnce() {
  DiskPlan disk = TakeReserve();
  if (disk.should_move_wal) {
    (void)database_->Checkpoint(false);  // The next look tells what came of it.
    disk = LookAtDisk();
  }
  absl::Status status = segments_.BoundFile(disk.max_file_bytes + kMaintenanceBytes);
  if (!status.ok()) return status;
  const bool is_short = disk.limits.max_bytes < segments_.limits().max_bytes;
  absl::StatusOr<bool> done = segments_.Maintain(NowMicros(), disk);
  TellOfShortage(is_short);
  return done;
}

// Once for each time that it begins.
void AccessLogStore::TellOfShortage(bool is_short) {
  const uint64_t before = counters_.segments_given_up.load(std::memory_order_relaxed);
  const uint64_t now = segments_.given_up();
  counters_.segments_given_up.store(now, std::memory_order_relaxed);
  if (now > before && !shortage_told_) {
    shortage_told_ = true;
    logger_.Warning(
        "the oldest access records are given up before their time: the disk has no "
        "space for more",
        {{"file", path_}});
  }
  if (!is_short) shortage_told_ = false;
}

void AccessLogStore::Maintain() {
  // One task after each commit while batches wait (or segments would grow without end under
  // load); all that are due when none does.
  while (true) {
    absl::StatusOr<bool> done = MaintainOnce();
    NoteMaintenance(done.status());
    if (!done.ok()) {
      if (IsFull(done.status())) {
        reserve_.Release();
        (void)database_->Checkpoint(true);  // The next attempt tells what came of it.
      }
      Forget();
      break;
    }
    if (!*done) break;
    std::lock_guard lock(mutex_);
    if (!queue_.empty() || stop_) break;
  }
  Sweep();
  counters_.segments.store(segments_.list().size(), std::memory_order_relaxed);
  counters_.segments_dropped.store(segments_.dropped(), std::memory_order_relaxed);
  if (absl::StatusOr<int64_t> used = segments_.UsedBytes(); used.ok()) {
    counters_.used_bytes.store(static_cast<uint64_t>(*used), std::memory_order_relaxed);
  }
}

void AccessLogStore::Sweep() {
  SteadyTime now = clock_.SteadyNow();
  if (swept_ != SteadyTime() && now - swept_ < kSweepInterval) return;
  swept_ = now;
  absl::Status status = ForgetOldMarks();
  if (status.ok()) status = ForgetGoneAgents();
  if (!status.ok()) {
    logger_.Warning("access log maintenance failed", {{"error", ToStd(status.message())}});
  }
}

absl::Status AccessLogStore::ForgetOldMarks() {
  absl::StatusOr<store::Statement> sweep = database_->Prepare(
      "delete from high_water where updated_us < ?1", "forget old high-water marks");
  return sweep.ok() ? sweep->Run(NowMicros() - kHighWaterLifeMicros) : sweep.status();
}

absl::Status AccessLogStore::ForgetGoneAgents() {
  absl::StatusOr<store::Transaction> transaction = store::Transaction::Begin(*database_);
  if (!transaction.ok()) return transaction.status();
  absl::StatusOr<std::set<int64_t>> in_use = segments_.AgentsInUse();
  if (!in_use.ok()) return in_use.status();
  std::vector<int64_t> gone;
  absl::StatusOr<store::Statement> select =
      database_->Prepare("select id from agents", "list agents");
  if (!select.ok()) return select.status();
  while (true) {
    absl::StatusOr<bool> row = select->Step();
    if (!row.ok()) return row.status();
    if (!*row) break;
    if (!in_use->contains(select->Int(0))) gone.push_back(select->Int(0));
  }
  agent_ids_.clear();
  absl::StatusOr<store::Statement> remove =
      database_->Prepare("delete from agents where id = ?1", "forget an agent");
  if (!remove.ok()) return remove.status();
  for (int64_t id : gone) {
    if (absl::Status status = remove->Run(id); !status.ok()) return status;
  }
  return transaction->Commit();
}

void AccessLogStore::Collect(metrics::TextWriter& out) const {
  auto sample = [&out](const std::atomic<uint64_t>& value) {
    out.Sample(value.load(std::memory_order_relaxed));
  };
  out.Counter("whence_access_log_records_total", "Access records committed.");
  sample(counters_.records);
  out.Counter("whence_access_log_duplicates_total", "Records that came again and were skipped.");
  sample(counters_.duplicates);
  out.Counter("whence_access_log_lost_total", "Records that agents reported as dropped.");
  sample(counters_.lost);
  out.Counter("whence_access_log_missing_total", "Sequence numbers that never came.");
  sample(counters_.missing);
  out.Counter("whence_access_log_commits_total", "Transactions committed.");
  sample(counters_.commits);
  out.Counter("whence_access_log_failures_total", "Transactions that failed.");
  sample(counters_.failures);
  out.Counter("whence_access_log_segments_dropped_total", "Segments dropped by retention.");
  sample(counters_.segments_dropped);
  out.Counter("whence_access_log_segments_given_up_total",
              "Of the segments dropped, those that retention would keep: the disk has no space.");
  sample(counters_.segments_given_up);
  out.Gauge("whence_access_log_segments", "Segments in the file.");
  sample(counters_.segments);
  out.Gauge("whence_access_log_bytes", "Size of the file without free pages.");
  sample(counters_.used_bytes);
  out.Gauge("whence_access_log_wal_bytes",
            "Size of the write-ahead log; grows while somebody reads for long.");
  sample(counters_.wal_bytes);
  out.Gauge("whence_access_log_queue", "Batches that wait for the writer.");
  sample(counters_.queued);
}

}  // namespace whence::access_log
