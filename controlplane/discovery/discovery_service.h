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
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "controlplane/discovery/admission.h"
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
  std::atomic<uint64_t> streams_deferred{0};  // of those: to come back later
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
  // Since when the oldest of its responses waits for an answer; nullopt: none does.
  virtual std::optional<SteadyTime> WaitingSince() = 0;
  // Ends it if that is longer than DiscoveryOptions::answer_limit.
  virtual void CloseIfStuck() = 0;
};

struct DiscoveryOptions {
  ResourceCacheOptions cache;
  SubscriptionLimits limits;
  size_t max_streams = 20000;
  double streams_per_second = 2500;  // see Admission
  // Streams of one certificate that have not said yet which node they are.
  size_t max_nameless_streams = 16;
  // Of one stream, besides its answers to responses, of which there is at most one each.
  double requests_per_second = 50;
  double requests_burst = 500;
  // A client that lives and does not answer is stuck: its stream is ended when there is news for it.
  std::chrono::seconds answer_limit{300};
};

// Both methods take their messages raw (controlplane/rpc/message.h).
using RawDiscoveryService = envoy::service::discovery::v3::AggregatedDiscoveryService::
    WithRawCallbackMethod_StreamAggregatedResources<
        envoy::service::discovery::v3::AggregatedDiscoveryService::
            WithRawCallbackMethod_DeltaAggregatedResources<
                envoy::service::discovery::v3::AggregatedDiscoveryService::Service>>;
using RawStream = grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>;

// Thread-safe. The gRPC server must be shut down before *this is destroyed.
class DiscoveryService final : public RawDiscoveryService, public metrics::Source {
 public:
  // `remember` (may be null) is given the known agents whenever they changed, on a thread of ours.
  DiscoveryService(model::CurrentConfig& config, Inventory& inventory, const Clock& clock,
                   const log::Logger& logger, security::Refusals& refusals,
                   DiscoveryOptions options = {},
                   std::function<void(const std::vector<Agent>&)> remember = nullptr);
  ~DiscoveryService() override;

  RawStream* DeltaAggregatedResources(grpc::CallbackServerContext* context) override;
  RawStream* StreamAggregatedResources(grpc::CallbackServerContext* context) override;

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
  const DiscoveryOptions& options() const { return options_; }
  DiscoveryCounters& counters() { return counters_; }
  // The stream of that certificate has said which node it is, or is over before it did.
  void Named(const std::string& certificate);
  // The stream is over; may destroy it.
  void Remove(uint64_t number);

 private:
  template <typename Protocol>
  RawStream* Open(grpc::CallbackServerContext& context);
  void PumpAll();
  // False: that certificate has too many. REQUIRES: mutex_ held.
  bool CountNameless(const grpc::CallbackServerContext& context);
  std::vector<std::shared_ptr<StreamHandle>> Streams() const;

  Inventory& inventory_;
  const Clock& clock_;
  const log::Logger& logger_;
  security::Refusals& refusals_;
  const DiscoveryOptions options_;
  DiscoveryCounters counters_;

  mutable std::mutex mutex_;
  // By mutex_:
  std::map<uint64_t, std::shared_ptr<StreamHandle>> streams_;
  uint64_t next_stream_ = 1;
  Admission admission_;
  std::map<std::string, size_t>
      nameless_;  // certificate -> streams that have not said who they are
  bool shut_down_ = false;

  ResourceCache cache_;  // last: its thread calls PumpAll
};

}  // namespace whence::discovery

#endif  // WHENCE_CONTROLPLANE_DISCOVERY_DISCOVERY_SERVICE_H_
