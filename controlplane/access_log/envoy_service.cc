#include "controlplane/access_log/envoy_service.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "controlplane/rpc/message.h"
#include "controlplane/security/guard.h"

namespace whence::access_log {
namespace {

using envoy::service::accesslog::v3::StreamAccessLogsMessage;

constexpr int kWindow = 4;  // messages of one stream that may wait for their commit
// An Envoy sends when it has 16 KiB, unless it is told otherwise, or a single entry that is larger.
constexpr size_t kMaxMessageBytes = size_t{4} << 20;

// One Envoy's stream. Ends as IngestStream does: Finish once, when nobody is about to start a read.
class EnvoyStream final : public grpc::ServerReadReactor<grpc::ByteBuffer>,
                          public StreamHandle,
                          public std::enable_shared_from_this<EnvoyStream> {
 public:
  EnvoyStream(EnvoyLogService& service, uint64_t number, std::string boot, security::Peer peer,
              std::string address)
      : service_(service),
        number_(number),
        boot_(std::move(boot)),
        peer_(std::move(peer)),
        address_(std::move(address)) {}

  void Start() { Advance(); }

  void OnReadDone(bool ok) override {
    absl::Status status;
    StreamAccessLogsMessage message;
    if (ok) status = rpc::ReadMessage(message_, kMaxMessageBytes, &message);
    message_.Clear();
    {
      std::lock_guard lock(mutex_);
      reading_ = false;
      if (!ok) {
        closing_ = true;
      } else if (status.ok() && !closing_) {
        status = Take(message);
      }
    }
    if (!status.ok()) {
      Close(grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                         std::string(ToStd(status.message()))));
    } else {
      Advance();
    }
  }
  void OnCancel() override { Close(grpc::Status::CANCELLED); }
  void OnDone() override { service_.streams().Remove(number_); }  // May destroy *this.
  void Close(const grpc::Status& status) override {
    {
      std::lock_guard lock(mutex_);
      if (!closing_) final_status_ = status;
      closing_ = true;
    }
    Advance();
  }

 private:
  // REQUIRES: mutex_ held.
  absl::Status Take(const StreamAccessLogsMessage& message) {
    if (message.has_identifier() && !reporter_) {
      absl::StatusOr<ReportingAgent> reporter = ReadEnvoyNode(message.identifier());
      if (!reporter.ok()) return reporter.status();
      if (peer_.identity && !peer_.identity->Covers(reporter->agent)) {
        std::string reason = absl::StrCat("identifier.node.id is \"", reporter->agent,
                                          "\", and the certificate of ", peer_.name);
        service_.refusals().Record({peer_.name, address_,
                                    "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs",
                                    reason});
        return absl::PermissionDeniedError(reason);
      }
      reporter_ = std::make_shared<const ReportingAgent>(*std::move(reporter));
    }
    if (!reporter_) return absl::InvalidArgumentError("the first message needs an identifier");
    const std::shared_ptr<const Keeping> keeping = service_.keeping();
    v1::IngestBatch batch;
    batch.set_boot(boot_);
    batch.set_first_seq(next_seq_);
    for (const auto& entry : message.http_logs().log_entry()) {
      *batch.add_records() = FromEnvoy(entry, *keeping);
    }
    for (const auto& entry : message.tcp_logs().log_entry()) {
      *batch.add_records() = FromEnvoy(entry, *keeping);
    }
    const auto count = static_cast<uint64_t>(batch.records_size());
    if (count == 0) return absl::OkStatus();
    next_seq_ += count;
    ++in_store_;
    service_.store().Append({.reporter = reporter_,
                             .message = std::move(batch),
                             .done = [self = shared_from_this(), count](const auto& mark) {
                               self->OnCommitted(count, mark.ok());
                             }});
    return absl::OkStatus();
  }

  void OnCommitted(uint64_t count, bool ok) {
    service_.Count(ok ? count : 0, ok ? 0 : count);
    {
      std::lock_guard lock(mutex_);
      --in_store_;
    }
    Advance();
  }

  // Starts what is due: the next read, or the end.
  void Advance() {
    bool read = false;
    {
      std::lock_guard lock(mutex_);
      if (!closing_ && !reading_ && in_store_ < kWindow) reading_ = read = true;
      ++starting_;
    }
    if (read) StartRead(&message_);
    bool finish;
    {
      std::lock_guard lock(mutex_);
      --starting_;
      finish = closing_ && starting_ == 0 && !finished_;
      finished_ |= finish;
    }
    if (finish) Finish(final_status_);
  }

  EnvoyLogService& service_;
  const uint64_t number_;
  const std::string boot_;
  grpc::ByteBuffer message_;

  std::mutex mutex_;
  // By mutex_:
  const security::Peer peer_;
  const std::string address_;
  std::shared_ptr<const ReportingAgent> reporter_;
  uint64_t next_seq_ = 1;
  int in_store_ = 0;
  int starting_ = 0;
  bool reading_ = false;
  bool closing_ = false;
  bool finished_ = false;
  grpc::Status final_status_;
};

class RefusedStream final : public grpc::ServerReadReactor<grpc::ByteBuffer> {
 public:
  explicit RefusedStream(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

std::string RandomStart() {
  std::random_device random;
  return absl::StrCat("envoy-", absl::Hex(static_cast<uint32_t>(random()), absl::kZeroPad8),
                      absl::Hex(static_cast<uint32_t>(random()), absl::kZeroPad8));
}

}  // namespace

EnvoyLogService::EnvoyLogService(AccessLogStore& store, security::Refusals& refusals)
    : store_(store), refusals_(refusals), start_(RandomStart()) {}

grpc::ServerReadReactor<grpc::ByteBuffer>* EnvoyLogService::StreamAccessLogs(
    grpc::CallbackServerContext* context, grpc::ByteBuffer* response) {
  const grpc::Slice nothing;
  *response = grpc::ByteBuffer(&nothing, 1);  // StreamAccessLogsResponse has no fields
  grpc::Status refused;
  auto stream = streams_.Add(
      [this, context](uint64_t number) {
        return std::make_shared<EnvoyStream>(*this, number, absl::StrCat(start_, "-", number),
                                             security::PeerOf(context->auth_context().get()),
                                             context->peer());
      },
      &refused);
  if (stream == nullptr) return new RefusedStream(refused);
  stream->Start();
  return stream.get();
}

void EnvoyLogService::SetKeeping(const Keeping& keeping) {
  auto next = std::make_shared<const Keeping>(keeping);
  std::lock_guard lock(mutex_);
  keeping_ = std::move(next);
}

std::shared_ptr<const Keeping> EnvoyLogService::keeping() {
  std::lock_guard lock(mutex_);
  return keeping_;
}

void EnvoyLogService::Count(uint64_t taken, uint64_t lost) {
  taken_.fetch_add(taken, std::memory_order_relaxed);
  lost_.fetch_add(lost, std::memory_order_relaxed);
}

void EnvoyLogService::Collect(metrics::TextWriter& out) const {
  out.Counter("whence_envoy_log_entries_total", "Access log entries taken from Envoys.");
  out.Sample(taken_.load(std::memory_order_relaxed));
  out.Counter("whence_envoy_log_lost_total", "Entries of Envoys that could not be stored.");
  out.Sample(lost_.load(std::memory_order_relaxed));
}

}  // namespace whence::access_log
