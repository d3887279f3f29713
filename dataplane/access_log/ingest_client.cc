#include "dataplane/access_log/ingest_client.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "dataplane/access_log/record_encoder.h"

namespace whence::access_log {
namespace {

// As for discovery: see discovery_client.cc.
// For the control plane to end a stream that we leave.
constexpr std::chrono::milliseconds kFarewell{500};
constexpr std::chrono::milliseconds kFirstDelay{500};
constexpr std::chrono::milliseconds kLongestDelay{30'000};
constexpr std::chrono::milliseconds kSpoolRetry{500};
// Batches handed to gRPC ahead of the transport: one on its way, one ready.
constexpr size_t kQueued = 2;
constexpr char kMethod[] = "/whence.v1.AccessLogIngest/Stream";

// Keeps the text, without copying it, until gRPC has sent it.
grpc::Slice SliceOf(std::string text) {
  auto* const held = new std::string(std::move(text));
  return grpc::Slice(
      held->data(), held->size(), [](void* kept) { delete static_cast<std::string*>(kept); }, held);
}

}  // namespace

IngestClient::IngestClient(rpc::CompletionLoop& loop, std::shared_ptr<grpc::Channel> channel,
                           v1::IngestHello hello, Outbox& outbox, Log& log)
    : loop_(loop),
      stub_(channel),
      hello_(std::move(hello)),
      outbox_(outbox),
      log_(log),
      timer_(loop),
      backoff_(kFirstDelay, kLongestDelay),
      random_(std::random_device()()) {}

IngestClient::~IngestClient() {
  loop_.Call([this] {
    timer_.Cancel();
    if (stream_ != nullptr) stream_->Leave(kFarewell);
    stream_.reset();
  });
}

void IngestClient::Start() {
  loop_.Post([this] { Open(); });
}

void IngestClient::Wake() {
  if (woken_.exchange(true)) return;
  loop_.Post([this] {
    woken_.store(false);
    Pump();
  });
}

void IngestClient::Open() {
  IngestStream::Events events;
  events.on_message = [this](const v1::IngestResponse& response) {
    if (!last_error_.empty()) log_.Info("the control plane takes access records again");
    last_error_.clear();
    backoff_.Reset();
    outbox_.Acknowledge(response.boot(), response.last_seq());
    Pump();
  };
  events.on_written = [this] { Pump(); };
  events.on_closed = [this](const grpc::Status& status) { OnClosed(status); };
  outbox_.BeginStream();
  stream_ = IngestStream::Open(
      loop_,
      [this](grpc::ClientContext* context, grpc::CompletionQueue* queue) {
        return stub_.PrepareCall(context, kMethod, queue);
      },
      std::move(events));
  v1::IngestRequest hello;
  *hello.mutable_hello() = hello_;
  const grpc::Slice slice(hello.SerializeAsString());
  stream_->Write(grpc::ByteBuffer(&slice, 1));
  Pump();
}

void IngestClient::Pump() {
  while (stream_ != nullptr && stream_->queued() < kQueued) {
    bool try_again = false;
    std::optional<EncodedBatch> batch = outbox_.NextToSend(&try_again);
    // The timer is free: only without a stream does it wait for the next one.
    if (try_again) timer_.Start(kSpoolRetry, [this] { Pump(); });
    if (!batch.has_value()) return;
    const grpc::Slice slices[] = {grpc::Slice(RequestHead(batch->bytes().size())),
                                  SliceOf(std::move(*batch).bytes())};
    stream_->Write(grpc::ByteBuffer(slices, 2));
  }
}

void IngestClient::OnClosed(const grpc::Status& status) {
  stream_.reset();
  const std::string error = absl::StrCat("access-log stream ended: ", status.error_message(),
                                         " (code ", static_cast<int>(status.error_code()), ")");
  if (error != last_error_) log_.Warning(absl::StrCat(error, "; records are kept, trying again"));
  last_error_ = error;
  std::uniform_real_distribution<double> jitter(0.0, 1.0);
  timer_.Start(backoff_.Next(jitter(random_)), [this] { Open(); });
}

}  // namespace whence::access_log
