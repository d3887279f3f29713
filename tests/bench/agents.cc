#include "tests/bench/agents.h"

#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "tests/bench/peer_configs.h"
#include "tests/lab/programs.h"

namespace whence::bench {
namespace {

constexpr char kControlAddress[] = "127.0.0.1:15010";

absl::Status StartControlPlane(const std::string& directory, const std::string& documents, int core,
                               Peer* peer) {
  auto control =
      StartInPod(peer->pod, directory + "/control.log",
                 {core,
                  false,
                  {lab::ProgramPath("whence-control"), "--data-dir", directory + "/control",
                   "--listen", kControlAddress, "--http", "127.0.0.1:15014"}});
  if (!control.ok()) return control.status();
  peer->control = std::make_unique<lab::Process>(*std::move(control));
  lab::CommandResult applied;
  const bool done = lab::WaitUntil([&] {
    applied = peer->pod.space.Run({lab::ProgramPath("whencectl"), "--control-plane",
                                   kControlAddress, "apply", "-f", documents});
    return applied.ok();
  });
  return done ? absl::OkStatus()
              : absl::UnavailableError(absl::StrCat("whencectl apply: ", applied.err));
}

}  // namespace

absl::StatusOr<lab::Process> StartInPod(const Pod& pod, const std::string& output,
                                        const LaunchSpec& spec) {
  std::vector<std::string> command = LaunchCommand(spec);
  command.insert(command.begin(), "/proc/self/exe");
  return lab::Process::Start({.command = command, .netns = pod.space.path(), .output = output});
}

absl::Status StartAgent(const std::string& directory, const Cores& cores,
                        const AgentOptions& options, Peer* peer) {
  const Pod& pod = peer->pod;
  const std::string agent = lab::ProgramPath("whence-agent");
  if (access(agent.c_str(), X_OK) != 0) return absl::NotFoundError(agent + " is not built");
  const std::string documents = directory + "/documents";
  std::filesystem::create_directories(documents);
  std::filesystem::create_directories(directory + "/state");
  absl::Status written = lab::WriteFile(documents + "/bench.yaml", AgentDocuments(options.denied));
  if (written.ok() && options.denied > 0) {
    written = lab::WriteFile(documents + "/denied.txt", DeniedRanges(options.denied));
  }
  if (!written.ok()) return written;
  const std::vector<std::string> install = {agent, "intercept", "install", "--mode", "tproxy"};
  if (absl::Status s = lab::RunOk(install, pod.space.path()); !s.ok()) return s;
  LaunchSpec spec{cores.proxy,
                  false,
                  {agent, "run", "--role", "sidecar", "--name", "bench", "--namespace", "bench",
                   "--labels", "app=bench", "--pod-ip", pod.address, "--interception", "tproxy",
                   "--workers", "1", "--state-dir", directory + "/state"}};
  auto add = [&spec](std::initializer_list<std::string> words) {
    spec.command.insert(spec.command.end(), words);
  };
  if (options.control_plane) {
    if (absl::Status s = StartControlPlane(directory, documents, cores.load, peer); !s.ok()) {
      return s;
    }
    add({"--control-plane", kControlAddress});
  } else {
    add({"--static", documents});
  }
  if (options.log) add({"--access-log", directory + "/access.jsonl"});
  auto process = StartInPod(pod, directory + "/proxy.log", spec);
  if (!process.ok()) return process.status();
  peer->proxy = std::make_unique<lab::Process>(*std::move(process));
  return absl::OkStatus();
}

}  // namespace whence::bench
