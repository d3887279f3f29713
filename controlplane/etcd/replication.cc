#include "controlplane/etcd/replication.h"

#include <utility>

namespace whence::etcd {
namespace {

constexpr std::chrono::milliseconds kRetry(500);

}  // namespace

Replication::Replication(Client& client, discovery::Inventory& inventory,
                         std::function<absl::Status()> refresh, std::string handover_secret,
                         const Clock& clock, const log::Logger& logger)
    : client_(client),
      refresh_(std::move(refresh)),
      handover_secret_(std::move(handover_secret)),
      logger_(logger),
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
    if (change.name == kHandoverSecretKey) OnSecret(change);
    if (change.name != "live/head") continue;
    std::lock_guard lock(mutex_);
    has_moved_ = true;
    changed_.notify_one();
  }
}

// Goes on with the one it has: its agents and those of the other replicas that run hold keys of it.
void Replication::OnSecret(const LiveChange& change) {
  const bool shares = change.value == handover_secret_;
  if (shares_secret_.exchange(shares) == shares) return;
  if (shares) {
    logger_.Info("etcd has this replica's hand-over secret again");
  } else if (change.value) {
    logger_.Warning(
        "etcd has another hand-over secret than this replica: agents of replicas that "
        "start from now on cannot hand over to agents of this one; restart it");
  } else {
    logger_.Warning(
        "etcd has lost the hand-over secret; a replica that starts brings back its own "
        "copy, handover.key: restart one that has the right one first");
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
  out.Gauge("whence_control_handover_secret_shared",
            "1 while etcd has the hand-over secret that this replica uses, else 0.");
  out.Sample(uint64_t{shares_secret_.load()});
  out.Gauge("whence_control_replicas", "Control planes that serve this configuration.");
  out.Sample(uint64_t{presence_.replicas()});
}

}  // namespace whence::etcd
