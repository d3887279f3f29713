// The two variants of the protocol, as types that Stream is written over: messages <-> values.
#ifndef WHENCE_CONTROLPLANE_DISCOVERY_PROTOCOL_H_
#define WHENCE_CONTROLPLANE_DISCOVERY_PROTOCOL_H_

#include <cstddef>
#include <string>

#include "controlplane/discovery/subscription.h"
#include "envoy/service/discovery/v3/discovery.pb.h"

namespace whence::discovery {

struct DeltaProtocol {
  using Request = envoy::service::discovery::v3::DeltaDiscoveryRequest;
  using Response = envoy::service::discovery::v3::DeltaDiscoveryResponse;
  using Subscription = DeltaSubscription;

  static DeltaRequest Read(const Request& request);
  // `revision` goes into system_version_info: for people only.
  static void Write(const DeltaPush& push, const char* type_url, uint64_t revision,
                    Response* response);
  static size_t Removed(const DeltaPush& push) { return push.removed.size(); }
};

struct StateProtocol {
  using Request = envoy::service::discovery::v3::DiscoveryRequest;
  using Response = envoy::service::discovery::v3::DiscoveryResponse;
  using Subscription = StateSubscription;

  static StateRequest Read(const Request& request);
  static void Write(const StatePush& push, const char* type_url, uint64_t revision,
                    Response* response);
  static size_t Removed(const StatePush&) { return 0; }
};

}  // namespace whence::discovery

#endif  // WHENCE_CONTROLPLANE_DISCOVERY_PROTOCOL_H_
