// whence-lab: the cluster in network namespaces.
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/command_line.h"
#include "common/base/standard_streams.h"
#include "tests/lab/article.h"
#include "tests/lab/lab.h"
#include "tests/lab/mesh.h"
#include "tests/lab/network.h"
#include "tests/lab/programs.h"

namespace whence::lab {
namespace {

constexpr char kExamples[] = R"(Examples:
  whence-lab article                       run the acceptance table on real programs
  whence-lab article -o json
  whence-lab up --name demo                start a cluster that stays
  whence-lab up --name cure --external-traffic-policy cluster --node-agents
  whence-lab exec --name demo client -- curl -s http://35.188.212.88/
  whence-lab exec --name demo control -- whencectl agents
  whence-lab down --name demo

Hosts and pods: client, lb, node53, node54, control, gateway, echo, sleep.
Exit codes: 0 good, 1 failed, 2 wrong usage.)";

struct Flags {
  std::string name = "lab";
  std::string mode = "tproxy";
  std::string policy = "local";
  bool node_agents = false;
  bool containers = false;
  std::string output = "text";
  std::string host;
  std::string program;               // as we were called
  std::vector<std::string> command;  // after --
};

int Fail(const absl::Status& status) {
  std::cerr << "whence-lab: " << status.message() << "\n";
  return status.code() == absl::StatusCode::kInvalidArgument ? 2 : 1;
}

// How to enter a lab that is up: label, JSON key, and command.
void PrintEntrances(const Flags& flags, const std::string& directory, const std::string& logs_db) {
  struct Entrance {
    const char* label;
    const char* key;
    std::string command;
  };
  const std::string enter = absl::StrCat(flags.program, " exec --name ", flags.name, " ");
  const Entrance entrances[] = {
      {"a request from outside", "fromOutside",
       absl::StrCat(enter, "client -- curl -s http://", kLoadBalancer.v4, "/")},
      {"pod to pod", "podToPod",
       absl::StrCat(enter, "sleep -- curl -s http://", kEcho.v4, ":8080/")},
      {"the control plane", "controlPlane", enter + "control -- whencectl agents"},
      {"a shell in a pod", "shell", enter + "echo -- bash"},
      {"the access log", "accessLog",
       absl::StrCat("sqlite3 ", logs_db,
                    " 'select time, role, client_address, direct_peer, status, policy from "
                    "access_log order by time'")},
      {"files and outputs", "files", directory},
      {"the end", "end", absl::StrCat(flags.program, " down --name ", flags.name)},
  };
  if (flags.output == "json") {
    nlohmann::ordered_json json = {{"name", flags.name}};
    for (const Entrance& entrance : entrances) json[entrance.key] = entrance.command;
    std::cout << json.dump(2) << "\n";
    return;
  }
  std::cout << "lab " << flags.name << " is up\n";
  for (const Entrance& entrance : entrances) {
    std::cout << absl::StrFormat("  %-22s  %s\n", entrance.label, entrance.command);
  }
}

int RunUp(const Flags& flags) {
  auto lab = Lab::Create(flags.name);
  if (!lab.ok()) return Fail(lab.status());
  Mesh mesh(**lab, /*detached=*/true);
  if (flags.containers) mesh.UseContainers();
  absl::Status status = BuildNetwork(**lab);
  if (status.ok()) {
    status = mesh.Start(flags.mode == "redirect" ? Interception::kRedirect : Interception::kTproxy);
  }
  if (status.ok() && flags.policy == "cluster") {
    status = SetTrafficPolicy(**lab, TrafficPolicy::kCluster);
  }
  if (status.ok() && flags.node_agents) status = mesh.StartNodeAgents();
  if (status.ok()) status = (*lab)->Disown();
  if (!status.ok()) return Fail(status);
  PrintEntrances(flags, (*lab)->directory(), mesh.logs_db());
  return 0;
}

int RunArticleCommand(const Flags& flags) {
  const bool json = flags.output == "json";
  auto lab = Lab::Create(Lab::UniqueName("article"));
  if (!lab.ok()) return Fail(lab.status());
  Mesh mesh(**lab, /*detached=*/false);
  if (flags.containers) mesh.UseContainers();
  absl::Status status = BuildNetwork(**lab);
  if (status.ok()) status = mesh.Start(Interception::kRedirect);
  if (!status.ok()) return Fail(status);
  const auto rows = RunArticle(**lab, mesh, [&](const ArticleRow& row) {
    if (!json) std::cout << ToText(row) << std::flush;
  });
  size_t passed = 0;
  for (const ArticleRow& row : rows) passed += row.pass() ? 1 : 0;
  if (json) {
    std::cout << ToJson(rows);
  } else {
    std::cout << passed << " of " << rows.size() << " passed\n";
  }
  return passed == rows.size() ? 0 : 1;
}

int RunExec(const Flags& flags) {
  auto lab = Lab::Open(flags.name);
  if (!lab.ok()) return Fail(lab.status());
  if (flags.command.empty()) {
    return Fail(absl::InvalidArgumentError("nothing to run: whence-lab exec POD -- CMD…"));
  }
  const Namespace space = (*lab)->Space(flags.host);
  const int fd = open(space.path().c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 || setns(fd, CLONE_NEWNET) != 0) {
    return Fail(absl::InvalidArgumentError(
        absl::StrCat("no pod \"", flags.host, "\"; see whence-lab --help for their names")));
  }
  const char* path = getenv("PATH");
  setenv("PATH", absl::StrCat(ProgramDirectory(), ":", path == nullptr ? "" : path).c_str(), 1);
  setenv("WHENCE_CONTROL_PLANE", absl::StrCat(kControl.v4, ":15010").c_str(), 1);
  std::vector<char*> argv;
  for (const std::string& word : flags.command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  return Fail(absl::ErrnoToStatus(errno, flags.command[0]));
}

void AddName(CLI::App* command, Flags* flags) {
  command->add_option("--name", flags->name, "The lab's name")
      ->envname("WHENCE_LAB_NAME")
      ->capture_default_str();
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Builds a small cluster from network namespaces and runs the real programs in it.",
               "whence-lab");
  app.set_version_flag("--version", "whence-lab " WHENCE_VERSION);
  app.footer(kExamples);
  app.require_subcommand(1);
  CLI::App* up = app.add_subcommand("up", "Start a cluster that stays");
  CLI::App* article = app.add_subcommand("article", "Run the acceptance table");
  CLI::App* exec = app.add_subcommand("exec", "Run a command in a pod: exec POD -- CMD…");
  CLI::App* down = app.add_subcommand("down", "End a cluster and leave nothing behind");
  for (CLI::App* command : {up, exec, down}) AddName(command, &flags);
  up->add_option("--mode", flags.mode, "Interception of the echo pod")
      ->check(CLI::IsMember({"tproxy", "redirect"}))
      ->capture_default_str();
  up->add_option("--external-traffic-policy", flags.policy, "Of the gateway's Service")
      ->check(CLI::IsMember({"local", "cluster"}))
      ->capture_default_str();
  up->add_flag("--node-agents", flags.node_agents, "An agent on each node keeps the client");
  for (CLI::App* command : {up, article}) {
    command->add_flag(
        "--containers", flags.containers,
        "Programs with the user, the capabilities and the read-only root of the manifests");
    command->add_option("-o,--output", flags.output, "text or json")
        ->check(CLI::IsMember({"text", "json"}))
        ->capture_default_str();
  }
  exec->add_option("POD", flags.host, "Such as echo")->required();
  NameEnvironment(app);
  // What follows -- is the command's, flags and all.
  flags.program = argv[0];
  int own = 1;
  while (own < argc && std::string_view(argv[own]) != "--") ++own;
  if (own < argc) flags.command.assign(argv + own + 1, argv + argc);
  try {  // CLI11 throws; nothing of ours does.
    app.parse(own, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    std::cerr << "whence-lab: " << UsageError(app, error.what()) << "; see --help\n";
    return 2;
  }
  if (!flags.command.empty() && !exec->parsed()) {
    return Fail(absl::InvalidArgumentError("a command after -- is for exec"));
  }
  if (up->parsed()) return RunUp(flags);
  if (article->parsed()) return RunArticleCommand(flags);
  if (exec->parsed()) return RunExec(flags);
  if (const absl::Status status = Lab::Remove(flags.name); !status.ok()) return Fail(status);
  return 0;
}

}  // namespace
}  // namespace whence::lab

int main(int argc, char** argv) {
  whence::OpenStandardStreams();
  return whence::EndOutput("whence-lab", whence::lab::Main(argc, argv));
}
