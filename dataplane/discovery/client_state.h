// The bookkeeping of one delta xDS client: what we want, what we have, what we refused, and what to
// say about it.
//
// Incremental xDS (envoy.service.discovery.v3, DeltaAggregatedResources) in the words of our
// glossary:
//
//   us:      node, subscribe "shop/echo"    first request of a type on a stream; also the versions
//                                           that we already have
//   server:  nonce 1, "shop/echo" at v7
//   us:      nonce 1                        ACK: we run v7
//   server:  nonce 2, "shop/echo" at v8
//   us:      nonce 2, error_detail          NACK: v8 is refused and why; we still run v7
//
// Nothing survives a stream but versions: subscriptions and nonces start anew. A NACK refuses the
// named resources only; the good ones of the same response take effect.
//
// Pure: no clock, no thread, no transport. Thread-compatible.
#ifndef WHENCE_DATAPLANE_DISCOVERY_CLIENT_STATE_H_
#define WHENCE_DATAPLANE_DISCOVERY_CLIENT_STATE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "envoy/service/discovery/v3/discovery.pb.h"

namespace whence::discovery {

using Node = envoy::config::core::v3::Node;
using Request = envoy::service::discovery::v3::DeltaDiscoveryRequest;
using Response = envoy::service::discovery::v3::DeltaDiscoveryResponse;

inline constexpr char kBundleType[] = "type.googleapis.com/whence.v1.WorkloadBundle";
inline constexpr char kIpSetType[] = "type.googleapis.com/whence.v1.IpSetResource";

// Why one resource of a response cannot be used.
struct Refusal {
  std::string name;
  std::string message;
  friend bool operator==(const Refusal&, const Refusal&) = default;
};

struct ReceivedResource {
  std::string name;
  std::string version;
  std::string value;  // the serialised message
};

// A response taken apart. The owner of the state tries what is in it and then calls Answer.
struct Received {
  std::string type;
  std::string nonce;
  uint64_t stream = 0;
  std::vector<ReceivedResource> resources;
  std::vector<std::string>
      removed;  // subscribed names that the server says do not exist (any more)
  std::vector<Refusal>
      refused;        // wrong in themselves: named twice, of another type, without content
  std::string fault;  // the whole response is unusable; empty: it is not
};

// What is known of one resource. `error` and `refused_version` belong together and are empty after
// a good version.
struct ResourceStatus {
  std::string type;
  std::string name;
  std::string version;  // that we run; empty: none
  std::string refused_version;
  std::string error;
};

class ClientState {
 public:
  // We have `version` of a resource already, from an earlier stream or run: the server need not
  // send it again.
  void Restore(const std::string& type, const std::string& name, const std::string& version);

  // Sets the whole list of names wanted of `type`. What is no longer wanted is forgotten with its
  // version. Returns what to send now, if a stream is open and the server must hear of it.
  std::optional<Request> Subscribe(const std::string& type, const std::set<std::string>& names);

  // Has the server send a subscribed resource (or say that there is none) although it thinks that
  // we have it.
  std::optional<Request> AskAgain(const std::string& type, const std::string& name);

  // A new stream: the requests that begin it, in order. The first carries `node`.
  std::vector<Request> OpenStream(const Node& node);
  void CloseStream();
  bool is_open() const { return is_open_; }

  Received Receive(const Response& response) const;

  // The verdict on a received response: everything in it but `refusals` (and its own `refused`) is
  // now what we run. Returns the ACK or NACK, or nothing if the stream of that response has ended
  // meanwhile.
  std::optional<Request> Answer(const Received& received, const std::vector<Refusal>& refusals);

  std::vector<ResourceStatus> Resources() const;

 private:
  struct Resource {
    std::string version;
    std::string refused_version;
    std::string error;
  };
  struct Type {
    std::set<std::string> wanted;
    std::set<std::string> told;  // subscribed on this stream
    bool begun = false;          // a request of this type was sent on this stream
    std::map<std::string, Resource> resources;
  };

  std::optional<Request> TellDifference(const std::string& type);

  std::map<std::string, Type> types_;
  bool is_open_ = false;
  uint64_t stream_ = 0;
};

// "WorkloadBundle" of "type.googleapis.com/whence.v1.WorkloadBundle": for messages.
std::string_view ShortTypeName(std::string_view type);

}  // namespace whence::discovery

#endif  // WHENCE_DATAPLANE_DISCOVERY_CLIENT_STATE_H_
