// envoy.service.status.v3.ClientStatusDiscoveryService: what client_status.h says, over gRPC.
#ifndef WHENCE_CONTROLPLANE_DISCOVERY_CLIENT_STATUS_SERVICE_H_
#define WHENCE_CONTROLPLANE_DISCOVERY_CLIENT_STATUS_SERVICE_H_

#include "controlplane/discovery/inventory.h"
#include "envoy/service/status/v3/csds.grpc.pb.h"

namespace whence::discovery {

// Both methods take their messages raw (controlplane/rpc/message.h).
using RawClientStatusService = envoy::service::status::v3::ClientStatusDiscoveryService::
    WithRawCallbackMethod_StreamClientStatus<
        envoy::service::status::v3::ClientStatusDiscoveryService::
            WithRawCallbackMethod_FetchClientStatus<
                envoy::service::status::v3::ClientStatusDiscoveryService::Service>>;

// Thread-safe. `inventory` must outlive the server.
class ClientStatusService final : public RawClientStatusService {
 public:
  explicit ClientStatusService(const Inventory& inventory) : inventory_(inventory) {}

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* StreamClientStatus(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* FetchClientStatus(grpc::CallbackServerContext* context,
                                              const grpc::ByteBuffer* request,
                                              grpc::ByteBuffer* response) override;

  // One request's answer, encoded. ResourceExhausted: the request or the answer is too large.
  grpc::Status Answer(const grpc::ByteBuffer& request, grpc::ByteBuffer* response) const;

 private:
  const Inventory& inventory_;
};

}  // namespace whence::discovery

#endif  // WHENCE_CONTROLPLANE_DISCOVERY_CLIENT_STATUS_SERVICE_H_
