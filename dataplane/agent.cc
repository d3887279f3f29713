#include "dataplane/agent.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "dataplane/discovery/node.h"
#include "dataplane/static_config.h"

namespace whence {
namespace {

// How long a stopping agent waits for its last acknowledgements before it leaves the rest to the
// spool.
constexpr std::chrono::milliseconds kLastAcknowledgements{3'000};

constexpr char kTallyFile[] = "/tally";

const char* RoleText(trust::Role role) {
  return role == trust::Role::kSidecar   ? "sidecar"
         : role == trust::Role::kGateway ? "gateway"
                                         : "node";
}

v1::AgentRole WireRole(trust::Role role) {
  return role == trust::Role::kSidecar   ? v1::SIDECAR
         : role == trust::Role::kGateway ? v1::GATEWAY
                                         : v1::NODE;
}

// Names one start of the agent: 128 bits, so that no two starts of any agent ever share a sequence.
std::string RandomBoot() {
  std::random_device random;
  std::string boot;
  for (int i = 0; i < 4; ++i)
    boot += absl::StrCat(absl::Hex(static_cast<uint32_t>(random()), absl::kZeroPad8));
  return boot;
}

}  // namespace

Agent::Agent(AgentConfig config, bool ignore_unsupported, Log& log)
    : config_(std::move(config)),
      ignore_unsupported_(ignore_unsupported),
      log_(log),
      started_(clock_.SteadyNow()),
      boot_(RandomBoot()),
      failed_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

Agent::~Agent() {
  if (pages_ != nullptr) pages_->Stop();
  discovery_.reset();
  dns_.reset();  // now nothing publishes any more
  if (data_plane_ != nullptr) data_plane_->Stop();
  if (reporter_ != nullptr) reporter_->Stop();  // and now nothing reports
  ingest_.reset();
  loop_.reset();
}

std::string Agent::OwnName() const {
  return absl::StrCat(config_.self.namespace_, "/", config_.self.name);
}

absl::Status Agent::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

absl::Status Agent::Start() {
  dns_ = std::make_unique<dns::Publisher>(
      dns::ResolverOptions{.servers = config_.dns_servers, .limits = {}},
      [this](auto next) { return Run(std::move(next)); },
      [this](const absl::Status& status) {
        log_.Error(absl::StrCat("new addresses from DNS are not in use: ", status.message()));
      });
  access_log::Reporting reporting{OwnName(), config_.self.name, config_.self.namespace_,
                                  config_.self.node, RoleText(config_.self.role)};
  reporter_ = std::make_unique<access_log::Reporter>(config_.data_plane.workers, boot_,
                                                     std::move(reporting), clock_, log_);
  if (!config_.control_plane.target.empty()) {
    if (absl::Status status = Connect(); !status.ok()) return status;
  }
  if (absl::Status status = StartReporter(); !status.ok()) return status;
  if (absl::Status status = StartPages(); !status.ok()) return status;
  return config_.static_directory.empty() ? StartControlPlane() : StartStatic();
}

absl::StatusOr<std::unique_ptr<access_log::Spool>> Agent::OpenSpool() {
  if (config_.state_directory.empty()) return nullptr;
  uint64_t cut = 0;
  absl::StatusOr<std::unique_ptr<access_log::Spool>> spool =
      access_log::Spool::Open(config_.state_directory + "/spool", config_.spool_bytes, &cut);
  if (cut > 0)
    log_.Warning(absl::StrCat("cut ", cut, " bytes of unfinished access records from the spool"));
  return spool;
}

std::unique_ptr<access_log::Tally> Agent::OpenTally(access_log::Spool& spool) {
  const std::string path = config_.state_directory + kTallyFile;
  absl::StatusOr<std::unique_ptr<access_log::Tally>> left = access_log::Tally::Load(path);
  if (left.ok() && *left != nullptr) {
    access_log::Tally& tally = **left;
    const access_log::Tally::Loss loss = tally.Resolve(spool.LastSeq(tally.boot()));
    if (loss.accesses > 0) {
      log_.Warning(absl::StrCat("the agent before ended with ", loss.accesses,
                                " accesses under way or not carried out; a gap record says so"));
      const int64_t now_us = clock_.Now().time_since_epoch().count();
      tally.Prepare(loss.seq + 1, loss.accesses);
      const absl::Status status = spool.Append(access_log::EncodedBatch::Gap(
          tally.boot(), loss.seq, now_us, loss.accesses, "agent-killed"));
      if (!status.ok()) {  // It is tried again by the next start.
        log_.Error(absl::StrCat("access-log spool: ", status.message()));
        return nullptr;
      }
      tally.Commit();
    }
  }
  absl::StatusOr<std::unique_ptr<access_log::Tally>> tally =
      access_log::Tally::Create(path, boot_, config_.data_plane.workers);
  if (tally.ok()) return *std::move(tally);
  log_.Warning(absl::StrCat("what a kill loses will not be counted: ", tally.status().message()));
  return nullptr;
}

absl::Status Agent::Connect() {
  absl::StatusOr<std::unique_ptr<access_log::Spool>> spool = OpenSpool();
  if (!spool.ok()) return spool.status();
  std::unique_ptr<access_log::Tally> tally;
  if (*spool != nullptr) tally = OpenTally(**spool);
  if (tally != nullptr) reporter_->CountAt(*tally);
  absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = rpc::MakeChannel(config_.control_plane);
  if (!channel.ok()) return channel.status();
  if (!config_.state_directory.empty()) {
    last_good_ = std::make_unique<discovery::LastGoodStore>(config_.state_directory + "/config");
  }
  outbox_ = std::make_unique<access_log::Outbox>(*std::move(spool), access_log::OutboxLimits{},
                                                 std::move(tally));
  loop_ = std::make_unique<rpc::CompletionLoop>();
  publisher_ = std::make_unique<discovery::Publisher>(
      OwnName(), [this](auto next) { return Publish(std::move(next)); },
      [this](auto active) { SetActive(std::move(active)); }, last_good_.get(), log_);
  discovery_ = std::make_unique<discovery::DiscoveryClient>(
      *loop_, *channel, discovery::MakeNode(config_.self, config_.interception, WHENCE_VERSION),
      *publisher_, log_);
  v1::IngestHello hello;
  hello.set_agent(OwnName());
  hello.set_node(config_.self.node);
  hello.set_role(WireRole(config_.self.role));
  ingest_ = std::make_unique<access_log::IngestClient>(*loop_, *channel, std::move(hello), *outbox_,
                                                       log_);
  return absl::OkStatus();
}

absl::Status Agent::StartReporter() {
  access_log::Reporter::Outputs outputs;
  if (!config_.access_log.empty()) {
    absl::StatusOr<std::unique_ptr<access_log::LogFile>> file =
        access_log::LogFile::Open(config_.access_log);
    if (!file.ok()) return file.status();
    log_file_ = *std::move(file);
    outputs.file = log_file_.get();
  }
  if (outbox_ != nullptr) {
    outputs.outbox = outbox_.get();
    outputs.on_add = [this] { ingest_->Wake(); };
  }
  reporter_->Start(std::move(outputs));
  return absl::OkStatus();
}

absl::Status Agent::StartPages() {
  if (!config_.app_probes.empty() && !config_.self.addresses.empty()) {
    app_prober_ = std::make_unique<admin::AppProber>(config_.app_probes, config_.self.addresses[0]);
  }
  pages_ = std::make_unique<admin::HttpServer>();
  using Page = admin::HttpResponse (*)(const admin::AgentReport&, const admin::HttpRequest&);
  const std::pair<const std::optional<net::SocketAddress>*, Page> servers[] = {
      {&config_.admin, admin::AdminPage},
      {&config_.metrics, admin::MetricsPage},
      {&config_.health, admin::HealthPage}};
  for (const auto& [address, page] : servers) {
    if (!address->has_value()) continue;
    const bool is_health = address == &config_.health;
    const absl::Status status = pages_->ListenSlow(
        **address, [this, page = page, is_health](const admin::HttpRequest& request,
                                                  const admin::HttpServer::Reply& reply) {
          if (is_health && app_prober_ != nullptr && app_prober_->Answer(request.path, reply))
            return;
          reply(page(Report(), request));
        });
    if (!status.ok()) {
      return absl::Status(status.code(),
                          absl::StrCat(status.message(),
                                       " (another agent? --admin, --metrics and --health "
                                       "take other ports, or off)"));
    }
  }
  pages_->Start();
  return absl::OkStatus();
}

absl::Status Agent::StartStatic() {
  StaticConfig config = BuildStatic(LoadDocuments({config_.static_directory}, ignore_unsupported_),
                                    config_.self, config_.static_workloads);
  for (const std::string& warning : config.warnings) log_.Warning(warning);
  for (const std::string& fault : config.faults) log_.Error(fault);
  if (config.snapshot == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(config.faults.size(), config.faults.size() == 1 ? " fault in " : " faults in ",
                     config_.static_directory));
  }
  const std::string version = config.snapshot->version;
  if (absl::Status status = Publish(std::move(config.snapshot)); !status.ok()) return status;
  auto active = std::make_shared<discovery::ActiveConfig>();
  active->version = version;
  active->bundle = std::move(config.bundle);
  SetActive(std::move(active));
  return absl::OkStatus();
}

void Agent::Reload() {
  reporter_->ReopenFile();
  if (config_.static_directory.empty()) return;
  const absl::Status status = StartStatic();
  if (!status.ok()) {
    log_.Error(absl::StrCat("not reloaded, the active configuration stays: ", status.message()));
  } else {
    log_.Info(absl::StrCat("reloaded ", config_.static_directory));
  }
}

void Agent::WarnOfPlaintext() {
  const rpc::ChannelOptions& options = config_.control_plane;
  if (options.ca.empty() && options.cert.empty() && !rpc::IsLocal(options.target)) {
    log_.Warning(
        absl::StrCat("plaintext to ", options.target,
                     ": whoever is on the way can change policies; give --ca (and --cert, --key)"));
  }
}

absl::Status Agent::StartControlPlane() {
  WarnOfPlaintext();
  log_.Info(absl::StrCat("agent ", OwnName(), " (", RoleText(config_.self.role),
                         "), control plane ", config_.control_plane.target));
  if (!publisher_->StartFromLastGood()) {
    if (absl::Status status = failure(); !status.ok()) return status;
    log_.Info("no configuration yet: nothing is accepted until the control plane sends one");
  }
  discovery_->Start();
  ingest_->Start();
  return absl::OkStatus();
}

absl::Status Agent::Publish(std::shared_ptr<const snapshot::Snapshot> next) {
  reporter_->SetPrivacy(next->privacy);  // before the first record is made under it
  return dns_->Publish(std::move(next));
}

absl::Status Agent::Run(std::shared_ptr<const snapshot::Snapshot> next) {
  const std::lock_guard lock(mutex_);
  if (data_plane_ != nullptr) return data_plane_->Publish(std::move(next));
  absl::StatusOr<std::unique_ptr<proxy::DataPlane>> started =
      proxy::DataPlane::Start(config_.data_plane, std::move(next), reporter_->rings());
  if (!started.ok()) {
    // Nothing that a later configuration could mend: a port is taken, or a capability is missing.
    failure_ = started.status();
    const uint64_t one = 1;
    (void)!write(failed_.get(), &one, sizeof(one));
    return started.status();
  }
  data_plane_ = *std::move(started);
  return absl::OkStatus();
}

void Agent::SetActive(std::shared_ptr<const discovery::ActiveConfig> active) {
  const std::lock_guard lock(mutex_);
  const bool first = active_ == nullptr;
  active_ = std::move(active);
  if (!first) return;
  const std::string line =
      absl::StrCat("whence-agent: ready, ", RoleText(config_.self.role), " ", OwnName(),
                   ", configuration version ", active_->version,
                   active_->from_last_good ? " (last good, from disk)" : "", "\n");
  // Standard output, unless access records go there.
  std::FILE* const out = config_.access_log == "-" ? stderr : stdout;
  std::fputs(line.c_str(), out);
  std::fflush(out);
}

void Agent::StopDiscovery() {
  std::unique_ptr<discovery::DiscoveryClient> client;
  {
    const std::lock_guard lock(mutex_);
    client = std::move(discovery_);
  }
  // Destroyed without the lock: it waits for the rpc thread, which may be waiting for the lock to
  // publish.
}

void Agent::Drain() {
  draining_.store(true);  // readiness first, so that nobody sends new connections
  log_.Info(absl::StrCat("draining, for at most ", config_.drain_timeout.count(), " ms"));
  StopDiscovery();  // the configuration of a process that ends is final
  if (data_plane_ != nullptr) {
    data_plane_->Drain(config_.drain_timeout);
    data_plane_->Stop();
  }
  reporter_->Stop();
  if (outbox_ == nullptr) return;
  if (outbox_->WaitUntilEmpty(kLastAcknowledgements)) return;
  const absl::Status status = outbox_->SpoolAll();
  const access_log::OutboxStats stats = outbox_->Stats();
  if (stats.memory_bytes > 0) {
    log_.Error(
        absl::StrCat(stats.memory_bytes,
                     " bytes of access records are lost: the control plane did not take them, and ",
                     status.ok() ? "there is no --state-dir" : std::string(status.message())));
  }
}

admin::AgentReport Agent::Report() const {
  admin::AgentReport report;
  report.agent = OwnName();
  report.role = RoleText(config_.self.role);
  report.draining = draining_.load();
  report.uptime = std::chrono::duration_cast<std::chrono::seconds>(clock_.SteadyNow() - started_);
  report.access_records = reporter_->records();
  report.accesses = reporter_->summary();
  report.ring_dropped = reporter_->ring_dropped();
  report.dns = dns_->Stats();
  if (outbox_ != nullptr) report.outbox = outbox_->Stats();
  const std::lock_guard lock(mutex_);
  report.config = active_;
  if (data_plane_ != nullptr) report.data_plane = data_plane_->Collect();
  if (discovery_ != nullptr) report.discovery = discovery_->Stats();
  return report;
}

}  // namespace whence
