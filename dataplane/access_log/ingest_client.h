// Keeps one access-log stream to the control plane and moves batches over it.
//
// Hello, then batches within the outbox's window; each acknowledgement frees some. When the stream
// ends it is opened again, with a back-off, and the outbox sends again what was not acknowledged.
#ifndef WHENCE_DATAPLANE_ACCESS_LOG_INGEST_CLIENT_H_
#define WHENCE_DATAPLANE_ACCESS_LOG_INGEST_CLIENT_H_

#include <grpcpp/channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/byte_buffer.h>

#include <atomic>
#include <memory>
#include <random>
#include <string>

#include "dataplane/access_log/outbox.h"
#include "dataplane/log.h"
#include "dataplane/rpc/backoff.h"
#include "dataplane/rpc/completion_loop.h"
#include "dataplane/rpc/stream.h"
#include "whence/v1/access_log.pb.h"

namespace whence::access_log {

// Thread-safe, but for construction and destruction.
class IngestClient {
 public:
  IngestClient(rpc::CompletionLoop& loop, std::shared_ptr<grpc::Channel> channel,
               v1::IngestHello hello, Outbox& outbox, Log& log);
  ~IngestClient();  // ends the stream

  void Start();
  // There is something new in the outbox. From any thread.
  void Wake();

 private:
  // Requests go out as the bytes that they are in the outbox already.
  using IngestStream = rpc::Stream<grpc::ByteBuffer, v1::IngestResponse>;
  using Stub = grpc::TemplatedGenericStub<grpc::ByteBuffer, v1::IngestResponse>;

  void Open();
  void Pump();
  void OnClosed(const grpc::Status& status);

  // Constant after construction.
  rpc::CompletionLoop& loop_;
  Stub stub_;
  const v1::IngestHello hello_;
  Outbox& outbox_;
  Log& log_;

  std::atomic<bool> woken_ = false;

  // Loop-affine.
  std::shared_ptr<IngestStream> stream_;
  rpc::CompletionLoop::Timer timer_;
  rpc::Backoff backoff_;
  std::minstd_rand random_;
  std::string last_error_;
};

}  // namespace whence::access_log

#endif  // WHENCE_DATAPLANE_ACCESS_LOG_INGEST_CLIENT_H_
