// The control plane as one object: everything long-lived, in the order in which it needs each
// other.
//
//   config.db ──► ConfigWriter ──► CurrentConfig ──► DiscoveryService ◄──► Inventory ◄──
//   inventory.db
//                     ▲                                                        │
//               ConfigService (on Worker)                               AgentService
//   logs.db ◄── IngestService, EnvoyLogService, LogService
//
// With --store etcd, etcd takes the place of config.db and inventory.db, and Replication tells
// ConfigWriter and Inventory what other replicas did.
//
// It decides nothing. Separate from main so that a test can run it beside an agent, in one process.
#ifndef WHENCE_CONTROLPLANE_CONTROL_PLANE_H_
#define WHENCE_CONTROLPLANE_CONTROL_PLANE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "controlplane/access_log/access_log_store.h"
#include "controlplane/access_log/envoy_service.h"
#include "controlplane/access_log/ingest_service.h"
#include "controlplane/access_log/log_service.h"
#include "controlplane/admin/agent_service.h"
#include "controlplane/admin/config_service.h"
#include "controlplane/admin/config_writer.h"
#include "controlplane/admin/security_service.h"
#include "controlplane/admin/worker.h"
#include "controlplane/config.h"
#include "controlplane/console/console.h"
#include "controlplane/data_directory.h"
#include "controlplane/discovery/client_status_service.h"
#include "controlplane/discovery/discovery_service.h"
#include "controlplane/discovery/inventory.h"
#include "controlplane/discovery/inventory_store.h"
#include "controlplane/etcd/client.h"
#include "controlplane/etcd/replication.h"
#include "controlplane/grpc_server.h"
#include "controlplane/http_server.h"
#include "controlplane/insight/insight_service.h"
#include "controlplane/log/logger.h"
#include "controlplane/log_retention.h"
#include "controlplane/model/current_config.h"
#include "controlplane/security/certificate_watch.h"
#include "controlplane/security/refusals.h"
#include "controlplane/store/store.h"

namespace whence::control {

class ControlPlane {
 public:
  // Opens the stores, loads the configuration, then listens: nobody is served before it is there.
  // `clock` and `logger` must outlive *this.
  static absl::StatusOr<std::unique_ptr<ControlPlane>> Start(const Config& config,
                                                             const Clock& clock,
                                                             const log::Logger& logger);
  ControlPlane(const ControlPlane&) = delete;
  ControlPlane& operator=(const ControlPlane&) = delete;
  // Tells agents that we go, ends every call, then closes the stores.
  ~ControlPlane();

  // Where it really listens; empty without HTTP, without webhook.
  const std::vector<std::string>& grpc_addresses() const { return grpc_->addresses(); }
  std::string http_address() const { return http_address_; }
  std::string webhook_address() const { return webhook_address_; }
  uint64_t revision() const { return current_.Get()->revision; }

 private:
  static lint::Surroundings SurroundingsOf(const discovery::InventoryView& view);

  struct Stores {
    DataDirectory directory;             // first: the claim on the files outlasts them
    std::unique_ptr<etcd::Client> etcd;  // null: the configuration is in config.db
    std::unique_ptr<store::Store> config;
    std::unique_ptr<discovery::InventoryStore> agents;  // null with etcd, which knows them
    std::unique_ptr<access_log::AccessLogStore> logs;
    std::string handover_secret;
  };

  ControlPlane(Stores stores, const LogDefaults& log_defaults, const Clock& clock,
               const log::Logger& logger);
  // etcd's, or config.db and inventory.db.
  static absl::Status OpenConfig(const Config& config, const Clock& clock, Stores* stores);
  static absl::Status WarnOfLostLogs(const Stores& stores, const log::Logger& logger);
  static absl::StatusOr<Stores> OpenStores(const Config& config, const Clock& clock,
                                           const log::Logger& logger);
  absl::Status Load();
  absl::Status Listen(const Config& config);
  void WatchCertificates(const Config& config);
  std::vector<const metrics::Source*> MetricSources() const;
  absl::Status Health() const;
  void RememberAgents(const std::vector<discovery::Agent>& agents);

  const Clock& clock_;
  const log::Logger& logger_;
  security::Refusals refusals_;
  Stores stores_;
  access_log::EnvoyLogService envoy_log_service_;
  LogRetention log_retention_;  // outlives current_, which tells it of revisions
  model::CurrentConfig current_;
  discovery::Inventory inventory_;
  admin::ConfigWriter writer_;
  std::unique_ptr<etcd::Replication> replication_;                  // with etcd only
  std::unique_ptr<discovery::DiscoveryService> discovery_service_;  // after Load
  access_log::IngestService ingest_service_;
  access_log::LogServiceImpl log_service_;
  admin::Worker worker_;
  admin::ConfigService config_service_;
  admin::AgentService agent_service_;
  discovery::ClientStatusService client_status_service_;
  admin::SecurityService security_service_;
  std::unique_ptr<security::CertificateWatch> certificate_watch_;  // with TLS only
  insight::InsightService insight_service_;
  console::Console console_;
  std::unique_ptr<GrpcServer> grpc_;
  std::unique_ptr<webhook::Webhook> webhook_;
  std::unique_ptr<HttpServer> http_;
  std::string http_address_, webhook_address_;
};

}  // namespace whence::control

#endif  // WHENCE_CONTROLPLANE_CONTROL_PLANE_H_
