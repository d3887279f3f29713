#include "dataplane/discovery/discovery_client.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace whence::discovery {
namespace {

using std::chrono::milliseconds;

// 500 ms: a restarting control plane is back soon; 30 s: a dead one is not asked by every agent
// every second.
// For the control plane to end a stream that we leave.
constexpr milliseconds kFarewell{500};
constexpr milliseconds kFirstDelay{500};
constexpr milliseconds kLongestDelay{30'000};
// A control plane with nothing new to say says nothing, so a stream that lived this long counts as
// answered.
constexpr std::chrono::seconds kLivedLongEnough{20};

}  // namespace

DiscoveryClient::DiscoveryClient(rpc::CompletionLoop& loop, std::shared_ptr<grpc::Channel> channel,
                                 Node node, Publisher& publisher, Log& log)
    : loop_(loop),
      stub_(envoy::service::discovery::v3::AggregatedDiscoveryService::NewStub(channel)),
      channel_(std::move(channel)),
      node_(std::move(node)),
      log_(log),
      publisher_(publisher),
      timer_(loop),
      backoff_(kFirstDelay, kLongestDelay),
      random_(std::random_device()()) {}

DiscoveryClient::~DiscoveryClient() {
  loop_.Call([this] {
    timer_.Cancel();
    if (stream_ != nullptr) stream_->Leave(kFarewell);
    stream_.reset();
  });
}

void DiscoveryClient::Start() {
  loop_.Post([this] {
    UpdateStats();
    Open();
  });
}

void DiscoveryClient::Open() {
  opened_ = std::chrono::steady_clock::now();
  DeltaStream::Events events;
  events.on_message = [this](const Response& response) { OnMessage(response); };
  events.on_closed = [this](const grpc::Status& status) { OnClosed(status); };
  stream_ = DeltaStream::Open(
      loop_,
      [this](grpc::ClientContext* context, grpc::CompletionQueue* queue) {
        return stub_->PrepareAsyncDeltaAggregatedResources(context, queue);
      },
      std::move(events));
  {
    const std::lock_guard lock(mutex_);
    ++stats_.streams;
  }
  Send(publisher_.OpenStream(node_));
}

void DiscoveryClient::OnMessage(const Response& response) {
  if (!last_error_.empty()) log_.Info("the control plane answers again");
  last_error_.clear();
  backoff_.Reset();
  std::vector<Request> requests = publisher_.Take(response);
  {
    const std::lock_guard lock(mutex_);
    ++stats_.responses;
    for (const Request& request : requests) stats_.refusals += request.has_error_detail() ? 1 : 0;
  }
  Send(std::move(requests));
  UpdateStats();
}

void DiscoveryClient::OnClosed(const grpc::Status& status) {
  const bool answered =
      stream_->has_received() || std::chrono::steady_clock::now() - opened_ > kLivedLongEnough;
  stream_.reset();
  publisher_.CloseStream();
  UpdateStats();
  if (answered) backoff_.Reset();
  const std::string error = absl::StrCat("discovery stream ended: ", status.error_message(),
                                         " (code ", static_cast<int>(status.error_code()), ")");
  if (error != last_error_)
    log_.Warning(absl::StrCat(error, "; the active configuration stays, trying again"));
  last_error_ = error;
  std::uniform_real_distribution<double> jitter(0.0, 1.0);
  timer_.Start(backoff_.Next(jitter(random_)), [this] { Open(); });
}

void DiscoveryClient::Send(std::vector<Request> requests) {
  for (Request& request : requests) stream_->Write(std::move(request));
}

void DiscoveryClient::UpdateStats() {
  std::vector<ResourceStatus> resources = publisher_.Resources();
  const std::lock_guard lock(mutex_);
  stats_.resources = std::move(resources);
}

DiscoveryStats DiscoveryClient::Stats() const {
  const std::lock_guard lock(mutex_);
  DiscoveryStats stats = stats_;
  stats.connected = channel_->GetState(false) == GRPC_CHANNEL_READY;
  return stats;
}

}  // namespace whence::discovery
