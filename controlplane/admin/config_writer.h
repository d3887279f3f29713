// The one way by which the configuration changes.
#ifndef WHENCE_CONTROLPLANE_ADMIN_CONFIG_WRITER_H_
#define WHENCE_CONTROLPLANE_ADMIN_CONFIG_WRITER_H_

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "controlplane/admin/plan.h"
#include "controlplane/log/logger.h"
#include "controlplane/metrics/metrics.h"
#include "controlplane/model/current_config.h"
#include "controlplane/store/store.h"

namespace whence::admin {

// Who a revision is recorded for.
struct Author {
  std::string name;
  bool verified = false;  // by a client certificate; else it is a claim
};

// Plans against the newest revision, commits on the condition that it still is the newest one, and
// publishes what the store then holds. Thread-safe; calls wait for each other and for the store.
class ConfigWriter final : public metrics::Source {
 public:
  // All must outlive *this.
  // `surroundings`: what is connected, for warnings; `now` is filled in. Null: nobody knows.
  ConfigWriter(store::Store& store, model::CurrentConfig& current, const Clock& clock,
               const log::Logger& logger,
               std::function<lint::Surroundings()> surroundings = nullptr);

  // Publishes what the store holds. To be called once, before serving.
  absl::Status Load();
  // Publishes what another replica has committed since; nothing, if there is nothing. An error says
  // that what is published may be old.
  absl::Status Refresh();

  // Faults come back in the response, with `revision` 0. An error means that nothing was committed;
  // kAborted: somebody else has changed what the request is based on, and the message says who.
  absl::StatusOr<v1::ApplyResponse> Apply(const v1::ApplyRequest& request, const Author& author);
  absl::StatusOr<v1::ApplyResponse> Delete(const v1::DeleteRequest& request, const Author& author);
  // kNotFound: there never was such a revision.
  absl::StatusOr<v1::ApplyResponse> Rollback(const v1::RollbackRequest& request,
                                             const Author& author);

  // What warnings of a write now would take into account.
  lint::Surroundings LookAround() const;

  // Why the last write failed in the store (a full disk), or the last look; OK once one has
  // succeeded again.
  absl::Status Health() const;
  void Collect(metrics::TextWriter& out) const override;

 private:
  // What holds for every write. All with write_mutex_ held.
  struct Request {
    Author author;
    std::string message;
    bool dry_run = false;
    std::optional<uint64_t> if_revision;
  };
  using Attempt = std::function<absl::StatusOr<v1::ApplyResponse>(const model::ConfigState&)>;
  // With the newest revision; again, if another replica's writer was quicker.
  absl::StatusOr<v1::ApplyResponse> OnNewest(const Attempt& attempt);
  absl::StatusOr<v1::ApplyResponse> Carry(const model::ConfigState& state, Plan plan,
                                          const Request& request);
  // What was changed after `target`, and by whom: a rollback takes all of it back.
  absl::Status WarnOfUndone(uint64_t target, Plan* plan);
  absl::Status CheckRevision(const model::ConfigState& state,
                             const std::optional<uint64_t>& expected);
  absl::Status ToStatus(const std::vector<Conflict>& conflicts);
  absl::Status PublishStored();
  absl::Status RefreshLocked();

  store::Store& store_;
  model::CurrentConfig& current_;
  const Clock& clock_;
  const log::Logger& logger_;
  const std::function<lint::Surroundings()> surroundings_;
  std::mutex write_mutex_;  // Held from planning to publishing.
  bool overtaken_ = false;  // by write_mutex_: the last commit was

  mutable std::mutex health_mutex_;
  absl::Status health_;  // by health_mutex_
  std::atomic<uint64_t> committed_{0}, refused_{0}, failed_{0};
};

}  // namespace whence::admin

#endif  // WHENCE_CONTROLPLANE_ADMIN_CONFIG_WRITER_H_
