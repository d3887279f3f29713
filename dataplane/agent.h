// One agent: its long-lived objects, built in dependency order and taken down in reverse.
//
//   documents or discovery ──► data plane (workers) ──► rings ──► reporter ──► outbox ──► control
//   plane
//                                                                    └──► JSON Lines
//   thread        what runs on it
//   main          signals; reloads and drains
//   workers       connections (dataplane/proxy)
//   reporter      access records (access_log/reporter.h)
//   rpc           both gRPC streams, decoding of configuration (rpc/completion_loop.h)
//   admin         metrics, health, pages (admin/http_server.h)
#ifndef WHENCE_DATAPLANE_AGENT_H_
#define WHENCE_DATAPLANE_AGENT_H_

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>

#include "absl/status/status.h"
#include "common/base/clock.h"
#include "dataplane/access_log/ingest_client.h"
#include "dataplane/access_log/log_file.h"
#include "dataplane/access_log/outbox.h"
#include "dataplane/access_log/reporter.h"
#include "dataplane/admin/app_probes.h"
#include "dataplane/admin/http_server.h"
#include "dataplane/admin/pages.h"
#include "dataplane/config.h"
#include "dataplane/discovery/discovery_client.h"
#include "dataplane/discovery/last_good.h"
#include "dataplane/discovery/publisher.h"
#include "dataplane/dns/publisher.h"
#include "dataplane/log.h"
#include "dataplane/os/unique_fd.h"
#include "dataplane/proxy/data_plane.h"

namespace whence {

// Methods are main's, except where they say otherwise.
class Agent {
 public:
  Agent(AgentConfig config, bool ignore_unsupported, Log& log);
  ~Agent();

  // Starts everything. With a control plane the data plane follows when there is a configuration.
  // An error is final.
  absl::Status Start();
  // SIGHUP: reads the static documents again (all faults are logged, the active configuration
  // stays) and reopens the log file.
  void Reload();
  // Stops taking connections, lets those that are open end, and carries out their records.
  void Drain();

  // Readable when the agent cannot go on; see failure().
  int failed_fd() const { return failed_.get(); }
  absl::Status failure() const;

 private:
  absl::StatusOr<std::unique_ptr<access_log::Spool>> OpenSpool();
  // Counts what an agent that was killed had begun and not carried out, as a gap in `spool`; begins
  // a new count. Null: there is none, and why was logged.
  std::unique_ptr<access_log::Tally> OpenTally(access_log::Spool& spool);
  absl::Status Connect();
  absl::Status StartReporter();
  absl::Status StartPages();
  absl::Status StartStatic();
  absl::Status StartControlPlane();
  void WarnOfPlaintext();
  void StopDiscovery();
  absl::Status Publish(std::shared_ptr<const snapshot::Snapshot> next);   // rpc thread, or main
  absl::Status Run(std::shared_ptr<const snapshot::Snapshot> next);       // also the dns thread
  void SetActive(std::shared_ptr<const discovery::ActiveConfig> active);  // rpc thread, or main
  admin::AgentReport Report() const;                                      // admin thread
  std::string OwnName() const;

  // Constant after construction.
  const AgentConfig config_;
  const bool ignore_unsupported_;
  Log& log_;
  const SystemClock clock_;
  const SteadyTime started_;
  const std::string boot_;
  os::UniqueFd failed_;

  std::atomic<bool> draining_ = false;
  mutable std::mutex mutex_;  // guards the next three
  std::shared_ptr<const discovery::ActiveConfig> active_;
  std::unique_ptr<proxy::DataPlane> data_plane_;  // set once, by the first configuration
  absl::Status failure_;

  // In the order in which they are built.
  std::unique_ptr<dns::Publisher> dns_;
  std::unique_ptr<access_log::LogFile> log_file_;
  std::unique_ptr<access_log::Outbox> outbox_;
  std::unique_ptr<access_log::Reporter> reporter_;
  std::unique_ptr<rpc::CompletionLoop> loop_;
  std::unique_ptr<discovery::LastGoodStore> last_good_;
  std::unique_ptr<discovery::Publisher> publisher_;
  std::unique_ptr<discovery::DiscoveryClient> discovery_;  // taken away under mutex_
  std::unique_ptr<access_log::IngestClient> ingest_;
  std::unique_ptr<admin::AppProber> app_prober_;  // null: no probes
  std::unique_ptr<admin::HttpServer> pages_;
};

}  // namespace whence

#endif  // WHENCE_DATAPLANE_AGENT_H_
