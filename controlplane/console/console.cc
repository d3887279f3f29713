#include "controlplane/console/console.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "controlplane/access_log/log_filter.h"
#include "controlplane/access_log/log_top.h"
#include "controlplane/ctl/log_line.h"

namespace whence::console {
namespace {

// Somebody looks at an empty page meanwhile.
constexpr std::chrono::seconds kCountDeadline(10);
constexpr uint32_t kTopRows = 20;

// A page that says what is wrong has the status that says so as well.
int StatusOf(const absl::Status& status) {
  if (status.ok()) return 200;
  if (absl::IsInvalidArgument(status)) return 400;
  return absl::IsNotFound(status) ? 404 : 503;
}

absl::StatusOr<uint64_t> CountRecords(const std::string& path) {
  auto reader = access_log::LogReader::Open(path, {});
  if (!reader.ok()) return reader.status();
  // Records are numbered without gaps, and the oldest go first.
  auto extent = (*reader)->Extent();
  if (!extent.ok()) return extent.status();
  return static_cast<uint64_t>(extent->second - extent->first + 1);
}

}  // namespace

Console::Console(const admin::AgentService& agents, admin::ConfigService& configs,
                 const model::CurrentConfig& current, std::string logs_path, const Clock& clock,
                 std::function<absl::Status()> health)
    : agents_(agents),
      configs_(configs),
      current_(current),
      logs_path_(std::move(logs_path)),
      clock_(clock),
      health_(std::move(health)) {}

Answer Console::Page(std::string_view target) {
  const size_t end = std::min(target.find('?'), target.size());
  const std::string_view path = target.substr(0, end);
  const std::string_view query = target.substr(std::min(end + 1, target.size()));
  const auto page = path == "/"       ? &Console::OverviewAt
                    : path == "/logs" ? &Console::LogsAt
                    : path == "/top"  ? &Console::TopAt
                                      : nullptr;
  if (page == nullptr) return {404, "There is no such page: ask for /, /logs or /top.\n"};
  if (!free_.try_acquire()) {
    return {503, "Pages for others are being made: ask again in a moment.\n"};
  }
  const absl::Cleanup release = [this] { free_.release(); };
  return (this->*page)(query);
}

Answer Console::OverviewAt(std::string_view query) {
  // What is asked besides is for nobody.
  if (!query.empty()) return {400, "This page takes no filters: ask for / or /logs.\n"};
  Overview overview{.now_us = NowMicros(), .health = health_(), .agents = agents_.List()};
  if (const auto state = current_.Get()) {
    overview.revision = state->revision;
    for (const v1::StoredDocument& stored : state->documents) {
      ++overview.documents[stored.document().kind()];
    }
  }
  v1::HistoryRequest newest;
  newest.set_limit(kMaxRevisions);
  overview.history = configs_.ReadHistory(newest);
  overview.records = CountRecords(logs_path_);
  return {200, OverviewPage(overview), true};
}

Answer Console::LogsAt(std::string_view query) {
  Logs logs{.now_us = NowMicros()};
  absl::StatusOr<Params> params = ReadParams(query, kLogParams);
  if (params.ok()) {
    logs.params = *std::move(params);
    logs.rows = Read(logs.params);
  } else {
    logs.rows = params.status();
  }
  return {StatusOf(logs.rows.status()), LogsPage(logs), true};
}

absl::StatusOr<std::vector<v1::LogRow>> Console::Read(const Params& params) {
  absl::StatusOr<ctl::LogSelection> selection = ReadLogParams(params);
  if (!selection.ok()) return selection.status();
  auto filter = access_log::ReadLogQuery(ctl::QueryOf(*selection));
  if (!filter.ok()) return filter.status();
  auto reader = access_log::LogReader::Open(logs_path_, *std::move(filter));
  if (!reader.ok()) return reader.status();
  {
    std::lock_guard lock(mutex_);
    if (is_ending_) return absl::UnavailableError("whence-control is stopping");
    reading_.insert(reader->get());
  }
  absl::StatusOr<access_log::LogPage> page = (*reader)->NextPage(kMaxRecords);
  {
    std::lock_guard lock(mutex_);
    reading_.erase(reader->get());
  }
  if (page.ok()) return std::move(page->rows);
  if (!absl::IsCancelled(page.status())) return page.status();
  return absl::DeadlineExceededError(
      "reading takes too long: ask for a shorter time (since), or for less");
}

Answer Console::TopAt(std::string_view query) {
  Top top{.now_us = NowMicros(), .since = "1h"};
  absl::StatusOr<Params> params = ReadParams(query, kTopParams);
  std::optional<int64_t> span_us;
  if (params.ok()) {
    if (const auto since = params->find("since"); since != params->end()) top.since = since->second;
    const std::string error = ctl::ReadSpan("since", top.since, &span_us);
    if (!error.empty()) top.fault = absl::InvalidArgumentError(error);
  } else {
    top.fault = params.status();
  }
  if (!top.fault.ok()) return {StatusOf(top.fault), TopPage(top), true};
  const auto deadline = std::chrono::steady_clock::now() + kCountDeadline;
  const auto count = [&](v1::TopQuery::By by) {
    v1::TopQuery top_query;
    top_query.set_by(by);
    top_query.set_since_us(top.now_us - span_us.value_or(0));
    top_query.set_limit(kTopRows);
    return access_log::CountTop(logs_path_, top_query, deadline, is_ending_);
  };
  top.clients = count(v1::TopQuery::CLIENTS);
  top.workloads = count(v1::TopQuery::WORKLOADS);
  top.denied = count(v1::TopQuery::DENIED);
  absl::Status status = top.clients.status();
  status.Update(top.workloads.status());
  status.Update(top.denied.status());
  return {StatusOf(status), TopPage(top), true};
}

void Console::Shutdown() {
  std::lock_guard lock(mutex_);
  is_ending_ = true;
  for (access_log::LogReader* reader : reading_) reader->Interrupt();
}

}  // namespace whence::console
