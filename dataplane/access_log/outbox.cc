#include "dataplane/access_log/outbox.h"

#include <algorithm>
#include <utility>

namespace whence::access_log {

void Outbox::Add(EncodedBatch batch, Time now) {
  const std::lock_guard lock(mutex_);
  if (looked_ == Time()) looked_ = now;
  memory_bytes_ += batch.bytes().size();
  memory_.push_back({std::move(batch), false});
  if (spool_ != nullptr) (void)SpoolWhatIsNot();  // counted; Age tries again, and tells
  if (memory_bytes_ > limits_.memory_bytes && memory_.size() > 1) Shrink();
}

absl::Status Outbox::SpoolWhatIsNot() {
  for (Waiting& waiting : memory_) {
    if (waiting.spooled) continue;
    const bool had_read_all = spool_->AtEnd(position_);
    if (tally_ != nullptr) {
      tally_->Prepare(waiting.batch.last_seq() + 1, waiting.batch.accesses());
    }
    if (absl::Status status = spool_->Append(waiting.batch); !status.ok()) {
      ++spool_errors_;
      return status;
    }
    if (tally_ != nullptr) tally_->Commit();
    waiting.spooled = true;
    // It is sent from memory: the reader of the spool need not read it.
    if (had_read_all) position_ = spool_->End();
  }
  return absl::OkStatus();
}

// Of what is acknowledged without ever having been in the spool.
void Outbox::Carried(const EncodedBatch& batch) {
  if (tally_ == nullptr) return;
  tally_->Prepare(batch.last_seq() + 1, batch.accesses());
  tally_->Commit();
}

absl::Status Outbox::Age(Time now) {
  const std::lock_guard lock(mutex_);
  if (spool_ == nullptr) return absl::OkStatus();
  if (absl::Status status = SpoolWhatIsNot(); !status.ok()) return status;
  if (now - looked_ < limits_.memory_age) return absl::OkStatus();
  if (!spool_->empty() && acknowledged_ == acknowledged_then_) spool_->Sync();
  acknowledged_then_ = acknowledged_;
  looked_ = now;
  return absl::OkStatus();
}

absl::Status Outbox::SpoolAll() {
  const std::lock_guard lock(mutex_);
  if (spool_ == nullptr) return absl::OkStatus();
  const absl::Status status = SpoolWhatIsNot();
  if (!status.ok()) return status;
  memory_.clear();
  memory_bytes_ = 0;
  spool_->Sync();
  return absl::OkStatus();
}

// Memory is full: what the spool has as well is read from there when its turn comes.
void Outbox::Shrink() {
  bool spooled = false;
  while (!memory_.empty() && memory_.front().spooled) {
    memory_bytes_ -= memory_.front().batch.bytes().size();
    memory_.pop_front();
    spooled = true;
  }
  if (spooled) position_ = {};  // what was sent on this stream is passed over
  if (memory_bytes_ > limits_.memory_bytes && memory_.size() > 1) Trim();
}

// Memory is full and there is no disk: the oldest half gives way to one gap record, under the last
// lost sequence number.
void Outbox::Trim() {
  uint64_t lost = 0;
  EncodedBatch last;
  while (memory_.size() > 1 && memory_bytes_ > limits_.memory_bytes / 2) {
    last = std::move(memory_.front().batch);
    lost += last.accesses();
    dropped_ += last.records() - last.gaps();
    memory_bytes_ -= last.bytes().size();
    memory_.pop_front();
  }
  if (lost == 0) return;
  EncodedBatch gap = EncodedBatch::Gap(last.boot(), last.last_seq(), last.last_time_us(), lost);
  memory_bytes_ += gap.bytes().size();
  memory_.push_front({std::move(gap), false});
}

bool Outbox::WaitUntilEmpty(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  return emptied_.wait_for(
      lock, timeout, [this] { return memory_.empty() && (spool_ == nullptr || spool_->empty()); });
}

void Outbox::BeginStream() {
  const std::lock_guard lock(mutex_);
  position_ = {};
  sent_up_to_.clear();
  in_flight_.clear();
}

bool Outbox::WasSent(const EncodedBatch& batch) const {
  const auto sent = sent_up_to_.find(batch.boot());
  return sent != sent_up_to_.end() && batch.last_seq() <= sent->second;
}

EncodedBatch Outbox::MarkSent(EncodedBatch batch) {
  sent_up_to_[batch.boot()] = batch.last_seq();
  in_flight_.push_back({batch.boot(), batch.last_seq(), batch.records()});
  return batch;
}

std::optional<EncodedBatch> Outbox::NextToSend(bool* try_again) {
  const std::lock_guard lock(mutex_);
  if (try_again != nullptr) *try_again = false;
  if (in_flight_.size() >= limits_.window) return std::nullopt;
  while (spool_ != nullptr) {
    bool failed = false;
    std::optional<EncodedBatch> batch = spool_->Next(&position_, &failed);
    if (failed) {  // what waits in memory is newer
      ++spool_errors_;
      if (try_again != nullptr) *try_again = true;
      return std::nullopt;
    }
    if (!batch.has_value()) break;
    if (!WasSent(*batch)) return MarkSent(*std::move(batch));
  }
  // What the spool has as well need not stay here once it is sent.
  while (!memory_.empty() && memory_.front().spooled) {
    EncodedBatch batch = std::move(memory_.front().batch);
    memory_bytes_ -= batch.bytes().size();
    memory_.pop_front();
    if (!WasSent(batch)) return MarkSent(std::move(batch));
  }
  for (const Waiting& waiting : memory_) {
    if (!WasSent(waiting.batch)) return MarkSent(waiting.batch);
  }
  return std::nullopt;
}

void Outbox::Acknowledge(const std::string& boot, uint64_t last_seq) {
  const std::lock_guard lock(mutex_);
  // The first acknowledgement of a boot tells what is committed already, which may be more than
  // this stream has carried.
  uint64_t& sent = sent_up_to_[boot];
  sent = std::max(sent, last_seq);
  for (auto it = in_flight_.begin(); it != in_flight_.end();) {
    if (it->boot == boot && it->last_seq <= last_seq) {
      acknowledged_ += it->records;
      it = in_flight_.erase(it);
    } else {
      ++it;
    }
  }
  for (auto it = memory_.begin(); it != memory_.end();) {
    if (it->batch.boot() == boot && it->batch.last_seq() <= last_seq) {
      if (!it->spooled) Carried(it->batch);
      memory_bytes_ -= it->batch.bytes().size();
      it = memory_.erase(it);
    } else {
      ++it;
    }
  }
  if (spool_ != nullptr) spool_->Acknowledge(boot, last_seq);
  if (memory_.empty() && (spool_ == nullptr || spool_->empty())) emptied_.notify_all();
}

OutboxStats Outbox::Stats() const {
  const std::lock_guard lock(mutex_);
  OutboxStats stats;
  stats.memory_bytes = memory_bytes_;
  stats.spool_bytes = spool_ == nullptr ? 0 : spool_->bytes();
  stats.acknowledged = acknowledged_;
  stats.dropped = dropped_ + (spool_ == nullptr ? 0 : spool_->dropped());
  stats.spool_errors = spool_errors_;
  return stats;
}

}  // namespace whence::access_log
