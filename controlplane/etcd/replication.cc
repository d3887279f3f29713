#include "controlplane/etcd/replication.h"

#include <utility>

namespace whence::etcd {
namespace {

constexpr std::chrono::milliseconds kRetry(500);

}  // namespace

Replication::Replication(Client& client, discovery::Inventory& inventory,
                         std::function<absl::Status()> refresh, const Clock& clock,
                         const log::Logger& logger)
    : client_(client),
      refresh_(std::move(refresh)),
      presence_(client, inventory, clock, logger),
      watch_(client, clock, logger,
             [this](const std::vector<LiveChange>& changes) { OnLive(changes); }) {}

absl::Status Replication::Join() {
  if (absl::Status status = presence_.Announce(); !status.ok()) return status;
  return watch_.ReadAll();
}

void Replication::Start() {
  presence_.Start();
  watch_.Start();
  thread_ = std::thread([this] { Run(); });
}

void Replication::Stop() {
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
    changed_.notify_one();
  }
  client_.Hurry();
  watch_.Stop();
  if (thread_.joinable()) thread_.join();
  presence_.Stop();
}

void Replication::OnLive(const std::vector<LiveChange>& changes) {
  presence_.OnLive(changes);
  for (const LiveChange& change : changes) {
    if (change.name != "live/head") continue;
    std::lock_guard lock(mutex_);
    has_moved_ = true;
    changed_.notify_one();
  }
}

void Replication::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return is_stopping_ || has_moved_; });
    if (is_stopping_) return;
    has_moved_ = false;
    lock.unlock();
    const absl::Status status = refresh_();
    lock.lock();
    if (status.ok()) continue;
    has_moved_ = true;
    changed_.wait_for(lock, kRetry, [this] { return is_stopping_; });
  }
}

void Replication::Collect(metrics::TextWriter& out) const {
  out.Gauge("whence_control_etcd_heard", "1 while etcd tells of other replicas' changes, else 0.");
  out.Sample(uint64_t{watch_.Health().ok()});
  out.Counter("whence_control_etcd_breaks_total", "Times that etcd's stream of changes broke.");
  out.Sample(watch_.breaks());
  out.Gauge("whence_control_replicas", "Control planes that serve this configuration.");
  out.Sample(uint64_t{presence_.replicas()});
}

}  // namespace whence::etcd
