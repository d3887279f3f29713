// whence-control: flags, signals, one ready line. Everything else is ControlPlane.
#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <signal.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"
#include "common/base/standard_streams.h"
#include "controlplane/config.h"
#include "controlplane/control_plane.h"
#include "controlplane/log/logger.h"

namespace whence::control {
namespace {

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

void SayReady(const ControlPlane& plane, const Config& config) {
  std::string line =
      absl::StrCat("whence-control ready: grpc ", absl::StrJoin(plane.grpc_addresses(), " and "));
  if (!plane.http_address().empty()) absl::StrAppend(&line, ", http ", plane.http_address());
  if (!plane.webhook_address().empty())
    absl::StrAppend(&line, ", webhook ", plane.webhook_address());
  absl::StrAppend(&line, ", data ", config.data_dir, ", revision ", plane.revision(), "\n");
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
}

absl::Status Run(const Config& config) {
  log::Logger logger(config.log_level);
  SystemClock clock;
  absl::StatusOr<std::unique_ptr<ControlPlane>> plane = ControlPlane::Start(config, clock, logger);
  if (!plane.ok()) return plane.status();
  SayReady(**plane, config);
  WaitForStop(logger);
  return absl::OkStatus();
}

}  // namespace
}  // namespace whence::control

int main(int argc, char** argv) {
  using namespace whence::control;
  whence::OpenStandardStreams();
  CommandLine line = ParseCommandLine(argc, argv);
  if (!line.config) {
    std::fputs(line.out.c_str(), stdout);
    if (!line.error.empty()) std::fprintf(stderr, "%s\n", line.error.c_str());
    return whence::EndOutput("whence-control", line.exit_code);
  }
  // Our one line says what failed; gRPC's own log says it again, in its words, for its developers.
  google::protobuf::SetLogHandler(nullptr);
  // Debian's Abseil looks for cycles at every lock of gRPC's: a debugging aid that costs a few percent.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
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
