#include "dataplane/access_log/outbox.h"

#include <algorithm>
#include <utility>

#include "dataplane/access_log/record_text.h"

namespace whence::access_log {
namespace {

uint64_t LastSeq(const v1::IngestBatch& batch) {
  return batch.first_seq() + static_cast<uint64_t>(batch.records_size()) - 1;
}

}  // namespace

void Outbox::Add(v1::IngestBatch batch, Time now) {
  const std::lock_guard lock(mutex_);
  Waiting waiting;
  waiting.bytes = batch.ByteSizeLong();
  waiting.batch = std::move(batch);
  waiting.added = now;
  memory_bytes_ += waiting.bytes;
  memory_.push_back(std::move(waiting));
  while (memory_bytes_ > limits_.memory_bytes && memory_.size() > 1) {
    if (spool_ == nullptr || !SpoolFront().ok()) {
      Trim();
      break;
    }
  }
}

absl::Status Outbox::Age(Time now) {
  const std::lock_guard lock(mutex_);
  while (spool_ != nullptr && !memory_.empty() &&
         now - memory_.front().added > limits_.memory_age) {
    if (absl::Status status = SpoolFront(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Outbox::SpoolAll() {
  const std::lock_guard lock(mutex_);
  while (spool_ != nullptr && !memory_.empty()) {
    if (absl::Status status = SpoolFront(); !status.ok()) return status;
  }
  if (spool_ != nullptr) spool_->Sync();
  return absl::OkStatus();
}

absl::Status Outbox::SpoolFront() {
  const absl::Status status = spool_->Append(memory_.front().batch);
  if (!status.ok()) {
    ++spool_errors_;
    return status;
  }
  memory_bytes_ -= memory_.front().bytes;
  memory_.pop_front();
  return absl::OkStatus();
}

// Memory is full and there is no disk: the oldest half gives way to one gap record, under the last
// lost sequence number.
void Outbox::Trim() {
  uint64_t lost = 0;
  v1::IngestBatch gap;
  while (memory_.size() > 1 && memory_bytes_ > limits_.memory_bytes / 2) {
    const v1::IngestBatch& batch = memory_.front().batch;
    for (const v1::AccessRecord& record : batch.records()) {
      lost += AccessesIn(record);
      if (record.dropped() == 0) ++dropped_;
    }
    gap.set_boot(batch.boot());
    gap.set_first_seq(LastSeq(batch));
    gap.clear_records();
    *gap.add_records() = GapMessage(batch.records(batch.records_size() - 1).time_us(), lost);
    memory_bytes_ -= memory_.front().bytes;
    memory_.pop_front();
  }
  if (lost == 0) return;
  Waiting waiting;
  waiting.bytes = gap.ByteSizeLong();
  waiting.batch = std::move(gap);
  waiting.added = memory_.front().added;
  memory_bytes_ += waiting.bytes;
  memory_.push_front(std::move(waiting));
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

bool Outbox::WasSent(const v1::IngestBatch& batch) const {
  const auto sent = sent_up_to_.find(batch.boot());
  return sent != sent_up_to_.end() && LastSeq(batch) <= sent->second;
}

v1::IngestBatch Outbox::MarkSent(v1::IngestBatch batch) {
  sent_up_to_[batch.boot()] = LastSeq(batch);
  in_flight_.push_back({batch.boot(), LastSeq(batch)});
  return batch;
}

std::optional<v1::IngestBatch> Outbox::NextToSend(bool* try_again) {
  const std::lock_guard lock(mutex_);
  if (try_again != nullptr) *try_again = false;
  if (in_flight_.size() >= limits_.window) return std::nullopt;
  while (spool_ != nullptr) {
    bool failed = false;
    std::optional<v1::IngestBatch> batch = spool_->Next(&position_, &failed);
    if (failed) {  // what waits in memory is newer
      ++spool_errors_;
      if (try_again != nullptr) *try_again = true;
      return std::nullopt;
    }
    if (!batch.has_value()) break;
    // Sent from memory before it was moved to the spool.
    if (!WasSent(*batch)) return MarkSent(*std::move(batch));
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
  in_flight_.erase(
      std::remove_if(in_flight_.begin(), in_flight_.end(),
                     [&](const Sent& s) { return s.boot == boot && s.last_seq <= last_seq; }),
      in_flight_.end());
  for (auto it = memory_.begin(); it != memory_.end();) {
    if (it->batch.boot() == boot && LastSeq(it->batch) <= last_seq) {
      acknowledged_ += static_cast<uint64_t>(it->batch.records_size());
      memory_bytes_ -= it->bytes;
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
