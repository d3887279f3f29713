// What one client on one stream has asked for and has been told, for one resource type.
//
// The xDS transport protocol has two variants and each has its own bookkeeping, but one idea: it is
// level-triggered. A subscription remembers what the client holds; given the resources as they are
// now, it says what the client is missing. Nothing is queued, so a slow client costs one pending
// response and, when it catches up, gets the latest state only.
//
//   client                            DeltaSubscription
//   subscribe [a b], has a@1     ->   wants {a b}, holds {a@1}
//                                     Next({a@1 b@7})  = b@7, nonce n1        (a is not sent again)
//                                     Next({a@2 b@7})  = nothing: n1 is not acknowledged yet
//   ACK n1                       ->   holds {a@1 b@7}
//                                     Next({a@2})      = a@2, removed b, nonce n2
//   NACK n2                      ->   a@2 is remembered as refused and not sent again until it
//                                     changes; if it comes back after another, it is tried anew
//
// Rules that both variants keep: at most one unacknowledged response; equal state is not sent; a
// nonce pairs an ACK with its response and means nothing else, and is ignored in the first request
// of a stream, where it can only come from an earlier one; a request is refused only by its
// ERROR_DETAIL; sizes are bounded.
//
// Pure and thread-compatible: bytes and clocks stay outside.
#ifndef WHENCE_CONTROLPLANE_DISCOVERY_SUBSCRIPTION_H_
#define WHENCE_CONTROLPLANE_DISCOVERY_SUBSCRIPTION_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/base/clock.h"

namespace whence::discovery {

class ResourceSteps;

// One version of one resource: `head` followed by `bytes` is what goes into Any.value. The bytes are
// shared by all streams and by all resources that differ in their head only. A large resource has
// no bytes, but `steps` to get there.
struct Resource {
  std::string version;
  std::shared_ptr<const std::string> bytes;
  std::shared_ptr<const ResourceSteps> steps;
  std::string head;
};

// How a client gets to a resource's version from what it has: at once if it has the one before,
// else in parts. Each step is a message of bounded size with a version of its own, to be
// acknowledged like any other; the last one's is the resource's.
class ResourceSteps {
 public:
  virtual ~ResourceSteps() = default;
  // The step that follows on `acknowledged`; on what is not known, or empty, the first of all.
  virtual Resource StepFrom(const std::string& acknowledged) const = 0;
  // All of it in one message, for clients of the variant that knows no steps.
  virtual std::shared_ptr<const std::string> Whole() const = 0;
};

// Name -> resource: what one client may see of one type, now.
using ResourceMap = std::map<std::string, Resource>;

struct SubscriptionLimits {
  size_t max_names = 10000;
  size_t max_name_bytes = 256;
  size_t max_error_bytes = 4096;            // of a NACK's text; the rest is cut off
  size_t max_response_bytes = 1024 * 1024;  // a response ends with the resource that passes it
  // Holds a first request that names `max_names` resources and their versions.
  size_t max_request_bytes = 4 * 1024 * 1024;
};

// What a client is known to run of one resource. Empty versions: none.
struct ResourceProgress {
  std::string sent_version;
  std::string acked_version;
  std::string refused_version;
  std::string error;
  WallTime answered{};  // when the last answer came; epoch: none has, or before this stream
};
using StatusMap = std::map<std::string, ResourceProgress>;

using NamedResource = std::pair<std::string, Resource>;

// Which of a refused response's resources are bad? The protocol does not say; a client that keeps
// the good ones names each bad one in its message. So those whose name stands in the text as a
// word of its own, or all of them if none does. Marks them in `status`, the others as
// acknowledged.
void RecordAnswer(const std::vector<std::pair<std::string, std::string>>& sent_versions,
                  const std::optional<std::string>& error, WallTime when, StatusMap* status);

// ---- Incremental --------------------------------------------------------------------------------

struct DeltaRequest {
  std::vector<std::string> subscribe;
  std::vector<std::string> unsubscribe;
  std::map<std::string, std::string> initial_versions;
  std::string nonce;
  std::optional<std::string> error;  // set: a NACK
  WallTime when{};
  bool never_all = false;  // an empty list of names is just that: gRPC's own clients mean it so
};

struct DeltaPush {
  std::string nonce;
  std::vector<NamedResource> resources;
  std::vector<std::string> removed;
  std::vector<std::string> absent;  // of `removed`: asked for, and never there for this client
};

class DeltaSubscription {
 public:
  // `nonce_prefix` makes nonces unique among types and streams.
  explicit DeltaSubscription(std::string nonce_prefix, SubscriptionLimits limits = {})
      : nonce_prefix_(std::move(nonce_prefix)), limits_(limits) {}

  // Subscription changes count even if the nonce is stale. kResourceExhausted: a limit was passed;
  // nothing was changed, and the stream should end.
  absl::Status OnRequest(const DeltaRequest& request);

  // What to send now, or nullopt: nothing, or an answer is still awaited. The push counts as sent:
  // if it cannot be written the stream is over, and this state with it.
  //
  // `hold_removals` postpones everything that is only taken away. Removals come last (also after
  // the last part of a split response), so that nothing vanishes before what replaces it is there.
  std::optional<DeltaPush> Next(const ResourceMap& current, bool hold_removals = false);

  bool awaiting_answer() const { return pending_.has_value(); }
  const StatusMap& status() const { return status_; }
  // Named by the client; "*" is not among them.
  const std::set<std::string>& names() const { return names_; }
  bool Wants(const std::string& name) const { return wildcard_ || names_.count(name) > 0; }
  uint64_t refusals() const { return refusals_; }

 private:
  struct Pending {
    std::string nonce;
    std::vector<std::pair<std::string, std::string>> versions;
    std::map<std::string, std::string> leads_to;  // name -> the version that steps lead to
  };

  absl::Status CheckLimits(const DeltaRequest& request) const;
  void NoteGivenUp();
  void Subscribe(const std::string& name, bool first);
  void Unsubscribe(const std::string& name);
  // True: everything that is missing is in the push; false: it is full.
  bool AddUpdates(const ResourceMap& current, DeltaPush* push);
  void AddRemovals(const ResourceMap& current, DeltaPush* push);

  const std::string nonce_prefix_;
  const SubscriptionLimits limits_;

  bool seen_request_ = false;
  bool wildcard_ = false;
  std::set<std::string> names_;              // named explicitly, besides a wildcard
  std::map<std::string, std::string> held_;  // name -> version the client was sent or came with
  std::set<std::string> unanswered_;         // to be answered even if nothing changed
  // Versions on whose way a step was refused: not tried again until the client asks, or has taken
  // another version.
  std::map<std::string, std::string> given_up_;
  bool greet_ = false;  // a wildcard that knows nothing is answered even if there is nothing
  std::optional<Pending> pending_;
  StatusMap status_;
  uint64_t next_nonce_ = 1;
  uint64_t refusals_ = 0;
};

// ---- State of the world -------------------------------------------------------------------------

struct StateRequest {
  std::vector<std::string> names;
  std::string version_info;
  std::string nonce;
  std::optional<std::string> error;
  WallTime when{};
  bool never_all = false;  // an empty list of names is just that: gRPC's own clients mean it so
};

struct StatePush {
  std::string nonce;
  std::string version_info;  // a function of the names and versions in it
  std::vector<NamedResource> resources;
  std::vector<std::string> absent;  // asked for by name, and not there
};

// Every response holds all that is subscribed: legal for every type, and the only way in which this
// variant can say that something is gone.
class StateSubscription {
 public:
  explicit StateSubscription(std::string nonce_prefix, SubscriptionLimits limits = {})
      : nonce_prefix_(std::move(nonce_prefix)), limits_(limits) {}

  // A request with a stale nonce is superseded and changes nothing: the client repeats its full
  // list with the next answer.
  absl::Status OnRequest(const StateRequest& request);

  // `hold_removals` postpones a response in which something the client holds would be missing.
  std::optional<StatePush> Next(const ResourceMap& current, bool hold_removals = false);

  bool awaiting_answer() const { return pending_.has_value(); }
  const StatusMap& status() const { return status_; }
  // Named by the client; "*" is not among them.
  const std::set<std::string>& names() const { return names_; }
  bool Wants(const std::string& name) const { return wildcard_ || names_.count(name) > 0; }
  uint64_t refusals() const { return refusals_; }

 private:
  struct Pending {
    std::string nonce;
    std::vector<std::pair<std::string, std::string>> versions;
  };

  absl::Status CheckLimits(const StateRequest& request) const;
  // False: nothing new was asked for.
  bool ReplaceNames(const StateRequest& request);

  const std::string nonce_prefix_;
  const SubscriptionLimits limits_;

  bool seen_request_ = false;
  bool named_once_ = false;  // from then on an empty list means nothing, not everything
  bool wildcard_ = false;
  bool must_answer_ = false;
  std::set<std::string> names_;
  std::optional<std::string> came_with_;     // version_info from before this stream
  std::map<std::string, std::string> held_;  // name -> version in the last response
  std::optional<Pending> pending_;
  std::string last_nonce_;  // of the last response that was answered
  StatusMap status_;
  uint64_t next_nonce_ = 1;
  uint64_t refusals_ = 0;
};

}  // namespace whence::discovery

#endif  // WHENCE_CONTROLPLANE_DISCOVERY_SUBSCRIPTION_H_
