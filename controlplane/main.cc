// whence-control: builds the long-lived objects in the order in which they need each other, waits
// for a signal, and takes them down in reverse.
#include <grpc/support/log.h>
#include <signal.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "controlplane/access_log/access_log_store.h"
#include "controlplane/access_log/ingest_service.h"
#include "controlplane/access_log/log_service.h"
#include "controlplane/admin/agent_service.h"
#include "controlplane/admin/config_service.h"
#include "controlplane/admin/config_writer.h"
#include "controlplane/admin/worker.h"
#include "controlplane/config.h"
#include "controlplane/data_directory.h"
#include "controlplane/discovery/discovery_service.h"
#include "controlplane/discovery/inventory.h"
#include "controlplane/discovery/inventory_store.h"
#include "controlplane/grpc_server.h"
#include "controlplane/http_server.h"
#include "controlplane/log/logger.h"
#include "controlplane/model/current_config.h"
#include "controlplane/store/sqlite_store.h"

namespace whence::control {
namespace {

// Streams of agents never end by themselves; unary calls take moments.
constexpr std::chrono::milliseconds kShutdownGrace(500);

sigset_t StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

void WaitForStop(const log::Logger& logger) {
  sigset_t signals = StopSignals();
  int received = 0;
  sigwait(&signals, &received);
  // A second signal ends the process at once.
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  logger.Info("stopping", {{"signal", received}});
}

void SayReady(const GrpcServer& server, const HttpServer* http, const Config& config,
              uint64_t revision) {
  std::string line =
      absl::StrCat("whence-control ready: grpc ", absl::StrJoin(server.addresses(), " and "));
  if (http) absl::StrAppend(&line, ", http ", config.http->ToString(http->port()));
  absl::StrAppend(&line, ", data ", config.data_dir, ", revision ", revision, "\n");
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
}

absl::Status Run(const Config& config) {
  log::Logger logger(config.log_level);
  SystemClock clock;
  absl::StatusOr<DataDirectory> directory = DataDirectory::Claim(config.data_dir);
  if (!directory.ok()) return directory.status();
  absl::StatusOr<std::unique_ptr<store::SqliteStore>> store =
      store::SqliteStore::Open(directory->File("config.db"));
  if (!store.ok()) return store.status();

  model::CurrentConfig current;
  admin::ConfigWriter writer(**store, current, clock, logger);
  if (absl::Status status = writer.Load(); !status.ok()) return status;

  discovery::Inventory inventory(clock);
  absl::StatusOr<std::unique_ptr<discovery::InventoryStore>> known =
      discovery::InventoryStore::Open(directory->File("inventory.db"));
  if (!known.ok()) return known.status();
  absl::StatusOr<std::vector<discovery::Agent>> agents = (*known)->Load();
  if (agents.ok()) {
    inventory.Remember(std::move(*agents));
  } else {
    logger.Warning("agents of the last run are not known", {{"why", agents.status().ToString()}});
  }
  discovery::DiscoveryService discovery_service(
      current, inventory, clock, logger, {},
      [&known, &logger](const std::vector<discovery::Agent>& seen) {
        absl::Status saved = (*known)->Save(seen);
        if (!saved.ok()) logger.Warning("agents not remembered", {{"why", saved.ToString()}});
      });

  absl::StatusOr<std::unique_ptr<access_log::AccessLogStore>> logs =
      access_log::AccessLogStore::Open(
          directory->File("logs.db"),
          access_log::SegmentLimits::For(config.log_retention,
                                         static_cast<int64_t>(config.log_max_bytes)),
          clock, logger);
  if (!logs.ok()) return logs.status();
  access_log::IngestService ingest_service(**logs);
  access_log::LogServiceImpl log_service(**logs);

  admin::Worker worker;
  admin::ConfigService config_service(writer, current, worker);
  admin::AgentService agent_service(inventory, current);
  absl::StatusOr<std::unique_ptr<GrpcServer>> server = GrpcServer::Start(
      config.listen, config.listen_tls, config.tls,
      {&discovery_service, &ingest_service, &log_service, &config_service, &agent_service});
  if (!server.ok()) return server.status();

  std::unique_ptr<HttpServer> http;
  if (config.http) {
    absl::StatusOr<std::unique_ptr<HttpServer>> started =
        HttpServer::Start(*config.http, {&writer, &discovery_service, logs->get()},
                          [&writer] { return writer.Health(); });
    if (!started.ok()) return started.status();
    http = std::move(*started);
  }
  SayReady(**server, http.get(), config, current.Get()->revision);
  WaitForStop(logger);
  discovery_service.Shutdown();
  ingest_service.Shutdown();
  log_service.Shutdown();
  (*server)->Shutdown(kShutdownGrace);
  return absl::OkStatus();
}

}  // namespace
}  // namespace whence::control

int main(int argc, char** argv) {
  using namespace whence::control;
  CommandLine line = ParseCommandLine(argc, argv);
  if (!line.config) {
    std::fputs(line.out.c_str(), stdout);
    if (!line.error.empty()) std::fprintf(stderr, "%s\n", line.error.c_str());
    return line.exit_code;
  }
  // Our one line says what failed; gRPC's own log says it again, in its words, for its developers.
  if (!std::getenv("GRPC_VERBOSITY")) gpr_set_log_function([](gpr_log_func_args*) {});
  // Databases and sockets are for this user only.
  umask(0077);
  signal(SIGPIPE, SIG_IGN);
  // Before any thread is there, so that all of them inherit it and the signal waits for sigwait.
  sigset_t signals = StopSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  absl::Status status = Run(*line.config);
  if (status.ok()) return 0;
  std::fprintf(stderr, "whence-control: %s\n", std::string(status.message()).c_str());
  return 1;
}
