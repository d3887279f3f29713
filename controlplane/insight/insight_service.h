// whence.v1.InsightService over gRPC: gathers configuration, inventory and records for the pure
// code beside it.
#ifndef WHENCE_CONTROLPLANE_INSIGHT_INSIGHT_SERVICE_H_
#define WHENCE_CONTROLPLANE_INSIGHT_INSIGHT_SERVICE_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/lint/lint.h"
#include "controlplane/admin/worker.h"
#include "controlplane/discovery/inventory.h"
#include "controlplane/model/current_config.h"
#include "controlplane/store/store.h"
#include "whence/v1/admin.grpc.pb.h"

namespace whence::insight {

// Thread-safe. All must outlive the server. A thread of its own does the work: it may take seconds,
// and an apply must not wait for it.
class InsightService final : public v1::InsightService::CallbackService {
 public:
  // `logs_path`: of the access log's database. `surroundings`: what warnings take into account.
  InsightService(store::Store& store, const model::CurrentConfig& current,
                 const discovery::Inventory& inventory, std::string logs_path, const Clock& clock,
                 std::function<lint::Surroundings()> surroundings)
      : store_(store),
        current_(current),
        inventory_(inventory),
        logs_path_(std::move(logs_path)),
        clock_(clock),
        surroundings_(std::move(surroundings)) {}

  grpc::ServerUnaryReactor* ExplainRecord(grpc::CallbackServerContext* context,
                                          const v1::ExplainRecordRequest* request,
                                          v1::ExplainRecordResponse* response) override;
  grpc::ServerUnaryReactor* Forecast(grpc::CallbackServerContext* context,
                                     const v1::ForecastRequest* request,
                                     v1::ForecastResponse* response) override;
  grpc::ServerUnaryReactor* Examine(grpc::CallbackServerContext* context,
                                    const v1::ExamineRequest* request,
                                    v1::ExamineResponse* response) override;

 private:
  struct Rows {
    std::vector<v1::LogRow> rows;  // newest first
    bool truncated = false;
  };
  absl::StatusOr<Rows> Read(const v1::LogQuery& query, size_t max_rows) const;
  absl::StatusOr<std::vector<v1::LogRow>> Find(const std::string& id) const;
  // The current configuration, or that of `revision`.
  absl::StatusOr<std::shared_ptr<const model::ConfigState>> Config(
      const std::optional<uint64_t>& revision);

  absl::StatusOr<v1::ExplainRecordResponse> Answer(const v1::ExplainRecordRequest& request);
  absl::StatusOr<v1::ForecastResponse> Answer(const v1::ForecastRequest& request);
  absl::StatusOr<v1::ExamineResponse> Answer(const v1::ExamineRequest& request);
  template <typename Request, typename Response>
  grpc::ServerUnaryReactor* Later(grpc::CallbackServerContext* context, const Request* request,
                                  Response* response);

  store::Store& store_;
  const model::CurrentConfig& current_;
  const discovery::Inventory& inventory_;
  const std::string logs_path_;
  const Clock& clock_;
  const std::function<lint::Surroundings()> surroundings_;
  admin::Worker worker_;  // last: uses all of the above
};

}  // namespace whence::insight

#endif  // WHENCE_CONTROLPLANE_INSIGHT_INSIGHT_SERVICE_H_
