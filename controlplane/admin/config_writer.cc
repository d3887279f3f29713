#include "controlplane/admin/config_writer.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "controlplane/admin/config_state.h"

namespace whence::admin {
namespace {

// Writers at other replicas that get in before.
constexpr int kMaxTries = 10;

absl::Status NotLoaded() {
  return absl::UnavailableError("the configuration is not loaded yet: retry");
}

std::string TimeText(int64_t time_us) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixMicros(time_us), absl::UTCTimeZone());
}

// A name that no certificate vouches for must not be taken for more.
std::string WhoAndWhen(const std::string& author, bool verified, int64_t time_us) {
  return absl::StrCat(author, verified ? "" : " (unverified)", " at ", TimeText(time_us));
}
std::string WhoAndWhen(const store::Revision& revision) {
  return WhoAndWhen(revision.author, revision.author_verified,
                    revision.time.time_since_epoch().count());
}

template <typename Message>
std::optional<uint64_t> Expected(const Message& request) {
  if (!request.has_if_revision()) return std::nullopt;
  return request.if_revision();
}

}  // namespace

ConfigWriter::ConfigWriter(store::Store& store, model::CurrentConfig& current, const Clock& clock,
                           const log::Logger& logger,
                           std::function<lint::Surroundings()> surroundings)
    : store_(store),
      current_(current),
      clock_(clock),
      logger_(logger),
      surroundings_(std::move(surroundings)) {}

absl::Status ConfigWriter::Load() {
  std::lock_guard lock(write_mutex_);
  return PublishStored();
}

absl::Status ConfigWriter::Refresh() {
  std::lock_guard lock(write_mutex_);
  return RefreshLocked();
}

absl::Status ConfigWriter::RefreshLocked() {
  absl::StatusOr<uint64_t> latest = store_.LatestRevision();
  absl::Status status = latest.status();
  std::shared_ptr<const model::ConfigState> state = current_.Get();
  if (status.ok() && state && *latest == state->revision) return status;
  if (status.ok()) status = PublishStored();
  std::lock_guard lock(health_mutex_);
  health_ = status;
  return status;
}

absl::Status ConfigWriter::PublishStored() {
  // Read back rather than put together from the plan: what is served is what a restart would serve.
  absl::StatusOr<store::Contents> contents = store_.Load();
  if (!contents.ok()) return contents.status();
  current_.Publish(MakeState(*std::move(contents)));
  return absl::OkStatus();
}

absl::StatusOr<v1::ApplyResponse> ConfigWriter::OnNewest(const Attempt& attempt) {
  std::lock_guard lock(write_mutex_);
  if (!current_.Get()) return NotLoaded();
  for (int tries = 1;; ++tries) {
    if (absl::Status status = RefreshLocked(); !status.ok()) return status;
    overtaken_ = false;
    absl::StatusOr<v1::ApplyResponse> response = attempt(*current_.Get());
    if (!overtaken_ || tries == kMaxTries) return response;
  }
}

absl::StatusOr<v1::ApplyResponse> ConfigWriter::Apply(const v1::ApplyRequest& request,
                                                      const Author& author) {
  return OnNewest([&](const model::ConfigState& state) {
    return Carry(state, PlanApply(state, request, LookAround()),
                 {author, request.message(), request.dry_run(), Expected(request)});
  });
}

lint::Surroundings ConfigWriter::LookAround() const {
  lint::Surroundings surroundings = surroundings_ ? surroundings_() : lint::Surroundings();
  surroundings.now = clock_.Now();
  return surroundings;
}

absl::StatusOr<v1::ApplyResponse> ConfigWriter::Delete(const v1::DeleteRequest& request,
                                                       const Author& author) {
  return OnNewest([&](const model::ConfigState& state) -> absl::StatusOr<v1::ApplyResponse> {
    absl::StatusOr<Plan> plan = PlanDelete(state, request);
    if (!plan.ok()) return plan.status();
    return Carry(state, *std::move(plan),
                 {author, request.message(), /*dry_run=*/false, Expected(request)});
  });
}

absl::StatusOr<v1::ApplyResponse> ConfigWriter::Rollback(const v1::RollbackRequest& request,
                                                         const Author& author) {
  // Revision 0 is empty: to delete everything is not what anybody means by going back.
  if (request.revision() == 0) return absl::InvalidArgumentError("rollback to which revision?");
  return OnNewest([&](const model::ConfigState& state) -> absl::StatusOr<v1::ApplyResponse> {
    absl::StatusOr<store::Contents> target = store_.LoadAt(request.revision());
    if (!target.ok()) return target.status();
    std::string message = request.message();
    if (message.empty()) message = absl::StrCat("rollback to revision ", request.revision());
    Plan plan = PlanRollback(state, *target, request.strict(), LookAround());
    if (absl::Status status = WarnOfUndone(request.revision(), &plan); !status.ok()) return status;
    return Carry(state, std::move(plan),
                 {author, std::move(message), request.dry_run(), Expected(request)});
  });
}

absl::Status ConfigWriter::WarnOfUndone(uint64_t target, Plan* plan) {
  constexpr int kShown = 5;
  if (plan->mutations.empty()) return absl::OkStatus();
  absl::StatusOr<std::vector<store::Revision>> later = store_.History(kShown + 1, 0);
  if (!later.ok()) return later.status();
  int shown = 0;
  for (const store::Revision& revision : *later) {
    if (revision.revision <= target) break;
    v1::Fault& warning = plan->warnings.emplace_back();
    if (++shown > kShown) {
      warning.set_message(absl::StrCat("undoes ", revision.revision - target, " more"));
      break;
    }
    warning.set_message(absl::StrCat("undoes revision ", revision.revision, ", of ",
                                     WhoAndWhen(revision), revision.message.empty() ? "" : ": ",
                                     revision.message));
  }
  return absl::OkStatus();
}

absl::Status ConfigWriter::CheckRevision(const model::ConfigState& state,
                                         const std::optional<uint64_t>& expected) {
  if (!expected || *expected == state.revision) return absl::OkStatus();
  absl::StatusOr<std::vector<store::Revision>> last = store_.History(1, state.revision + 1);
  if (!last.ok()) return last.status();
  return absl::AbortedError(
      absl::StrCat("the configuration is at revision ", state.revision,
                   last->empty() ? "" : absl::StrCat(", of ", WhoAndWhen(last->front())), ", not ",
                   *expected, ": look again and retry"));
}

absl::Status ConfigWriter::ToStatus(const std::vector<Conflict>& conflicts) {
  std::string text;
  for (const Conflict& conflict : conflicts) {
    absl::StrAppend(&text, text.empty() ? "" : "; ", conflict.name);
    if (conflict.revision != 0) {
      absl::StrAppend(&text, " was changed by ",
                      WhoAndWhen(conflict.author, conflict.author_verified, conflict.time_us),
                      " in revision ", conflict.revision, ", after revision ", conflict.based_on,
                      " that yours is of: get it again and redo your change");
      continue;
    }
    absl::StatusOr<std::optional<store::Revision>> last = store_.LastChange(conflict.key);
    if (!last.ok()) return last.status();
    if (*last) {
      absl::StrAppend(&text, " was deleted by ", WhoAndWhen(**last), " in revision ",
                      (*last)->revision, ": to create it anew, take out metadata.resourceVersion");
    } else {
      absl::StrAppend(&text,
                      " never was in this configuration: to create it, take out "
                      "metadata.resourceVersion (get --export leaves it out)");
    }
  }
  return absl::AbortedError(text);
}

absl::StatusOr<v1::ApplyResponse> ConfigWriter::Carry(const model::ConfigState& state, Plan plan,
                                                      const Request& request) {
  v1::ApplyResponse response;
  response.mutable_faults()->Assign(plan.faults.begin(), plan.faults.end());
  response.mutable_warnings()->Assign(plan.warnings.begin(), plan.warnings.end());
  response.set_send_whole_sets(plan.send_whole_sets);
  absl::Status conflict = CheckRevision(state, request.if_revision);
  if (conflict.ok() && plan.faults.empty() && !plan.conflicts.empty()) {
    conflict = ToStatus(plan.conflicts);
  }
  if (!conflict.ok() || !plan.faults.empty()) {
    refused_.fetch_add(1, std::memory_order_relaxed);
    if (!conflict.ok()) return conflict;
    return response;
  }
  if (request.dry_run) {
    std::vector<v1::Change> changes = Preview(state, plan.mutations);
    response.mutable_changes()->Assign(changes.begin(), changes.end());
    return response;
  }
  absl::StatusOr<store::CommitResult> result =
      store_.Commit({std::move(plan.mutations), request.author.name, request.author.verified,
                     request.message, clock_.Now(), state.revision});
  // Somebody at another replica was quicker: planned again, on what is there now.
  overtaken_ = absl::IsAborted(result.status());
  if (overtaken_) return result.status();
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
  logger_.Info("committed", {{"revision", result->revision},
                             {"author", request.author.name},
                             {"documents", result->changes.size()}});
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
