// Keeps one discovery stream to the control plane, for ever.
//
// Moves messages between the stream and a Publisher, which decides. When the stream ends it is
// opened again: at once if the control plane had answered on it (restarts and rebalancing are
// normal), else after an exponential back-off with full jitter (gRFC A57). What was received stays
// in use however long the control plane is away.
#ifndef WHENCE_DATAPLANE_DISCOVERY_DISCOVERY_CLIENT_H_
#define WHENCE_DATAPLANE_DISCOVERY_DISCOVERY_CLIENT_H_

#include <grpcpp/channel.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "dataplane/discovery/publisher.h"
#include "dataplane/log.h"
#include "dataplane/rpc/backoff.h"
#include "dataplane/rpc/completion_loop.h"
#include "dataplane/rpc/stream.h"
#include "envoy/service/discovery/v3/discovery.grpc.pb.h"

namespace whence::discovery {

// A moment's view, for metrics and the admin page.
struct DiscoveryStats {
  bool connected = false;  // to the control plane, as the transport sees it
  uint64_t streams = 0;    // opened so far
  uint64_t responses = 0;
  uint64_t refusals = 0;  // NACKs sent
  std::vector<ResourceStatus> resources;
};

// Thread-safe, but for construction and destruction. `publisher` is used on the loop's thread only,
// once started.
class DiscoveryClient {
 public:
  DiscoveryClient(rpc::CompletionLoop& loop, std::shared_ptr<grpc::Channel> channel, Node node,
                  Publisher& publisher, Log& log);
  ~DiscoveryClient();  // ends the stream

  void Start();
  DiscoveryStats Stats() const;

 private:
  using DeltaStream = rpc::Stream<Request, Response>;

  void Open();
  void OnMessage(const Response& response);
  void OnClosed(const grpc::Status& status);
  void Send(std::vector<Request> requests);
  void UpdateStats();

  // Constant after construction.
  rpc::CompletionLoop& loop_;
  const std::unique_ptr<envoy::service::discovery::v3::AggregatedDiscoveryService::Stub> stub_;
  const std::shared_ptr<grpc::Channel> channel_;
  const Node node_;
  Log& log_;

  // Loop-affine.
  Publisher& publisher_;
  std::shared_ptr<DeltaStream> stream_;
  rpc::CompletionLoop::Timer timer_;
  rpc::Backoff backoff_;
  std::minstd_rand random_;
  std::chrono::steady_clock::time_point opened_;
  std::string last_error_;  // logged once, not at every attempt

  mutable std::mutex mutex_;
  DiscoveryStats stats_;  // guarded by mutex_
};

}  // namespace whence::discovery

#endif  // WHENCE_DATAPLANE_DISCOVERY_DISCOVERY_CLIENT_H_
