// The connected agents: the workloads of the mesh, and how far each is with its configuration.
//
// An address leaves the mesh later than its connection breaks. An agent whose stream breaks keeps
// its place for a grace period, because most breaks are followed by a reconnect, and endpoints and
// trusted gateways that flap are worse than ones that linger for seconds. Three exceptions:
//   * An agent that says farewell (closes its side of the stream in good order) leaves at once.
//   * An address that another agent comes to claim after the break is that agent's at once: in a
//     cluster addresses are used again, and a trusted gateway's address must not be inherited.
//   * After a restart of the control plane nobody is connected yet. What the last process knew
//     (`Remember`) counts as broken at start, with a longer grace. So bundles come out equal
//     to what the agents hold, nothing shrinks and grows again, and policy changes that happened
//     meanwhile are still served to the first that connects.
//
// An address that one agent proves is nobody's who only says so, and such a word does not take it
// from one that lingers: or whoever has any certificate could take the place of any other.
//
// Where several control planes serve one configuration, the agents of the others are workloads like
// our own: they come and go by the same rules, in the words of who they are connected to.
//
// An id is one agent. A second stream with the same id takes its place (the newest wins: usually
// the older one is a connection whose death we have not noticed) and the old one is closed.
#ifndef WHENCE_CONTROLPLANE_DISCOVERY_INVENTORY_H_
#define WHENCE_CONTROLPLANE_DISCOVERY_INVENTORY_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/base/clock.h"
#include "common/bundle/inventory.h"
#include "controlplane/discovery/node.h"
#include "controlplane/discovery/subscription.h"
#include "whence/v1/admin.pb.h"

namespace whence::discovery {

// Thousands may come at once, so what one arrival or departure costs does not depend on how many
// there are: it makes the view out of date, and the next who wants one makes it, for all of them.
// The workloads at one moment. Immutable. `generation` rises with every change.
struct InventoryView {
  uint64_t generation = 0;
  std::vector<bundle::Workload> workloads;  // by "namespace/name"
};

// How far one stream is with one resource type.
struct TypeProgress {
  std::string type_url;
  std::string short_name;
  StatusMap resources;              // what was sent
  ResourceMap current;              // what it may have now of what it asked for
  std::vector<std::string> absent;  // what it asked for by name, and may not have or is not there
};

// How far one stream is, as ListAgents shows it.
struct Progress {
  std::vector<TypeProgress> types;
  uint64_t sent_revision = 0;
  uint64_t acked_revision = 0;
  std::optional<SteadyTime> waiting_since;  // the oldest response without an answer
};

struct InventoryOptions {
  // Outlasts a client's back-off after a rolling restart of the control plane's connections; short
  // enough that a dead gateway is not trusted for long.
  std::chrono::milliseconds grace = std::chrono::seconds(15);
  // Clients that had to wait for us back off up to a minute.
  std::chrono::milliseconds restart_grace = std::chrono::seconds(75);
};

// What is known of an agent here, first hand.
struct LocalAgent {
  enum class State {
    kGone,       // or never was
    kConnected,  // here
    kBroken,     // its stream here broke; it keeps its place for a while
    kElsewhere,  // what is known comes from another control plane
  };
  State state = State::kGone;
  std::string node_bytes;
  std::optional<v1::AgentProof> proof;
};

// Thread-safe. Callbacks run without its lock.
class Inventory {
 public:
  using Close = std::function<void(const absl::Status&)>;
  using Observe = std::function<Progress()>;

  explicit Inventory(const Clock& clock, InventoryOptions options = {});

  // What the process before this one knew. Once, before the first Connect.
  void Remember(std::vector<Agent> agents);

  struct Session {
    uint64_t id = 0;
    uint64_t generation = 0;  // the first view in which this agent is as it says
    // Addresses that it only claims, and that another proves: they are not its own.
    std::vector<net::IpAddress> disputed;
  };
  // `close` ends the stream; it is called at most once, when another takes its place. `observe` is
  // asked how far the stream is, whenever somebody wants to know, even a little after Disconnect.
  Session Connect(Agent agent, Close close, Observe observe = nullptr);
  // `farewell`: the agent ended the stream itself. A session that was replaced changes nothing.
  void Disconnect(uint64_t session, bool farewell);

  // ---- Agents of other control planes ----
  // It is connected there; a stream that it has here is older, and is closed.
  void ConnectElsewhere(Agent agent);
  // Its stream there broke, or that control plane itself is gone: then it may take longer to return.
  // Nothing, if it is connected here.
  void BreakElsewhere(Agent agent, bool control_plane_is_gone);
  // A farewell, or its grace is over. Nothing, if it is connected here.
  void LeaveElsewhere(const std::string& id);
  LocalAgent Local(const std::string& id) const;
  // Called with an id after Local(id) may have changed by what happened here. Set before the first
  // Connect.
  void SetLocalListener(std::function<void(const std::string&)> listener) {
    local_listener_ = std::move(listener);
  }

  std::shared_ptr<const InventoryView> View() const;
  // Connected and lingering agents, for the next process.
  std::vector<Agent> Agents() const;
  // Connected agents only, by "namespace/name".
  struct Connected {
    Agent agent;
    WallTime since{};
    Progress progress;
  };
  std::vector<Connected> ListConnected() const;
  // The same for people.
  std::vector<v1::AgentState> ListAgents() const;
  static v1::AgentState Describe(const Connected& connected, SteadyTime now);

  // Agents whose stream broke without a farewell, and that were not heard of again: by
  // "namespace/name", for ten minutes, or until they are back.
  std::vector<std::string> Lost() const;

  // Lets go of agents whose grace is over. NextExpiry: when to call it again.
  void Expire();
  std::optional<SteadyTime> NextExpiry() const;

  // Called after every new view or expiry, on the thread that made it; must be quick. Set before
  // the first Connect.
  void SetListener(std::function<void()> listener) { listener_ = std::move(listener); }

  uint64_t connected() const;
  uint64_t conflicts() const { return conflicts_.load(std::memory_order_relaxed); }

 private:
  struct Record {
    Agent agent;
    uint64_t session = 0;       // 0: not connected here
    bool is_elsewhere = false;  // what is known of it comes from another control plane
    Close close;
    Observe observe;
    WallTime connected_since{};
    uint64_t generation = 0;              // the first view in which it is as it is
    SteadyTime addresses_since{};         // when these addresses were first claimed
    std::optional<SteadyTime> leaves_at;  // set: lingering
    std::optional<SteadyTime> departed_at;
  };

  // All of these REQUIRE: mutex_ held.
  // The view is no longer right; the next generation is. True: tell the listener.
  bool Touch();
  // Whether the view is still right is not obvious: it is made and compared.
  bool Compare();
  std::shared_ptr<InventoryView> MakeView() const;
  void SetAgent(Record* record, Agent agent);
  void SetLeaving(Record* record, std::optional<SteadyTime> at);
  void Erase(std::map<std::string, Record>::iterator record);
  void CountAddresses(const Agent& agent, int by);
  // Somebody else, connected or lingering, has one of its addresses as well.
  bool SharesAddress(const Agent& agent) const;
  // Of addresses that several have, those that somebody proves.
  std::set<net::IpAddress> ProvenByOne() const;

  void Notify() const;
  void NotifyLocal(const std::string& id) const;

  const Clock& clock_;
  const InventoryOptions options_;
  std::function<void()> listener_;
  std::function<void(const std::string&)> local_listener_;
  std::atomic<uint64_t> conflicts_{0};

  mutable std::mutex mutex_;
  // By mutex_:
  std::map<std::string, Record> records_;                 // by id
  std::map<uint64_t, std::string> sessions_;              // live session -> id
  std::map<std::string, SteadyTime> lost_;                // id -> when its stream broke; bounded
  std::set<std::pair<SteadyTime, std::string>> leaving_;  // the records with leaves_at
  std::map<net::IpAddress, int> holders_;                 // how many records have that address
  mutable std::shared_ptr<const InventoryView> view_;
  mutable bool stale_ = false;  // view_ is to be made anew, as generation_
  uint64_t generation_ = 0;
  uint64_t next_session_ = 1;
};

}  // namespace whence::discovery

#endif  // WHENCE_CONTROLPLANE_DISCOVERY_INVENTORY_H_
