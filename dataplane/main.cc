// whence-agent: the data plane. Builds the objects, waits for signals, decides nothing.
#include <google/protobuf/stubs/logging.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <thread>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "common/base/standard_streams.h"
#include "dataplane/agent.h"
#include "dataplane/config.h"
#include "dataplane/host.h"
#include "dataplane/intercept/command.h"
#include "dataplane/intercept/installer.h"
#include "dataplane/intercept/linux_kernel.h"
#include "dataplane/log.h"
#include "dataplane/os/unique_fd.h"
#include "dataplane/privileges.h"
#include "dataplane/resident.h"
#include "dataplane/validate_command.h"

namespace whence {
namespace {

// Blocked in every thread (so call before the first is started), read from the descriptor.
os::UniqueFd BlockSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return os::UniqueFd(signalfd(-1, &set, SFD_CLOEXEC));
}

// Configuration has come by then, or will be decoded with what comes back for it.
constexpr int kStartMilliseconds = 2'000;

// SIGTERM, SIGINT or SIGHUP; 0: the agent cannot go on. `starting`: until it has come to rest.
int NextSignal(int signals, int failed, bool* starting) {
  pollfd polled[2] = {{signals, POLLIN, 0}, {failed, POLLIN, 0}};
  int ready = 0;
  while ((ready = poll(polled, 2, *starting ? kStartMilliseconds : -1)) <= 0) {
    if (ready == 0 && std::exchange(*starting, false)) GiveBackStartupMemory();
  }
  if (polled[1].revents != 0) return 0;
  signalfd_siginfo info{};
  return read(signals, &info, sizeof(info)) == sizeof(info) ? static_cast<int>(info.ssi_signo)
                                                            : SIGTERM;
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "whence-agent: %s\n", std::string(status.message()).c_str());
  return 1;
}

// Before capabilities are dropped: reading rules needs CAP_NET_ADMIN. Where that is missing, as in a
// pod, the flags (or the variables that the init container has as well) say it.
void TellInterceptedPorts(AgentConfig* config) {
  if (config->ports_given || config->self.role != trust::Role::kSidecar) return;
  intercept::LinuxKernel kernel;
  const auto installed = intercept::ReadInstalled(kernel);
  if (!installed.ok() || !*installed || !(*installed)->intent) return;
  config->self.included_ports = (*installed)->intent->include_ports;
  config->self.excluded_ports = (*installed)->intent->exclude_ports;
}

int Run(const CommandLine& command) {
  KeepLargeBlocksApart();
  const os::UniqueFd signals = BlockSignals();
  const std::unique_ptr<Log> log = MakeStderrLog(command.run.log_level);
  RaiseFileLimit();
  AgentConfig config = command.run;
  TellInterceptedPorts(&config);
  if (absl::Status status = DropCapabilities(); !status.ok()) return Fail(status);
  Agent agent(std::move(config), command.ignore_unsupported, *log);
  if (absl::Status status = agent.Start(); !status.ok()) return Fail(status);
  bool starting = true;
  while (true) {
    const int signal = NextSignal(signals.get(), agent.failed_fd(), &starting);
    if (signal == 0) {
      // A moment for the refusal to reach the control plane, which is where operators look.
      std::this_thread::sleep_for(std::chrono::seconds(1));
      return Fail(agent.failure());
    }
    if (signal != SIGHUP) break;
    agent.Reload();
  }
  agent.Drain();
  return 0;
}

int Main(int argc, char** argv) {
  google::protobuf::SetLogHandler(nullptr);  // its lines are no log lines of ours
  // Debian's Abseil looks for cycles at every lock of gRPC's: a debugging aid that costs a few percent.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  const CommandLine command = ParseCommandLine(argc, argv, ReadHost());
  switch (command.command) {
    case CommandLine::Command::kRun:
      return Run(command);
    case CommandLine::Command::kValidate:
      return RunValidate(command.validate, std::cout, std::cerr);
    case CommandLine::Command::kIntercept:
      return intercept::RunCommand(command.arguments);
    case CommandLine::Command::kNone:
      break;
  }
  std::fputs(command.out.c_str(), stdout);
  if (!command.error.empty()) std::fprintf(stderr, "%s\n", command.error.c_str());
  return command.exit_code;
}

}  // namespace
}  // namespace whence

int main(int argc, char** argv) {
  whence::OpenStandardStreams();
  return whence::EndOutput("whence-agent", whence::Main(argc, argv));
}
