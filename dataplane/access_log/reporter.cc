#include "dataplane/access_log/reporter.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dataplane/access_log/record_text.h"

namespace whence::access_log {
namespace {

constexpr std::chrono::milliseconds kTick(200);
// A batch is one transaction at the control plane and one message on the wire: large enough to be
// cheap, far below 4 MiB.
constexpr uint64_t kBatchRecords = 2500;
constexpr size_t kBatchBytes = 512 << 10;
constexpr int kRecordsInARow = 4096;
// A worker that is faster than we are drops some at every look, for as long as it is.
constexpr std::chrono::seconds kComplaintInterval(30);
constexpr size_t kLinesBytes = 256 << 10;

int64_t Microseconds(WallTime time) { return time.time_since_epoch().count(); }

}  // namespace

Reporter::Reporter(int workers, std::string boot, const Reporting& reporting, const Clock& clock,
                   Log& log)
    : boot_(std::move(boot)),
      json_(reporting),
      clock_(clock),
      log_(log),
      wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  for (int i = 0; i < workers; ++i) {
    rings_.push_back(std::make_unique<Ring>(Ring::kDefaultBytes, [this] { Notify(); }));
    ring_pointers_.push_back(rings_.back().get());
  }
}

Reporter::~Reporter() { Stop(); }

void Reporter::Notify() {
  const uint64_t one = 1;
  // EAGAIN means that it is awake already.
  if (write(wake_.get(), &one, sizeof(one)) < 0) return;
}

void Reporter::Start(Outputs outputs) {
  outputs_ = std::move(outputs);
  thread_ = std::thread([this] { Run(); });
}

void Reporter::Stop() {
  if (!thread_.joinable()) return;
  stopping_.store(true);
  Notify();
  thread_.join();
}

void Reporter::ReopenFile() {
  reopen_.store(true);
  Notify();
}

uint64_t Reporter::ring_dropped() const {
  uint64_t dropped = 0;
  for (const auto& ring : rings_) dropped += ring->dropped();
  return dropped;
}

void Reporter::Run() {
  while (true) {
    // Read before draining: what was pushed before the order to stop is then carried out.
    const bool last = stopping_.load();
    uint64_t ignored = 0;
    if (read(wake_.get(), &ignored, sizeof(ignored)) < 0) ignored = 0;  // EAGAIN: the timer woke us
    if (reopen_.exchange(false) && outputs_.file != nullptr) {
      const absl::Status status = outputs_.file->Reopen();
      if (!status.ok()) log_.Error(absl::StrCat("access log: ", status.message()));
    }
    Drain();
    if (outputs_.outbox != nullptr && !last) {
      const absl::Status status = outputs_.outbox->Age(clock_.SteadyNow());
      if (!status.ok() && !spool_failed_) {
        log_.Error(
            absl::StrCat("access-log spool: ", status.message(), "; records stay in memory"));
      }
      spool_failed_ = !status.ok();
    }
    if (last) return;
    pollfd wait{wake_.get(), POLLIN, 0};
    poll(&wait, 1, static_cast<int>(kTick.count()));
  }
}

void Reporter::SetPrivacy(const trust::ClientPrivacy& privacy) {
  const std::lock_guard lock(mutex_);
  privacy_ = privacy;
}

void Reporter::Drain() {
  trust::ClientPrivacy privacy;
  {
    const std::lock_guard lock(mutex_);
    privacy = privacy_;
  }
  for (const auto& ring : rings_) {
    ring->ArmWake();
    // Not for ever: a worker that never stops pushing must not keep the others waiting.
    for (int i = 0; i < kRecordsInARow; ++i) {
      const Record* const record = ring->Front();
      if (record == nullptr) break;
      if (privacy.hides()) {
        Record hidden;
        hidden.CopyFrom(*record);
        HideClient(privacy, &hidden);
        Append(hidden);
      } else {
        Append(*record);
      }
      ring->Pop();
    }
    if (const uint64_t dropped = ring->TakeDropped(); dropped > 0) {
      dropped_unsaid_ += dropped;
      AppendGap(dropped);
    }
  }
  SayDropped();
  // Under load a ring wakes us more often than a batch is full: few large ones cost less than many.
  if (stopping_.load() || clock_.SteadyNow() - flushed_ >= kTick) Flush();
  WriteLines();
  const std::lock_guard lock(mutex_);
  summary_ = summary_in_hand_;
}

void Reporter::SayDropped() {
  if (dropped_unsaid_ == 0) return;
  const SteadyTime now = clock_.SteadyNow();
  const bool last = stopping_.load();
  if (said_dropped_ != SteadyTime() && now - said_dropped_ < kComplaintInterval && !last) return;
  said_dropped_ = now;
  log_.Warning(absl::StrCat(std::exchange(dropped_unsaid_, 0),
                            " access records were dropped: written faster than they could be "
                            "carried out; gap records say so"));
}

AccessSummary Reporter::summary() const {
  const std::lock_guard lock(mutex_);
  return summary_;
}

void Reporter::CountAt(Tally& tally) {
  for (size_t i = 0; i < rings_.size(); ++i) rings_[i]->CountAt(tally.begun(static_cast<int>(i)));
}

void Reporter::Append(const Record& record) {
  records_.fetch_add(1, std::memory_order_relaxed);
  if (outputs_.file != nullptr) {
    json_.Append(record, &lines_);
    if (lines_.size() >= kLinesBytes) WriteLines();
  }
  summary_in_hand_.Add(record);
  if (outputs_.outbox != nullptr) OpenBatch().Add(record);
}

void Reporter::AppendGap(uint64_t dropped) {
  const int64_t now_us = Microseconds(clock_.Now());
  records_.fetch_add(1, std::memory_order_relaxed);
  if (outputs_.file != nullptr) json_.AppendGap(now_us, dropped, &lines_);
  if (outputs_.outbox != nullptr) OpenBatch().AddGap(now_us, dropped);
}

EncodedBatch& Reporter::OpenBatch() {
  if (batch_.records() >= kBatchRecords || batch_.bytes().size() >= kBatchBytes) Flush();
  if (batch_.records() == 0) {
    batch_ = EncodedBatch(boot_, next_seq_);
    batch_.Reserve(last_batch_bytes_);
  }
  ++next_seq_;
  return batch_;
}

void Reporter::Flush() {
  flushed_ = clock_.SteadyNow();
  if (batch_.records() == 0) return;
  last_batch_bytes_ = batch_.bytes().size();
  outputs_.outbox->Add(std::exchange(batch_, {}), clock_.SteadyNow());
  if (outputs_.on_add) outputs_.on_add();
}

void Reporter::WriteLines() {
  if (lines_.empty()) return;
  const absl::Status status = outputs_.file->Write(lines_);
  // Said once, not for every batch that a full disk refuses.
  if (!status.ok() && !file_failed_)
    log_.Error(absl::StrCat("access log: ", status.message(), "; lines are lost"));
  file_failed_ = !status.ok();
  lines_.clear();
}

}  // namespace whence::access_log
