#include "controlplane/access_log/ingest_service.h"

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "common/wire/trust.h"
#include "controlplane/access_log/text.h"
#include "controlplane/rpc/message.h"

namespace whence::access_log {
namespace {

constexpr int kWindow = 4;  // batches of one stream that may wait for their commit
constexpr size_t kMaxNameBytes = 512;
constexpr size_t kMaxBootBytes = 128;
// Agents send at most 1,000 records or some 256 KiB; more than this is no batch of any agent's.
constexpr int kMaxBatchRecords = 10000;
constexpr size_t kMaxBatchBytes = size_t{4} << 20;
// Boots of one stream whose marks wait to be written: a client that does not read its
// acknowledgements is not read from either.
constexpr size_t kMaxUnwrittenAcks = 64;

grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(ToStd(status.message())));
}

const char* RoleText(v1::AgentRole role) {
  switch (role) {
    case v1::GATEWAY:
      return "gateway";
    case v1::NODE:
      return "node";
    default:
      return "sidecar";
  }
}

// One agent's stream. As in discovery: owned by the service until OnDone, kept a little longer by
// the batches it has in the store; no operation after Finish, which waits for whoever is about to
// start one (`starting_`) and for the write that is on its way.
class IngestStream final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                           public StreamHandle,
                           public std::enable_shared_from_this<IngestStream> {
 public:
  IngestStream(IngestService& service, uint64_t number, security::Peer peer, std::string address)
      : service_(service), number_(number), peer_(std::move(peer)), address_(std::move(address)) {}

  void Start() { Advance(); }

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override { Close(grpc::Status::CANCELLED); }
  void OnDone() override { service_.streams().Remove(number_); }  // May destroy *this.
  void Close(const grpc::Status& status) override;

 private:
  absl::Status Take(v1::IngestRequest& request);  // REQUIRES: mutex_ held.
  absl::Status CheckReporter(const v1::IngestHello& hello) const;
  void OnCommitted(const std::string& boot, const absl::StatusOr<uint64_t>& last_seq);
  // Starts whatever is due: the next read, the next acknowledgement, or the end.
  void Advance();

  IngestService& service_;
  const uint64_t number_;
  const security::Peer peer_;
  const std::string address_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;

  std::mutex mutex_;
  // By mutex_:
  std::shared_ptr<const ReportingAgent> reporter_;
  std::map<std::string, uint64_t> acks_;  // boot -> mark, not yet written: the latest only
  int in_store_ = 0;
  int starting_ = 0;
  bool reading_ = false;
  bool writing_ = false;
  bool half_closed_ = false;
  bool closing_ = false;
  bool finished_ = false;
  grpc::Status final_status_;
};

void IngestStream::OnReadDone(bool ok) {
  absl::Status status;
  v1::IngestRequest request;
  if (ok) status = rpc::ReadMessage(request_, kMaxBatchBytes, &request);
  request_.Clear();
  {
    std::lock_guard lock(mutex_);
    reading_ = false;
    if (!ok) {
      half_closed_ = true;
    } else if (status.ok() && !closing_) {
      status = Take(request);
    }
  }
  if (!status.ok()) {
    Close(ToGrpc(status));
  } else {
    Advance();
  }
}

absl::Status IngestStream::Take(v1::IngestRequest& request) {
  if (request.has_hello()) {
    if (reporter_) return absl::InvalidArgumentError("hello must come once, first");
    absl::StatusOr<ReportingAgent> reporter = ReadHello(request.hello());
    if (!reporter.ok()) return reporter.status();
    if (absl::Status status = CheckReporter(request.hello()); !status.ok()) return status;
    reporter_ = std::make_shared<const ReportingAgent>(*std::move(reporter));
    return absl::OkStatus();
  }
  if (!request.has_batch()) return absl::OkStatus();  // Of a newer protocol.
  if (!reporter_) return absl::InvalidArgumentError("hello must come before the first batch");
  if (absl::Status status = CheckBatch(request.batch()); !status.ok()) return status;
  ++in_store_;
  std::string boot = request.batch().boot();
  // The store never calls back from Append, so the lock may be held.
  service_.store().Append({.reporter = reporter_,
                           .message = std::move(*request.mutable_batch()),
                           .done = [self = shared_from_this(), boot](auto last_seq) {
                             self->OnCommitted(boot, last_seq);
                           }});
  return absl::OkStatus();
}

// The certificate says who it is, and in which role; the hello may only repeat it.
absl::Status IngestStream::CheckReporter(const v1::IngestHello& hello) const {
  if (!peer_.identity) return absl::OkStatus();
  const bool is_covered = peer_.identity->Covers(hello.agent());
  if (is_covered &&
      peer_.identity->role == wire::RoleOf(hello.role()).value_or(trust::Role::kSidecar))
    return absl::OkStatus();
  const std::string reason =
      is_covered ? absl::StrCat("hello.role is not the one of the certificate, which is of ",
                                peer_.name, ": issue it with whencectl certs issue --role")
                 : absl::StrCat("hello.agent is \"", hello.agent(),
                                "\", and the certificate is of ", peer_.name);
  service_.refusals().Record({peer_.name, address_, "/whence.v1.AccessLogIngest/Stream", reason});
  return absl::PermissionDeniedError(reason);
}

void IngestStream::OnCommitted(const std::string& boot, const absl::StatusOr<uint64_t>& last_seq) {
  {
    std::lock_guard lock(mutex_);
    --in_store_;
    if (last_seq.ok()) acks_[boot] = *last_seq;
  }
  if (last_seq.ok()) {
    Advance();
  } else {
    Close(grpc::Status(grpc::StatusCode::UNAVAILABLE,
                       std::string(ToStd(last_seq.status().message()))));
  }
}

void IngestStream::Advance() {
  bool read = false;
  bool write = false;
  {
    std::lock_guard lock(mutex_);
    if (!closing_) {
      if (!writing_ && !acks_.empty()) {
        auto ack = acks_.begin();
        v1::IngestResponse response;
        response.set_boot(ack->first);
        response.set_last_seq(ack->second);
        const grpc::Slice bytes(response.SerializeAsString());
        response_ = grpc::ByteBuffer(&bytes, 1);
        acks_.erase(ack);
        writing_ = write = true;
      }
      const bool has_room = in_store_ < kWindow && acks_.size() < kMaxUnwrittenAcks;
      if (!reading_ && !half_closed_ && has_room) reading_ = read = true;
      if (half_closed_ && in_store_ == 0 && !writing_) {
        closing_ = true;
        final_status_ = grpc::Status::OK;
      }
    }
    ++starting_;
  }
  if (write) StartWrite(&response_);
  if (read) StartRead(&request_);
  bool finish;
  {
    std::lock_guard lock(mutex_);
    --starting_;
    finish = closing_ && !writing_ && starting_ == 0 && !finished_;
    finished_ |= finish;
  }
  if (finish) Finish(final_status_);
}

void IngestStream::OnWriteDone(bool ok) {
  {
    std::lock_guard lock(mutex_);
    writing_ = false;
    if (!ok && !closing_) {
      closing_ = true;
      final_status_ = grpc::Status::CANCELLED;
    }
  }
  Advance();
}

void IngestStream::Close(const grpc::Status& status) {
  {
    std::lock_guard lock(mutex_);
    if (!closing_) {
      closing_ = true;
      final_status_ = status;
    }
  }
  Advance();
}

class RefusedStream final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  explicit RefusedStream(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

}  // namespace

absl::StatusOr<ReportingAgent> ReadHello(const v1::IngestHello& hello) {
  const std::string& agent = hello.agent();
  size_t slash = agent.find('/');
  bool is_name = slash != agent.npos && slash > 0 && slash + 1 < agent.size() &&
                 agent.find('/', slash + 1) == agent.npos && agent.size() <= kMaxNameBytes;
  // What escaping would change is no name of anything.
  if (!is_name || Escape(agent, kMaxNameBytes) != agent) {
    return absl::InvalidArgumentError("hello.agent must be \"namespace/name\"");
  }
  return ReportingAgent{.agent = agent,
                        .workload = agent.substr(slash + 1),
                        .namespace_ = agent.substr(0, slash),
                        .node = Escape(hello.node(), kMaxNameBytes),
                        .role = RoleText(hello.role())};
}

absl::Status CheckBatch(const v1::IngestBatch& batch) {
  if (batch.boot().empty() || batch.boot().size() > kMaxBootBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("batch.boot must have 1 to ", kMaxBootBytes, " bytes"));
  }
  if (batch.records_size() > kMaxBatchRecords || batch.ByteSizeLong() > kMaxBatchBytes) {
    return absl::InvalidArgumentError(absl::StrCat("a batch must have at most ", kMaxBatchRecords,
                                                   " records and ", kMaxBatchBytes, " bytes"));
  }
  constexpr uint64_t kLast = std::numeric_limits<int64_t>::max();
  if (batch.first_seq() > kLast - static_cast<uint64_t>(batch.records_size())) {
    return absl::InvalidArgumentError("batch.first_seq is out of range");
  }
  return absl::OkStatus();
}

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* IngestService::Stream(
    grpc::CallbackServerContext* context) {
  grpc::Status refused;
  auto stream = streams_.Add(
      [this, context](uint64_t number) {
        return std::make_shared<IngestStream>(
            *this, number, security::PeerOf(context->auth_context().get()), context->peer());
      },
      &refused);
  if (stream == nullptr) return new RefusedStream(refused);
  stream->Start();
  return stream.get();
}

}  // namespace whence::access_log
