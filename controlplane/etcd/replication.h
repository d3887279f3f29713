// Makes one control plane a replica among others: it follows what they commit, shares with them
// which agents are connected, and says so if the secret of hand-overs is no longer the one it has.
#ifndef WHENCE_CONTROLPLANE_ETCD_REPLICATION_H_
#define WHENCE_CONTROLPLANE_ETCD_REPLICATION_H_

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "common/base/clock.h"
#include "controlplane/discovery/inventory.h"
#include "controlplane/etcd/client.h"
#include "controlplane/etcd/live_watch.h"
#include "controlplane/etcd/presence.h"
#include "controlplane/log/logger.h"
#include "controlplane/metrics/metrics.h"

namespace whence::etcd {

// Thread-safe.
class Replication final : public metrics::Source {
 public:
  // `refresh` publishes what the store holds now; it is called on a thread of ours whenever the
  // head has moved, and again until it succeeds. All must outlive *this; Stop before what `refresh`
  // and the inventory's listeners use goes.
  Replication(Client& client, discovery::Inventory& inventory,
              std::function<absl::Status()> refresh, std::string handover_secret,
              const Clock& clock, const log::Logger& logger);
  ~Replication() override { Stop(); }

  // Says that this replica is there. On return the inventory knows the agents of all the others.
  // kUnavailable: etcd does not answer.
  absl::Status Join();
  // Goes on, on threads of its own, once those who listen to the inventory are there.
  void Start();
  void Stop();

  // OK, or that changes of others are not heard of.
  absl::Status Health() const { return watch_.Health(); }
  void Collect(metrics::TextWriter& out) const override;

 private:
  void OnLive(const std::vector<LiveChange>& changes);
  void OnSecret(const LiveChange& change);
  void Run();

  Client& client_;
  const std::function<absl::Status()> refresh_;
  const std::string handover_secret_;
  const log::Logger& logger_;
  std::atomic<bool> shares_secret_{true};
  Presence presence_;
  LiveWatch watch_;

  std::mutex mutex_;
  std::condition_variable changed_;
  // By mutex_:
  bool has_moved_ = false;
  bool is_stopping_ = false;
  std::thread thread_;  // last: uses all of the above
};

}  // namespace whence::etcd

#endif  // WHENCE_CONTROLPLANE_ETCD_REPLICATION_H_
