#include "controlplane/discovery/discovery_service.h"

#include <utility>

#include "controlplane/discovery/stream.h"

namespace whence::discovery {
namespace {

using envoy::service::discovery::v3::DeltaDiscoveryRequest;
using envoy::service::discovery::v3::DeltaDiscoveryResponse;
using envoy::service::discovery::v3::DiscoveryRequest;
using envoy::service::discovery::v3::DiscoveryResponse;

// A stream that is refused before anything was read.
template <typename Request, typename Response>
class RefusedStream final : public grpc::ServerBidiReactor<Request, Response> {
 public:
  explicit RefusedStream(const grpc::Status& status) { this->Finish(status); }
  void OnDone() override { delete this; }
};

}  // namespace

DiscoveryService::DiscoveryService(model::CurrentConfig& config, Inventory& inventory,
                                   const Clock& clock, const log::Logger& logger,
                                   security::Refusals& refusals, DiscoveryOptions options,
                                   std::function<void(const std::vector<Agent>&)> remember)
    : inventory_(inventory),
      clock_(clock),
      logger_(logger),
      refusals_(refusals),
      limits_(options.limits),
      max_streams_(options.max_streams),
      cache_(
          config, inventory, clock, options.cache, [this] { PumpAll(); }, std::move(remember)) {}

DiscoveryService::~DiscoveryService() = default;

template <typename Protocol>
grpc::ServerBidiReactor<typename Protocol::Request, typename Protocol::Response>*
DiscoveryService::Open(const grpc::CallbackServerContext& context) {
  auto refuse = [this](grpc::StatusCode code, const char* why) {
    counters_.streams_refused.fetch_add(1, std::memory_order_relaxed);
    return new RefusedStream<typename Protocol::Request, typename Protocol::Response>(
        grpc::Status(code, why));
  };
  if (!State()) return refuse(grpc::StatusCode::UNAVAILABLE, "configuration is not loaded yet");
  std::shared_ptr<Stream<Protocol>> stream;
  {
    std::lock_guard lock(mutex_);
    if (shut_down_) return refuse(grpc::StatusCode::UNAVAILABLE, "shutting down");
    if (streams_.size() >= max_streams_) {
      return refuse(grpc::StatusCode::RESOURCE_EXHAUSTED, "too many discovery streams");
    }
    uint64_t number = next_stream_++;
    stream = std::make_shared<Stream<Protocol>>(*this, number, context);
    streams_[number] = stream;
  }
  counters_.streams_opened.fetch_add(1, std::memory_order_relaxed);
  stream->Start();
  return stream.get();
}

grpc::ServerBidiReactor<DeltaDiscoveryRequest, DeltaDiscoveryResponse>*
DiscoveryService::DeltaAggregatedResources(grpc::CallbackServerContext* context) {
  return Open<DeltaProtocol>(*context);
}

grpc::ServerBidiReactor<DiscoveryRequest, DiscoveryResponse>*
DiscoveryService::StreamAggregatedResources(grpc::CallbackServerContext* context) {
  return Open<StateProtocol>(*context);
}

std::vector<std::shared_ptr<StreamHandle>> DiscoveryService::Streams() const {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<StreamHandle>> streams;
  streams.reserve(streams_.size());
  for (const auto& [number, stream] : streams_) streams.push_back(stream);
  return streams;
}

void DiscoveryService::PumpAll() {
  for (const auto& stream : Streams()) stream->Pump();
}

void DiscoveryService::Shutdown() {
  {
    std::lock_guard lock(mutex_);
    shut_down_ = true;
  }
  for (const auto& stream : Streams()) {
    stream->Close(grpc::Status(grpc::StatusCode::UNAVAILABLE, "shutting down"));
  }
}

void DiscoveryService::Remove(uint64_t number) {
  std::shared_ptr<StreamHandle> last;  // Destroyed after the lock is released.
  std::lock_guard lock(mutex_);
  auto it = streams_.find(number);
  if (it == streams_.end()) return;
  last = std::move(it->second);
  streams_.erase(it);
}

void DiscoveryService::Collect(metrics::TextWriter& out) const {
  auto counter = [&out](std::string_view name, std::string_view help,
                        const std::atomic<uint64_t>& value) {
    out.Counter(name, help);
    out.Sample(value.load(std::memory_order_relaxed));
  };
  out.Gauge("whence_discovery_agents", "Agents connected.");
  out.Sample(inventory_.connected());
  counter("whence_discovery_streams_total", "Discovery streams opened.", counters_.streams_opened);
  counter("whence_discovery_streams_refused_total",
          "Discovery streams refused or ended for a bad request.", counters_.streams_refused);
  counter("whence_discovery_requests_total", "Discovery requests received.", counters_.requests);
  counter("whence_discovery_responses_total", "Discovery responses sent.", counters_.responses);
  counter("whence_discovery_resources_sent_total", "Resources sent.", counters_.resources_sent);
  counter("whence_discovery_resources_removed_total", "Resources said to be gone.",
          counters_.resources_removed);
  counter("whence_discovery_refusals_total", "Responses that an agent refused (NACK).",
          counters_.refusals);
  counter("whence_discovery_unknown_types_total", "Requests for a type that is not served.",
          counters_.unknown_types);
  out.Counter("whence_discovery_conflicts_total",
              "Streams that were replaced by another with the same node id.");
  out.Sample(inventory_.conflicts());
  out.Counter("whence_discovery_builds_total", "States built from configuration and inventory.");
  out.Sample(cache_.builds());
}

}  // namespace whence::discovery
