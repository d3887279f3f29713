// From what the control plane sends to what the workers run.
//
//   bundle ──► its IP sets there? ─────► wire::Decode ──► data plane ──► last good on disk ──► ACK
//                 │ no: subscribe, wait       │ fault            │ fault
//                 ▼                           ▼                  ▼
//              (the ACK waits too)        NACK with the reason; the active configuration stays
//
// A bundle says which version of each set it was made with, and takes effect with just those: no
// moment has the policies of one revision and the sets of another. What arrives of sets is kept for
// the bundle that asks for it and changes nothing by itself.
//
// A bundle whose set does not exist at the control plane is refused at once, since a response
// without an answer would hold back every later one; when the set appears, the bundle is asked for
// again.
//
// A large set comes in parts, and a change of it as a difference from the version that we have
// acknowledged. Parts are gathered aside, while the set of before stays in use; a difference that
// does not fit what we have is refused, and the set asked for anew.
//
// What fails to reach the disk is logged, not refused: the workers run it all the same.
//
// Thread-compatible: lives on the discovery thread. No transport: takes responses, returns
// requests.
#ifndef WHENCE_DATAPLANE_DISCOVERY_PUBLISHER_H_
#define WHENCE_DATAPLANE_DISCOVERY_PUBLISHER_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/snapshot/snapshot.h"
#include "common/wire/ip_set.h"
#include "dataplane/discovery/client_state.h"
#include "dataplane/discovery/last_good.h"
#include "dataplane/log.h"
#include "whence/v1/resources.pb.h"

namespace whence::discovery {

// What is running now. Immutable value; shared with the admin thread.
struct ActiveConfig {
  v1::WorkloadBundle bundle;
  std::string version;
  std::map<std::string, std::string> ip_set_versions;
  bool from_last_good =
      false;  // read from disk, not yet confirmed or replaced by the control plane
};

class Publisher {
 public:
  // Makes a snapshot the workers' configuration; an error is the reason for a NACK.
  using Sink = std::function<absl::Status(std::shared_ptr<const snapshot::Snapshot>)>;
  // Told of every new active configuration.
  using OnActive = std::function<void(std::shared_ptr<const ActiveConfig>)>;

  // `own_name`: "namespace/name" of this agent, the name of its bundle. `store` may be null:
  // nothing is kept on disk.
  Publisher(std::string own_name, Sink sink, OnActive on_active, LastGoodStore* store, Log& log);

  // Publishes the last good configuration, if there is one for this agent and it is sound. False:
  // there is none.
  bool StartFromLastGood();

  std::vector<Request> OpenStream(const Node& node);
  void CloseStream();
  // The requests that `response` leads to, in the order in which they are to be sent.
  std::vector<Request> Take(const Response& response);

  std::vector<ResourceStatus> Resources() const { return state_.Resources(); }

 private:
  struct Candidate {
    v1::WorkloadBundle bundle;
    ReceivedResource resource;
    Received received;  // to be answered when the candidate is accepted or refused
  };
  struct IpSet {
    std::shared_ptr<const net::CidrSet> set;
    std::shared_ptr<const net::PackedCidrs> content;  // what differences apply to
    std::string version;
    // On disk: the versions whose files lead to this one, itself the last, and the size of the
    // differences among them.
    std::vector<std::string> files;
    size_t difference_bytes = 0;
  };
  using IpSets = std::map<std::string, IpSet>;
  // The parts so far of a set that is on its way.
  struct Gathering {
    net::PackedCidrs content;
    std::string version;
  };
  // One received set, tried: what it made, or why not.
  struct Tried {
    std::optional<IpSet> set;  // nullopt: there is more to come
    bool does_not_fit = false;
    absl::Status status;
  };

  void TakeBundle(Received received);
  void TakeIpSets(Received received);
  absl::Status RestoreIpSets(const std::vector<ReceivedResource>& steps);
  Tried TryIpSet(const ReceivedResource& resource);
  absl::Status SaveIpSet(ReceivedResource resource, IpSet* set);
  void TryCandidate();
  void AcceptCandidate(std::set<std::string> names);
  void RefuseCandidate(const std::string& why);
  absl::Status Apply(const v1::WorkloadBundle& bundle, const std::string& version,
                     const IpSets& sets);
  void Activate(const v1::WorkloadBundle& bundle, const std::string& version, bool from_last_good);
  void Save(const ReceivedResource& bundle);
  void WantIpSets();
  void Send(std::optional<Request> request);

  const std::string own_name_;
  const Sink sink_;
  const OnActive on_active_;
  LastGoodStore* const store_;
  Log& log_;

  ClientState state_;
  std::shared_ptr<const ActiveConfig> active_;
  ReceivedResource active_resource_;  // as received, for the disk
  std::optional<Candidate> candidate_;
  std::set<std::string> refused_for_;  // sets whose absence had a bundle refused
  IpSets sets_;
  std::map<std::string, Gathering> gathering_;
  std::vector<Request> requests_;  // of the call in progress
};

}  // namespace whence::discovery

#endif  // WHENCE_DATAPLANE_DISCOVERY_PUBLISHER_H_
