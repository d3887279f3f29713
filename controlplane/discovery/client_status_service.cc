#include "controlplane/discovery/client_status_service.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "controlplane/discovery/client_status.h"
#include "controlplane/rpc/message.h"

namespace whence::discovery {
namespace {

constexpr size_t kMaxRequestBytes = 64 << 10;
// What can be sent at all is more, but most clients take 4 MiB unless they are told otherwise.
constexpr size_t kMaxResponseBytes = 32 << 20;

grpc::Status ToStatus(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(ToStd(status.message())));
}

// One operation at a time, each started by the end of the one before: hence no lock.
class StatusStream final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  explicit StatusStream(const ClientStatusService& service) : service_(service) {
    StartRead(&request_);
  }
  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    grpc::Status status = service_.Answer(request_, &response_);
    if (!status.ok()) return Finish(status);
    StartWrite(&response_);
  }
  void OnWriteDone(bool ok) override {
    response_.Clear();
    if (!ok) return Finish(grpc::Status::CANCELLED);
    StartRead(&request_);
  }
  void OnDone() override { delete this; }

 private:
  const ClientStatusService& service_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
};

}  // namespace

grpc::Status ClientStatusService::Answer(const grpc::ByteBuffer& bytes,
                                         grpc::ByteBuffer* out) const {
  envoy::service::status::v3::ClientStatusRequest request;
  absl::Status status = rpc::ReadMessage(bytes, kMaxRequestBytes, &request);
  if (!status.ok()) return ToStatus(status);
  auto response = DescribeClients(request, inventory_.ListConnected());
  if (!response.ok()) return ToStatus(response.status());
  if (const size_t size = response->ByteSizeLong(); size > kMaxResponseBytes) {
    return ToStatus(absl::ResourceExhaustedError(
        absl::StrCat("the answer has ", size, " bytes, at most ", kMaxResponseBytes,
                     " are sent: ask with node_matchers, or exclude_resource_contents")));
  }
  rpc::MessageWriter writer;
  writer.Add(std::make_shared<const std::string>(response->SerializeAsString()));
  *out = writer.Take();
  return grpc::Status::OK;
}

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>*
ClientStatusService::StreamClientStatus(grpc::CallbackServerContext* /*context*/) {
  return new StatusStream(*this);
}

grpc::ServerUnaryReactor* ClientStatusService::FetchClientStatus(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(Answer(*request, response));
  return reactor;
}

}  // namespace whence::discovery
