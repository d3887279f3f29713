// whence.v1.ConfigService over gRPC: hands requests to who can answer them, and gives codes.
#ifndef WHENCE_CONTROLPLANE_ADMIN_CONFIG_SERVICE_H_
#define WHENCE_CONTROLPLANE_ADMIN_CONFIG_SERVICE_H_

#include <functional>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "controlplane/admin/config_writer.h"
#include "controlplane/admin/worker.h"
#include "controlplane/discovery/inventory.h"
#include "controlplane/model/current_config.h"
#include "controlplane/store/store.h"
#include "whence/v1/admin.grpc.pb.h"

namespace whence::admin {

// Thread-safe. Must outlive the server; `worker` must outlive every call.
class ConfigService final : public v1::ConfigService::CallbackService {
 public:
  ConfigService(ConfigWriter& writer, store::Store& store, const model::CurrentConfig& current,
                const discovery::Inventory& inventory, const Clock& clock, Worker& worker)
      : writer_(writer),
        store_(store),
        current_(current),
        inventory_(inventory),
        clock_(clock),
        worker_(worker) {}

  grpc::ServerUnaryReactor* Apply(grpc::CallbackServerContext* context,
                                  const v1::ApplyRequest* request,
                                  v1::ApplyResponse* response) override;
  grpc::ServerUnaryReactor* Delete(grpc::CallbackServerContext* context,
                                   const v1::DeleteRequest* request,
                                   v1::ApplyResponse* response) override;
  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context, const v1::GetRequest* request,
                                v1::GetResponse* response) override;
  grpc::ServerUnaryReactor* History(grpc::CallbackServerContext* context,
                                    const v1::HistoryRequest* request,
                                    v1::HistoryResponse* response) override;
  grpc::ServerUnaryReactor* Diff(grpc::CallbackServerContext* context,
                                 const v1::DiffRequest* request,
                                 v1::DiffResponse* response) override;
  grpc::ServerUnaryReactor* Rollback(grpc::CallbackServerContext* context,
                                     const v1::RollbackRequest* request,
                                     v1::ApplyResponse* response) override;
  grpc::ServerUnaryReactor* DescribeIpSet(grpc::CallbackServerContext* context,
                                          const v1::DescribeIpSetRequest* request,
                                          v1::IpSetDescription* response) override;
  grpc::ServerUnaryReactor* Explain(grpc::CallbackServerContext* context,
                                    const v1::ExplainRequest* request,
                                    v1::ExplainResponse* response) override;
  // History without gRPC. Waits for the store.
  absl::StatusOr<v1::HistoryResponse> ReadHistory(const v1::HistoryRequest& request);

 private:
  // Finishes the call with what `work` returns, on the worker's thread.
  template <typename Response>
  grpc::ServerUnaryReactor* Later(grpc::CallbackServerContext* context, Response* response,
                                  std::function<absl::StatusOr<Response>()> work);

  absl::StatusOr<v1::DiffResponse> Compare(const v1::DiffRequest& request);

  ConfigWriter& writer_;
  store::Store& store_;  // to look back
  const model::CurrentConfig& current_;
  const discovery::Inventory& inventory_;
  const Clock& clock_;
  Worker& worker_;
};

}  // namespace whence::admin

#endif  // WHENCE_CONTROLPLANE_ADMIN_CONFIG_SERVICE_H_
