// The agents of all replicas, known to each: so that endpoints and trusted hops are the same,
// whichever replica an agent asks.
//
// live/agent/NS/NAME says which replica an agent is connected to; live/replica/ID, under a lease
// that ends with its process, which replicas there are. Agents' keys have no lease: a replica that
// dies leaves them, its agents count as broken from then on (inventory.h: they keep their place for
// a grace, and mostly come back elsewhere), and when the grace is over whoever notices takes the
// key away. So nothing is lost while anybody, or only etcd, is up, and a replica that starts knows
// what the others know.
//
// Each replica writes what it sees itself: an agent connected (whatever stood there: the newest
// wins, and the replica that has an older stream of it ends that), a stream broken, an agent gone;
// the latter two only if the key is as it was, so that a late word does not undo a newer one.
#ifndef WHENCE_CONTROLPLANE_ETCD_PRESENCE_H_
#define WHENCE_CONTROLPLANE_ETCD_PRESENCE_H_

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "common/base/clock.h"
#include "controlplane/discovery/inventory.h"
#include "controlplane/etcd/client.h"
#include "controlplane/etcd/live_watch.h"
#include "controlplane/log/logger.h"
#include "whence/v1/replica.pb.h"

namespace whence::etcd {

// Thread-safe.
class Presence {
 public:
  // All must outlive *this.
  Presence(Client& client, discovery::Inventory& inventory, const Clock& clock,
           const log::Logger& logger);
  Presence(const Presence&) = delete;
  Presence& operator=(const Presence&) = delete;
  ~Presence() { Stop(); }

  // Takes a lease, and says that this replica is there.
  absl::Status Announce();
  // From here on keeps the lease, and writes, on a thread of its own.
  void Start();
  // Gives the lease back: the others need not wait for its end.
  void Stop();

  // Of the watch; one call at a time.
  void OnLive(const std::vector<LiveChange>& changes);

  size_t replicas() const;  // that are there, this one included
  const std::string& id() const { return id_; }

 private:
  struct Entry {
    v1::AgentPresence presence;
    int64_t mod_revision = 0;
  };
  // What a change in etcd comes to in the inventory; carried out without the lock.
  struct Action {
    enum class Kind { kConnect, kBreak, kLeave } kind;
    std::string id;
    std::string node;
    std::optional<v1::AgentProof> proof;
    bool replica_is_lost = false;
  };
  // One agent's key, as it is to be written.
  struct Write {
    std::string id;
    std::optional<v1::AgentPresence> presence;  // nullopt: taken away
    std::optional<int64_t> only_if;             // etcd's revision of the key as it is
  };

  std::string AgentKey(const std::string& id) const { return client_.Key("live/agent/" + id); }
  std::string ReplicaKey() const { return client_.Key("live/replica/" + id_); }
  void Run();
  void KeepAlive();
  // False: to be tried again.
  bool Flush();
  absl::Status Send(const std::vector<Write>& writes);
  // All with mutex_ held.
  std::optional<Write> WantedOf(const std::string& id) const;
  void TakeReplica(const std::string& id, bool is_there, std::vector<Action>* actions);
  void TakeAgent(const std::string& id, const LiveChange& change, std::vector<Action>* actions);
  Action ActionOf(const std::string& id, const v1::AgentPresence& presence) const;
  void CarryOut(const std::vector<Action>& actions);

  Client& client_;
  discovery::Inventory& inventory_;
  const Clock& clock_;
  const log::Logger& logger_;
  const std::string id_;
  int64_t lease_ = 0;  // before Start the caller's, then the thread's

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // By mutex_:
  std::map<std::string, Entry> agents_;  // etcd's, as far as it is known here
  std::set<std::string> replicas_;
  std::set<std::string> dirty_;    // agents that may have to be written
  std::set<std::string> writing_;  // of them, those on their way
  bool is_stopping_ = false;

  std::thread thread_;  // last: uses all of the above
};

}  // namespace whence::etcd

#endif  // WHENCE_CONTROLPLANE_ETCD_PRESENCE_H_
