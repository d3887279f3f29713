// The web console: gathers what a page shows, and renders it.
#ifndef WHENCE_CONTROLPLANE_CONSOLE_CONSOLE_H_
#define WHENCE_CONTROLPLANE_CONSOLE_CONSOLE_H_

#include <atomic>
#include <functional>
#include <mutex>
#include <semaphore>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "controlplane/access_log/log_reader.h"
#include "controlplane/admin/agent_service.h"
#include "controlplane/admin/config_service.h"
#include "controlplane/console/pages.h"
#include "controlplane/console/request.h"
#include "controlplane/model/current_config.h"

namespace whence::console {

// Thread-safe. Works on the caller's thread, and on few at a time: whoever has a thread left over
// can answer /healthz.
class Console {
 public:
  // Pages that are made at once; more are told to come back.
  static constexpr int kAtOnce = 2;

  // All must outlive *this. `logs_path`: of the access log's database. `health`: what is degraded.
  Console(const admin::AgentService& agents, admin::ConfigService& configs,
          const model::CurrentConfig& current, std::string logs_path, const Clock& clock,
          std::function<absl::Status()> health);

  // "/", "/logs?client=…", "/top". REQUIRES: `Refuse` let the request pass.
  Answer Page(std::string_view target);

  // Ends what is being read, so that nobody waits for it.
  void Shutdown();

 private:
  Answer OverviewAt(std::string_view query);
  Answer LogsAt(std::string_view query);
  Answer TopAt(std::string_view query);
  absl::StatusOr<std::vector<v1::LogRow>> Read(const Params& params);
  int64_t NowMicros() const { return clock_.Now().time_since_epoch().count(); }

  const admin::AgentService& agents_;
  admin::ConfigService& configs_;
  const model::CurrentConfig& current_;
  const std::string logs_path_;
  const Clock& clock_;
  const std::function<absl::Status()> health_;
  std::counting_semaphore<kAtOnce> free_{kAtOnce};
  std::atomic<bool> is_ending_{false};
  std::mutex mutex_;
  std::set<access_log::LogReader*> reading_;  // by mutex_
};

}  // namespace whence::console

#endif  // WHENCE_CONTROLPLANE_CONSOLE_CONSOLE_H_
