// Takes access records from agents (AccessLogIngest.Stream).
//
// An agent says who it is, then sends batches; each is handed to the store, and acknowledged once
// it is committed. Several may be on their way, but not many: a stream that has its window full is
// not read from, which is the agent's back-pressure (it keeps records in its spool) and our bound
// on memory. A failed commit ends the stream without an acknowledgement; the agent comes back and
// repeats, and what was committed after all is skipped as a repetition.
//
// An agent with a certificate reports for the workload that it names, in the role that it names,
// and for no other.
#ifndef WHENCE_CONTROLPLANE_ACCESS_LOG_INGEST_SERVICE_H_
#define WHENCE_CONTROLPLANE_ACCESS_LOG_INGEST_SERVICE_H_

#include <cstddef>

#include "absl/status/statusor.h"
#include "controlplane/access_log/access_log_store.h"
#include "controlplane/access_log/stream_table.h"
#include "controlplane/security/guard.h"
#include "controlplane/security/refusals.h"
#include "whence/v1/access_log.grpc.pb.h"

namespace whence::access_log {

// Pure. InvalidArgument: no identity, or one that is not printable.
absl::StatusOr<ReportingAgent> ReadHello(const v1::IngestHello& hello);
// Pure. InvalidArgument: what the store cannot key, or no agent sends at once.
absl::Status CheckBatch(const v1::IngestBatch& batch);

// Thread-safe. The gRPC server must be shut down before *this is destroyed, and the store, which
// finishes what it was given, may go before or after.
// Takes its messages raw: see controlplane/rpc/message.h.
class IngestService final
    : public v1::AccessLogIngest::WithRawCallbackMethod_Stream<v1::AccessLogIngest::Service> {
 public:
  // Both must outlive the server.
  IngestService(AccessLogStore& store, security::Refusals& refusals)
      : store_(store), refusals_(refusals) {}

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Stream(
      grpc::CallbackServerContext* context) override;

  // Ends all streams. Call before the server's Shutdown.
  void Shutdown() { streams_.Shutdown(); }

  // ---- For streams ----
  AccessLogStore& store() { return store_; }
  security::Refusals& refusals() { return refusals_; }
  StreamTable& streams() { return streams_; }

 private:
  static constexpr size_t kMaxStreams = 20000;

  AccessLogStore& store_;
  security::Refusals& refusals_;
  StreamTable streams_{kMaxStreams};
};

}  // namespace whence::access_log

#endif  // WHENCE_CONTROLPLANE_ACCESS_LOG_INGEST_SERVICE_H_
