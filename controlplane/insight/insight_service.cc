#include "controlplane/insight/insight_service.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "controlplane/access_log/log_reader.h"
#include "controlplane/admin/config_state.h"
#include "controlplane/admin/explain_access.h"
#include "controlplane/admin/plan.h"
#include "controlplane/admin/rpc_status.h"
#include "controlplane/insight/doctor.h"
#include "controlplane/insight/recorded_access.h"

namespace whence::insight {
namespace {

// Newest first, so that what is left out is what matters least. A record takes about a kilobyte.
constexpr size_t kMaxForecastRecords = 200'000;
constexpr size_t kMaxExaminedRecords = 50'000;
constexpr size_t kMaxFoundRecords = 20;
constexpr size_t kPageRows = 2048;
constexpr std::chrono::minutes kExamined(10);

}  // namespace

absl::StatusOr<InsightService::Rows> InsightService::Read(const v1::LogQuery& query,
                                                          size_t max_rows) const {
  absl::StatusOr<access_log::LogFilter> filter = access_log::ReadLogQuery(query);
  if (!filter.ok()) return filter.status();
  auto reader = access_log::LogReader::Open(logs_path_, *filter);
  if (!reader.ok()) return reader.status();
  Rows out;
  while (out.rows.size() < max_rows) {
    auto page = (*reader)->NextPage(std::min(kPageRows, max_rows - out.rows.size()));
    if (!page.ok()) return page.status();
    std::move(page->rows.begin(), page->rows.end(), std::back_inserter(out.rows));
    if (page->at_end) return out;
  }
  auto more = (*reader)->NextPage(1);
  if (!more.ok()) return more.status();
  out.truncated = !more->rows.empty();
  return out;
}

// A request id first: a client may choose one that looks like a number.
absl::StatusOr<std::vector<v1::LogRow>> InsightService::Find(const std::string& id) const {
  if (id.empty()) return absl::InvalidArgumentError("id is empty: which record?");
  v1::LogQuery query;
  query.set_request_id(id);
  absl::StatusOr<Rows> found = Read(query, kMaxFoundRecords);
  if (!found.ok()) return found.status();
  int64_t number = 0;
  if (found->rows.empty() && absl::SimpleAtoi(id, &number) && number > 0) {
    query.clear_request_id();
    query.set_id(number);
    found = Read(query, 1);
    if (!found.ok()) return found.status();
  }
  if (found->rows.empty()) {
    return absl::NotFoundError(absl::StrCat(
        "there is no record \"", id,
        "\": give the request_id or the id of a record, as whencectl logs -o json shows them"));
  }
  // As the request went: the gateway before the sidecar.
  std::reverse(found->rows.begin(), found->rows.end());
  return std::move(found->rows);
}

absl::StatusOr<std::shared_ptr<const model::ConfigState>> InsightService::Config(
    const std::optional<uint64_t>& revision) {
  if (revision) {
    absl::StatusOr<store::Contents> contents = store_.LoadAt(*revision);
    if (!contents.ok()) return contents.status();
    return admin::MakeState(*std::move(contents));
  }
  std::shared_ptr<const model::ConfigState> state = current_.Get();
  if (!state) return absl::UnavailableError("the configuration is not loaded yet: retry");
  return state;
}

absl::StatusOr<v1::ExplainRecordResponse> InsightService::Answer(
    const v1::ExplainRecordRequest& request) {
  std::optional<uint64_t> revision;
  if (request.has_revision()) revision = request.revision();
  auto config = Config(revision);
  if (!config.ok()) return config.status();
  absl::StatusOr<std::vector<v1::LogRow>> rows = Find(request.id());
  if (!rows.ok()) return rows.status();
  const auto view = inventory_.View();
  admin::AccessExplainer explainer(**config, view->workloads);
  v1::ExplainRecordResponse response;
  response.set_revision((*config)->revision);
  for (const v1::LogRow& row : *rows) {
    *response.add_records() = ExplainRecorded(explainer, row, clock_.Now());
  }
  return response;
}

absl::StatusOr<v1::ForecastResponse> InsightService::Answer(const v1::ForecastRequest& request) {
  auto config = Config(std::nullopt);
  if (!config.ok()) return config.status();
  v1::ApplyRequest apply;
  *apply.mutable_files() = request.files();
  *apply.mutable_ip_sets() = request.ip_sets();
  apply.set_ignore_unsupported(request.ignore_unsupported());
  apply.set_default_namespace(request.default_namespace());
  admin::Plan plan = admin::PlanApply(**config, apply, surroundings_());
  v1::ForecastResponse response;
  if (plan.faults.empty()) {
    const auto changed = admin::WithMutations(**config, plan.mutations);
    v1::LogQuery query;
    query.set_since_us(request.since_us());
    absl::StatusOr<Rows> records = Read(query, kMaxForecastRecords);
    if (!records.ok()) return records.status();
    const auto view = inventory_.View();
    admin::AccessExplainer before(**config, view->workloads);
    admin::AccessExplainer after(*changed, view->workloads);
    insight::Forecast forecast(before, after, clock_.Now());
    for (const v1::LogRow& row : records->rows) forecast.Add(row);
    response = forecast.Finish();
    response.set_truncated(records->truncated);
  }
  response.mutable_faults()->Assign(plan.faults.begin(), plan.faults.end());
  response.mutable_warnings()->Assign(plan.warnings.begin(), plan.warnings.end());
  return response;
}

absl::StatusOr<v1::ExamineResponse> InsightService::Answer(const v1::ExamineRequest& request) {
  auto config = Config(std::nullopt);
  if (!config.ok()) return config.status();
  v1::LogQuery query;
  query.set_since_us(request.since_us());
  if (request.since_us() <= 0) {
    const WallTime since = clock_.Now() - kExamined;
    query.set_since_us(since.time_since_epoch().count());
  }
  absl::StatusOr<Rows> records = Read(query, kMaxExaminedRecords);
  if (!records.ok()) return records.status();
  Patient patient{.config = **config,
                  .agents = inventory_.ListAgents(),
                  .workloads = inventory_.View()->workloads,
                  .lost = inventory_.Lost(),
                  .records = std::move(records->rows)};
  v1::ExamineResponse response;
  for (v1::Finding& finding : insight::Examine(patient)) {
    *response.add_findings() = std::move(finding);
  }
  for (std::string& name : RuleNames()) response.add_checked(std::move(name));
  response.set_records(patient.records.size());
  response.set_truncated(records->truncated);
  response.set_agents(static_cast<uint32_t>(patient.agents.size()));
  response.set_revision((*config)->revision);
  return response;
}

template <typename Request, typename Response>
grpc::ServerUnaryReactor* InsightService::Later(grpc::CallbackServerContext* context,
                                                const Request* request, Response* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const bool taken = worker_.Post([this, reactor, request, response] {
    absl::StatusOr<Response> result = Answer(*request);
    if (result.ok()) *response = *std::move(result);
    // Last: the request, the response and the context are gone after it.
    reactor->Finish(admin::ToRpc(result.status()));
  });
  if (!taken) {
    reactor->Finish(
        {grpc::StatusCode::RESOURCE_EXHAUSTED, "too many requests are waiting: retry in a moment"});
  }
  return reactor;
}

grpc::ServerUnaryReactor* InsightService::ExplainRecord(grpc::CallbackServerContext* context,
                                                        const v1::ExplainRecordRequest* request,
                                                        v1::ExplainRecordResponse* response) {
  return Later(context, request, response);
}

grpc::ServerUnaryReactor* InsightService::Forecast(grpc::CallbackServerContext* context,
                                                   const v1::ForecastRequest* request,
                                                   v1::ForecastResponse* response) {
  return Later(context, request, response);
}

grpc::ServerUnaryReactor* InsightService::Examine(grpc::CallbackServerContext* context,
                                                  const v1::ExamineRequest* request,
                                                  v1::ExamineResponse* response) {
  return Later(context, request, response);
}

}  // namespace whence::insight
