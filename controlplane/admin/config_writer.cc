#include "controlplane/admin/config_writer.h"

#include <memory>
#include <utility>

#include "common/bundle/config_view.h"

namespace whence::admin {

ConfigWriter::ConfigWriter(store::Store& store, model::CurrentConfig& current, const Clock& clock,
                           const log::Logger& logger)
    : store_(store), current_(current), clock_(clock), logger_(logger) {}

absl::Status ConfigWriter::Load() {
  std::lock_guard lock(write_mutex_);
  return PublishStored();
}

absl::Status ConfigWriter::PublishStored() {
  // Read back rather than put together from the plan: what is served is what a restart would serve.
  absl::StatusOr<store::Contents> contents = store_.Load();
  if (!contents.ok()) return contents.status();
  auto state = std::make_shared<model::ConfigState>();
  state->revision = contents->revision;
  state->documents = std::move(contents->documents);
  std::vector<v1::Document> documents;
  documents.reserve(state->documents.size());
  for (const v1::StoredDocument& stored : state->documents) documents.push_back(stored.document());
  state->view = std::make_shared<const bundle::ConfigView>(std::move(documents));
  current_.Publish(std::move(state));
  return absl::OkStatus();
}

absl::StatusOr<v1::ApplyResponse> ConfigWriter::Apply(const v1::ApplyRequest& request,
                                                      const std::string& author) {
  std::lock_guard lock(write_mutex_);
  std::shared_ptr<const model::ConfigState> state = current_.Get();
  if (!state) return absl::UnavailableError("the configuration is not loaded yet: retry");
  return Carry(*state, PlanApply(*state, request), request.dry_run(), author, request.message());
}

absl::StatusOr<v1::ApplyResponse> ConfigWriter::Delete(const v1::DeleteRequest& request,
                                                       const std::string& author) {
  std::lock_guard lock(write_mutex_);
  std::shared_ptr<const model::ConfigState> state = current_.Get();
  if (!state) return absl::UnavailableError("the configuration is not loaded yet: retry");
  absl::StatusOr<Plan> plan = PlanDelete(*state, request);
  if (!plan.ok()) return plan.status();
  return Carry(*state, std::move(*plan), /*dry_run=*/false, author, "");
}

absl::StatusOr<v1::ApplyResponse> ConfigWriter::Carry(const model::ConfigState& state, Plan plan,
                                                      bool dry_run, const std::string& author,
                                                      const std::string& message) {
  v1::ApplyResponse response;
  response.mutable_faults()->Assign(plan.faults.begin(), plan.faults.end());
  response.mutable_warnings()->Assign(plan.warnings.begin(), plan.warnings.end());
  if (!plan.faults.empty()) {
    refused_.fetch_add(1, std::memory_order_relaxed);
    return response;
  }
  if (dry_run) {
    std::vector<v1::Change> changes = Preview(state, plan.mutations);
    response.mutable_changes()->Assign(changes.begin(), changes.end());
    return response;
  }
  absl::StatusOr<store::CommitResult> result =
      store_.Commit({std::move(plan.mutations), author, message, clock_.Now(), state.revision});
  {
    std::lock_guard lock(health_mutex_);
    health_ = result.status();
  }
  if (!result.ok()) {
    failed_.fetch_add(1, std::memory_order_relaxed);
    logger_.Error("nothing was committed", {{"why", result.status().ToString()}});
    return result.status();
  }
  response.set_revision(result->revision);
  response.mutable_changes()->Assign(result->changes.begin(), result->changes.end());
  if (result->revision == 0) return response;
  committed_.fetch_add(1, std::memory_order_relaxed);
  logger_.Info(
      "committed",
      {{"revision", result->revision}, {"author", author}, {"documents", result->changes.size()}});
  // Committed, so the answer is yes even if reading back should fail; a restart would serve it.
  if (absl::Status status = PublishStored(); !status.ok()) {
    logger_.Error("committed, but not served until a restart", {{"why", status.ToString()}});
    std::lock_guard lock(health_mutex_);
    health_ = status;
  }
  return response;
}

absl::Status ConfigWriter::Health() const {
  std::lock_guard lock(health_mutex_);
  return health_;
}

void ConfigWriter::Collect(metrics::TextWriter& out) const {
  std::shared_ptr<const model::ConfigState> state = current_.Get();
  out.Gauge("whence_control_revision", "The current revision of the configuration.");
  out.Sample(uint64_t{state ? state->revision : 0});
  out.Gauge("whence_control_documents", "Documents in the current revision.");
  out.Sample(uint64_t{state ? state->documents.size() : 0});
  out.Counter("whence_control_writes_total", "Writes of the configuration, by what came of them.");
  out.Sample(committed_.load(std::memory_order_relaxed), {{"result", "committed"}});
  out.Sample(refused_.load(std::memory_order_relaxed), {{"result", "refused"}});
  out.Sample(failed_.load(std::memory_order_relaxed), {{"result", "failed"}});
}

}  // namespace whence::admin
