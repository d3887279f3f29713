// The two variants of the protocol, as types that Stream is written over: messages <-> values.
//
// Responses are encoded here and not by protobuf, so that a resource that goes to a thousand streams
// is in memory once.
#ifndef WHENCE_CONTROLPLANE_DISCOVERY_PROTOCOL_H_
#define WHENCE_CONTROLPLANE_DISCOVERY_PROTOCOL_H_

#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <string>
#include <vector>

#include "controlplane/discovery/subscription.h"
#include "envoy/service/discovery/v3/discovery.pb.h"

namespace whence::discovery {

struct DeltaProtocol {
  static constexpr char kMethod[] =
      "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
  using Request = envoy::service::discovery::v3::DeltaDiscoveryRequest;
  using Response = envoy::service::discovery::v3::DeltaDiscoveryResponse;
  using Subscription = DeltaSubscription;

  static DeltaRequest Read(const Request& request);
  // `revision` goes into system_version_info: for people only. `forbidden`: names that were asked for
  // and concern somebody else; said with a reason, besides what the protocol says of absent ones.
  static grpc::ByteBuffer Write(const DeltaPush& push, const char* type_url, uint64_t revision,
                                const std::vector<std::string>& forbidden);
  static size_t Removed(const DeltaPush& push) { return push.removed.size(); }
};

struct StateProtocol {
  static constexpr char kMethod[] =
      "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
  using Request = envoy::service::discovery::v3::DiscoveryRequest;
  using Response = envoy::service::discovery::v3::DiscoveryResponse;
  using Subscription = StateSubscription;

  static StateRequest Read(const Request& request);
  static grpc::ByteBuffer Write(const StatePush& push, const char* type_url, uint64_t revision,
                                const std::vector<std::string>& forbidden);
  static size_t Removed(const StatePush&) { return 0; }
};

}  // namespace whence::discovery

#endif  // WHENCE_CONTROLPLANE_DISCOVERY_PROTOCOL_H_
