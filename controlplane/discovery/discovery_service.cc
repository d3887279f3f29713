#include "controlplane/discovery/discovery_service.h"

#include <algorithm>
#include <utility>

#include "controlplane/discovery/stream.h"

namespace whence::discovery {
namespace {

// A stream that is refused before anything was read.
class RefusedStream final : public RawStream {
 public:
  explicit RefusedStream(const grpc::Status& status) { Finish(status); }
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
      options_(options),
      admission_(options.streams_per_second, options.streams_per_second),
      cache_(
          config, inventory, clock, options.cache, [this] { PumpAll(); }, std::move(remember)) {}

DiscoveryService::~DiscoveryService() = default;

template <typename Protocol>
RawStream* DiscoveryService::Open(grpc::CallbackServerContext& context) {
  auto refuse = [this](grpc::StatusCode code, const char* why) {
    counters_.streams_refused.fetch_add(1, std::memory_order_relaxed);
    return new RefusedStream(grpc::Status(code, why));
  };
  if (!State()) return refuse(grpc::StatusCode::UNAVAILABLE, "configuration is not loaded yet");
  std::shared_ptr<Stream<Protocol>> stream;
  {
    std::lock_guard lock(mutex_);
    if (shut_down_) return refuse(grpc::StatusCode::UNAVAILABLE, "shutting down");
    if (streams_.size() >= options_.max_streams) {
      return refuse(grpc::StatusCode::RESOURCE_EXHAUSTED, "too many discovery streams");
    }
    if (!admission_.Admit(clock_.SteadyNow())) {
      counters_.streams_deferred.fetch_add(1, std::memory_order_relaxed);
      return refuse(grpc::StatusCode::RESOURCE_EXHAUSTED,
                    "too many discovery streams begin at once: come back in a moment");
    }
    if (!CountNameless(context)) {
      return refuse(grpc::StatusCode::RESOURCE_EXHAUSTED,
                    "too many streams of this certificate that have not said which node they are");
    }
    uint64_t number = next_stream_++;
    stream = std::make_shared<Stream<Protocol>>(*this, number, context);
    streams_[number] = stream;
  }
  counters_.streams_opened.fetch_add(1, std::memory_order_relaxed);
  stream->Start();
  return stream.get();
}

RawStream* DiscoveryService::DeltaAggregatedResources(grpc::CallbackServerContext* context) {
  return Open<DeltaProtocol>(*context);
}

RawStream* DiscoveryService::StreamAggregatedResources(grpc::CallbackServerContext* context) {
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
  for (const auto& stream : Streams()) {
    stream->CloseIfStuck();
    stream->Pump();
  }
}

bool DiscoveryService::CountNameless(const grpc::CallbackServerContext& context) {
  const security::Peer peer = security::PeerOf(context.auth_context().get());
  if (!peer.has_certificate) return true;
  size_t& streams = nameless_[peer.name];
  if (streams < options_.max_nameless_streams) {
    ++streams;
    return true;
  }
  refusals_.Record({.peer = peer.name,
                    .address = context.peer(),
                    .method = DeltaProtocol::kMethod,
                    .reason = "opens streams and does not say which node it is"});
  return false;
}

void DiscoveryService::Named(const std::string& certificate) {
  std::lock_guard lock(mutex_);
  auto streams = nameless_.find(certificate);
  if (streams != nameless_.end() && --streams->second == 0) nameless_.erase(streams);
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
  size_t waiting = 0;
  const SteadyTime now = clock_.SteadyNow();
  SteadyTime oldest = now;
  for (const auto& stream : Streams()) {
    const std::optional<SteadyTime> since = stream->WaitingSince();
    if (!since) continue;
    ++waiting;
    oldest = std::min(oldest, *since);
  }
  out.Gauge("whence_discovery_unanswered_streams",
            "Streams that were sent a response and have not answered it yet.");
  out.Sample(waiting);
  out.Gauge("whence_discovery_longest_wait_seconds", "How long the oldest of them has waited.");
  out.Sample(std::chrono::duration<double>(now - oldest).count());
  counter("whence_discovery_streams_total", "Discovery streams opened.", counters_.streams_opened);
  counter("whence_discovery_streams_refused_total",
          "Discovery streams refused or ended for a bad request.", counters_.streams_refused);
  counter("whence_discovery_streams_deferred_total",
          "Of those: refused because too many began at once.", counters_.streams_deferred);
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
