// Takes access log entries from Envoys (envoy.service.accesslog.v3.AccessLogService).
//
// Best effort, as the protocol is: there is no acknowledgement, so what an Envoy sent and we could
// not store is lost, and only counted. A stream whose window is full is not read from; Envoy then
// drops on its side. Records are marked by their role, "envoy".
#ifndef WHENCE_CONTROLPLANE_ACCESS_LOG_ENVOY_SERVICE_H_
#define WHENCE_CONTROLPLANE_ACCESS_LOG_ENVOY_SERVICE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "controlplane/access_log/access_log_store.h"
#include "controlplane/access_log/envoy_record.h"
#include "controlplane/access_log/stream_table.h"
#include "controlplane/metrics/metrics.h"
#include "controlplane/security/refusals.h"
#include "envoy/service/accesslog/v3/als.grpc.pb.h"

namespace whence::access_log {

// Thread-safe. The gRPC server must be shut down before *this is destroyed; the store may go before
// or after.
class EnvoyLogService final
    // Raw messages: see controlplane/rpc/message.h.
    : public envoy::service::accesslog::v3::AccessLogService::
          WithRawCallbackMethod_StreamAccessLogs<
              envoy::service::accesslog::v3::AccessLogService::Service>,
      public metrics::Source {
 public:
  // Both must outlive the server.
  EnvoyLogService(AccessLogStore& store, security::Refusals& refusals);

  grpc::ServerReadReactor<grpc::ByteBuffer>* StreamAccessLogs(grpc::CallbackServerContext* context,
                                                              grpc::ByteBuffer* response) override;

  // For entries that come from now on.
  void SetKeeping(const Keeping& keeping);
  // Ends all streams. Call before the server's Shutdown.
  void Shutdown() { streams_.Shutdown(); }
  void Collect(metrics::TextWriter& out) const override;

  // ---- For streams ----
  AccessLogStore& store() { return store_; }
  security::Refusals& refusals() { return refusals_; }
  std::shared_ptr<const Keeping> keeping();
  void Count(uint64_t taken, uint64_t lost);
  StreamTable& streams() { return streams_; }

 private:
  static constexpr size_t kMaxStreams = 20000;

  AccessLogStore& store_;
  security::Refusals& refusals_;
  const std::string start_;  // random, of this start: names the streams' boots
  std::atomic<uint64_t> taken_{0};
  std::atomic<uint64_t> lost_{0};
  StreamTable streams_{kMaxStreams};
  std::mutex mutex_;
  std::shared_ptr<const Keeping> keeping_ = std::make_shared<Keeping>();  // by mutex_
};

}  // namespace whence::access_log

#endif  // WHENCE_CONTROLPLANE_ACCESS_LOG_ENVOY_SERVICE_H_
