#include "controlplane/control_plane.h"

#include <unistd.h>

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controlplane/etcd/etcd_store.h"
#include "controlplane/handover_secret.h"
#include "controlplane/store/sqlite_store.h"

namespace whence::control {
namespace {

// Streams are told to end; what is left are unary calls, which take moments.
constexpr std::chrono::milliseconds kShutdownGrace(500);

// Thousands of policies.
constexpr int64_t kConfigReserveBytes = int64_t{16} << 20;

LogDefaults LogDefaultsOf(const Config& config) {
  return {.retention = config.log_retention, .max_bytes = config.log_max_bytes};
}

}  // namespace

absl::Status ControlPlane::OpenConfig(const Config& config, const Clock& clock, Stores* stores) {
  const std::string file = stores->directory.File("config.db");
  if (!config.etcd) {
    absl::Status lost = stores->directory.ExpectNotLost("config.db", "inventory.db");
    if (!lost.ok()) return lost;
    auto documents = store::SqliteStore::Open(file, kConfigReserveBytes);
    if (!documents.ok()) return documents.status();
    stores->config = *std::move(documents);
    auto agents = discovery::InventoryStore::Open(stores->directory.File("inventory.db"));
    if (!agents.ok()) return agents.status();
    stores->agents = *std::move(agents);
    return absl::OkStatus();
  }
  auto client = etcd::Client::Make(*config.etcd);
  if (!client.ok()) return client.status();
  stores->etcd = *std::move(client);
  auto documents = etcd::EtcdStore::Open(*stores->etcd, clock);
  if (!documents.ok()) return documents.status();
  absl::StatusOr<uint64_t> revision = (*documents)->LatestRevision();
  if (!revision.ok()) return revision.status();
  // An empty configuration would take every policy away from agents that were served from the file.
  if (*revision == 0 && access(file.c_str(), F_OK) == 0) {
    auto before = store::SqliteStore::Open(file);
    if (!before.ok()) return before.status();
    absl::StatusOr<uint64_t> left = (*before)->LatestRevision();
    if (!left.ok()) return left.status();
    if (*left != 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("etcd holds no configuration, but ", file, " holds revision ", *left,
                       ": copy it with whencectl store copy, or move the file away"));
    }
  }
  stores->config = *std::move(documents);
  return absl::OkStatus();
}

// Records are less than a policy: the mesh goes on without those that were. With etcd it is as it
// should be, at a replica that is new.
absl::Status ControlPlane::WarnOfLostLogs(const Stores& stores, const log::Logger& logger) {
  if (stores.etcd || !stores.directory.IsMissingOrEmpty("logs.db")) return absl::OkStatus();
  absl::StatusOr<uint64_t> revision = stores.config->LatestRevision();
  if (!revision.ok()) return revision.status();
  if (*revision == 0) return absl::OkStatus();
  logger.Warning(
      "the access log is missing or empty and begins anew: to keep what was in it, stop, "
      "restore it from a backup, and start again",
      {{"file", stores.directory.File("logs.db")}});
  return absl::OkStatus();
}

absl::StatusOr<ControlPlane::Stores> ControlPlane::OpenStores(const Config& config,
                                                              const Clock& clock,
                                                              const log::Logger& logger) {
  absl::StatusOr<DataDirectory> directory = DataDirectory::Claim(config.data_dir);
  if (!directory.ok()) return directory.status();
  Stores stores{*std::move(directory), nullptr, nullptr, nullptr, nullptr, ""};
  if (absl::Status status = OpenConfig(config, clock, &stores); !status.ok()) return status;
  if (absl::Status status = WarnOfLostLogs(stores, logger); !status.ok()) return status;
  auto logs = access_log::AccessLogStore::Open(
      stores.directory.File("logs.db"), LimitsBeforeLoad(LogDefaultsOf(config)), clock, logger);
  if (!logs.ok()) return logs.status();
  stores.logs = *std::move(logs);
  const std::string file = stores.directory.File("handover.key");
  auto secret = LoadHandoverSecret(file);
  const std::string own = secret.ok() ? *secret : "";
  // Of several replicas, the first one's: their agents prove hand-overs to each other.
  if (secret.ok() && stores.etcd) {
    secret = etcd::ReadOrWrite(*stores.etcd, etcd::kHandoverSecretKey, own);
  }
  if (!secret.ok()) return secret.status();
  if (absl::Status status = CheckHandoverSecret(*secret, "the store's hand-over secret");
      !status.ok()) {
    return status;
  }
  // Each replica keeps it: if etcd loses it, whoever starts first brings back the same.
  if (*secret != own) {
    if (absl::Status status = StoreHandoverSecret(file, *secret); !status.ok()) return status;
  }
  stores.handover_secret = *std::move(secret);
  return stores;
}

ControlPlane::ControlPlane(Stores stores, const LogDefaults& log_defaults, const Clock& clock,
                           const log::Logger& logger)
    : clock_(clock),
      logger_(logger),
      refusals_(clock, logger),
      stores_(std::move(stores)),
      envoy_log_service_(*stores_.logs, refusals_),
      log_retention_(*stores_.logs, envoy_log_service_, log_defaults),
      inventory_(clock),
      writer_(*stores_.config, current_, clock, logger,
              [this] { return SurroundingsOf(*inventory_.View()); }),
      ingest_service_(*stores_.logs, refusals_),
      log_service_(*stores_.logs),
      config_service_(writer_, *stores_.config, current_, inventory_, clock, worker_),
      agent_service_(inventory_, current_, clock),
      client_status_service_(inventory_),
      security_service_(refusals_),
      insight_service_(*stores_.config, current_, inventory_, stores_.logs->path(), clock,
                       [this] { return writer_.LookAround(); }),
      console_(agent_service_, config_service_, current_, stores_.logs->path(), clock,
               [this] { return Health(); }) {}

absl::StatusOr<std::unique_ptr<ControlPlane>> ControlPlane::Start(const Config& config,
                                                                  const Clock& clock,
                                                                  const log::Logger& logger) {
  absl::StatusOr<Stores> stores = OpenStores(config, clock, logger);
  if (!stores.ok()) return stores.status();
  std::unique_ptr<ControlPlane> plane(
      new ControlPlane(std::move(*stores), LogDefaultsOf(config), clock, logger));
  if (absl::Status status = plane->Load(); !status.ok()) return status;
  discovery::DiscoveryOptions options;
  options.cache.handover_secret = plane->stores_.handover_secret;
  options.streams_per_second = config.admit_per_second;
  plane->discovery_service_ = std::make_unique<discovery::DiscoveryService>(
      plane->current_, plane->inventory_, clock, logger, plane->refusals_, std::move(options),
      [raw = plane.get()](const std::vector<discovery::Agent>& agents) {
        raw->RememberAgents(agents);
      });
  if (plane->replication_) plane->replication_->Start();
  if (absl::Status status = plane->Listen(config); !status.ok()) return status;
  return plane;
}

absl::Status ControlPlane::Load() {
  current_.AddListener(&log_retention_);  // first: it must know the revision that is loaded
  if (absl::Status status = writer_.Load(); !status.ok()) return status;
  if (stores_.etcd) {
    replication_ = std::make_unique<etcd::Replication>(
        *stores_.etcd, inventory_, [this] { return writer_.Refresh(); }, stores_.handover_secret,
        clock_, logger_);
    return replication_->Join();
  }
  absl::StatusOr<std::vector<discovery::Agent>> agents = stores_.agents->Load();
  if (agents.ok()) {
    inventory_.Remember(std::move(*agents));
  } else {
    logger_.Warning("agents of the last run are not known", {{"why", agents.status().ToString()}});
  }
  return absl::OkStatus();
}

void ControlPlane::RememberAgents(const std::vector<discovery::Agent>& agents) {
  if (!stores_.agents) return;
  absl::Status saved = stores_.agents->Save(agents);
  if (!saved.ok()) logger_.Warning("agents not remembered", {{"why", saved.ToString()}});
}

absl::Status ControlPlane::Listen(const Config& config) {
  absl::StatusOr<std::unique_ptr<GrpcServer>> grpc =
      GrpcServer::Start(config.listen, config.listen_tls, config.tls,
                        std::make_shared<security::Guard>(config.trust_domain, refusals_),
                        {discovery_service_.get(), &ingest_service_, &envoy_log_service_,
                         &log_service_, &config_service_, &agent_service_, &client_status_service_,
                         &security_service_, &insight_service_});
  if (!grpc.ok()) return grpc.status();
  grpc_ = std::move(*grpc);
  if (config.webhook) {
    absl::StatusOr<std::unique_ptr<webhook::Webhook>> webhook =
        webhook::Webhook::Start(*config.webhook, logger_);
    if (!webhook.ok()) return webhook.status();
    webhook_ = *std::move(webhook);
    webhook_address_ = config.webhook->address.ToString(webhook_->port());
  }
  WatchCertificates(config);
  if (!config.http) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<HttpServer>> http = HttpServer::Start(
      *config.http, MetricSources(), [this] { return Health(); },
      [this](std::string_view target) { return console_.Page(target); });
  if (!http.ok()) return http.status();
  http_ = std::move(*http);
  http_address_ = config.http->ToString(http_->port());
  return absl::OkStatus();
}

absl::Status ControlPlane::Health() const {
  const absl::Status written = writer_.Health();
  // Whether etcd answers again, the watch knows before the next write does.
  const bool is_passing = written.ok() || absl::IsUnavailable(written);
  const absl::Status config = is_passing && replication_ ? replication_->Health() : written;
  return config.ok() ? stores_.logs->Health() : config;
}

lint::Surroundings ControlPlane::SurroundingsOf(const discovery::InventoryView& view) {
  lint::Surroundings surroundings;
  for (const bundle::Workload& workload : view.workloads) {
    surroundings.has_mesh_gateways |= workload.role != trust::Role::kSidecar;
    for (const net::IpAddress& address : workload.addresses) {
      surroundings.serves_ipv6 |= address.is_v6();
    }
  }
  return surroundings;
}

void ControlPlane::WatchCertificates(const Config& config) {
  std::vector<std::pair<std::string, std::string>> files;
  if (config.listen_tls) files.emplace_back("--cert", config.tls.certificate);
  if (!config.tls.client_ca.empty()) files.emplace_back("--ca", config.tls.client_ca);
  if (config.webhook) files.emplace_back("--webhook-cert", config.webhook->certificate);
  if (files.empty()) return;
  certificate_watch_ = std::make_unique<security::CertificateWatch>(files, clock_, logger_);
}

std::vector<const metrics::Source*> ControlPlane::MetricSources() const {
  std::vector<const metrics::Source*> sources = {
      &writer_, discovery_service_.get(), stores_.logs.get(), &envoy_log_service_, &refusals_};
  if (replication_) sources.push_back(replication_.get());
  if (certificate_watch_) sources.push_back(certificate_watch_.get());
  if (webhook_) sources.push_back(webhook_.get());
  return sources;
}

ControlPlane::~ControlPlane() {
  if (discovery_service_) discovery_service_->Shutdown();
  ingest_service_.Shutdown();
  envoy_log_service_.Shutdown();
  log_service_.Shutdown();
  console_.Shutdown();
  if (grpc_) grpc_->Shutdown(kShutdownGrace);
  if (replication_) replication_->Stop();  // before what it calls
}

}  // namespace whence::control
