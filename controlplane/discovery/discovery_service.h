// Serves the xDS transport protocol (envoy.service.discovery.v3, aggregated, both variants).
//
// One stream per agent. Its first request names the node, which enters the inventory; from then on
// the stream is served its own WorkloadBundle and the IpSets that the bundle names. What is sent
// when is decided by Subscription (pure); here are the gRPC callbacks around it:
//
//   read done    -> subscription takes the request ->+
//   write done   ----------------------------------->+-> anything to send? one write at a time
//   new state    -> (the cache's thread) ----------->+
//
// Reads never wait for writes, no lock is held over a gRPC operation, and an idle or slow stream
// holds no queue. Order within a stream: bundles before IpSets, and IpSets are taken away only
// when no bundle is on its way.
//
// Not loaded is not empty: before the configuration is there, streams are refused (UNAVAILABLE).
#ifndef WHENCE_CONTROLPLANE_DISCOVERY_DISCOVERY_SERVICE_H_
#define WHENCE_CONTROLPLANE_DISCOVERY_DISCOVERY_SERVICE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "controlplane/discovery/inventory.h"
#include "controlplane/discovery/resource_cache.h"
#include "controlplane/discovery/subscription.h"
#include "controlplane/log/logger.h"
#include "controlplane/metrics/metrics.h"
#include "controlplane/model/current_config.h"
#include "controlplane/security/guard.h"
#include "controlplane/security/refusals.h"
#include "envoy/service/discovery/v3/discovery.grpc.pb.h"

namespace whence::discovery {

inline constexpr char kBundleType[] = "type.googleapis.com/whence.v1.WorkloadBundle";
inline constexpr char kIpSetType[] = "type.googleapis.com/whence.v1.IpSetResource";

// Since start. All atomics, relaxed: they are read for display only.
struct DiscoveryCounters {
  std::atomic<uint64_t> streams_opened{0};
  std::atomic<uint64_t> streams_refused{0};
  std::atomic<uint64_t> requests{0};
  std::atomic<uint64_t> responses{0};
  std::atomic<uint64_t> resources_sent{0};
  std::atomic<uint64_t> resources_removed{0};
  std::atomic<uint64_t> refusals{0};       // NACKs
  std::atomic<uint64_t> unknown_types{0};  // requests ignored
};

// One stream as the service sees it. Thread-safe.
class StreamHandle {
 public:
  virtual ~StreamHandle() = default;
  // There is a new state: send what the client is missing.
  virtual void Pump() = 0;
  // Ends the stream after the write that is on its way, if any.
  virtual void Close(const grpc::Status& status) = 0;
};

struct DiscoveryOptions {
  ResourceCacheOptions cache;
  SubscriptionLimits limits;
  size_t max_streams = 20000;
};

// Thread-safe. The gRPC server must be shut down before *this is destroyed.
class DiscoveryService final
    : public envoy::service::discovery::v3::AggregatedDiscoveryService::CallbackService,
      public metrics::Source {
 public:
  // `remember` (may be null) is given the known agents whenever they changed, on a thread of ours.
  DiscoveryService(model::CurrentConfig& config, Inventory& inventory, const Clock& clock,
                   const log::Logger& logger, security::Refusals& refusals,
                   DiscoveryOptions options = {},
                   std::function<void(const std::vector<Agent>&)> remember = nullptr);
  ~DiscoveryService() override;

  grpc::ServerBidiReactor<envoy::service::discovery::v3::DeltaDiscoveryRequest,
                          envoy::service::discovery::v3::DeltaDiscoveryResponse>*
  DeltaAggregatedResources(grpc::CallbackServerContext* context) override;
  grpc::ServerBidiReactor<envoy::service::discovery::v3::DiscoveryRequest,
                          envoy::service::discovery::v3::DiscoveryResponse>*
  StreamAggregatedResources(grpc::CallbackServerContext* context) override;

  // Ends all streams (UNAVAILABLE) and refuses new ones. Agents keep what they have, and their
  // places in the inventory. Call before the server's Shutdown.
  void Shutdown();

  void Collect(metrics::TextWriter& out) const override;

  // ---- For streams ----
  std::shared_ptr<const ResourceState> State() const { return cache_.State(); }
  Inventory& inventory() { return inventory_; }
  const Clock& clock() const { return clock_; }
  const log::Logger& logger() const { return logger_; }
  security::Refusals& refusals() { return refusals_; }
  const SubscriptionLimits& limits() const { return limits_; }
  DiscoveryCounters& counters() { return counters_; }
  // The stream is over; may destroy it.
  void Remove(uint64_t number);

 private:
  template <typename Protocol>
  grpc::ServerBidiReactor<typename Protocol::Request, typename Protocol::Response>* Open(
      const grpc::CallbackServerContext& context);
  void PumpAll();
  std::vector<std::shared_ptr<StreamHandle>> Streams() const;

  Inventory& inventory_;
  const Clock& clock_;
  const log::Logger& logger_;
  security::Refusals& refusals_;
  const SubscriptionLimits limits_;
  const size_t max_streams_;
  DiscoveryCounters counters_;

  mutable std::mutex mutex_;
  // By mutex_:
  std::map<uint64_t, std::shared_ptr<StreamHandle>> streams_;
  uint64_t next_stream_ = 1;
  bool shut_down_ = false;

  ResourceCache cache_;  // last: its thread calls PumpAll
};

}  // namespace whence::discovery

#endif  // WHENCE_CONTROLPLANE_DISCOVERY_DISCOVERY_SERVICE_H_
