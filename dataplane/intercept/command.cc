#include "dataplane/intercept/command.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/command_line.h"
#include "common/base/strings.h"
#include "dataplane/intercept/check.h"
#include "dataplane/intercept/installer.h"
#include "dataplane/intercept/linux_kernel.h"
#include "dataplane/intercept/netns.h"

namespace whence::intercept {
namespace {

using Json = nlohmann::ordered_json;

struct Flags {
  Intent intent;
  std::string mode = "tproxy";
  std::string on_exit;  // not given: block, on a node bypass
  std::vector<std::string> include_ports;
  std::vector<std::string> exclude_ports;
  std::string netns;
  std::string output = "text";
  bool dry_run = false;
};

// Failures look alike everywhere: what, where, and the way to mend it where we know one.
int Fail(const std::string& command, const absl::Status& status) {
  std::cerr << "whence-agent intercept " << command << ": " << status.message() << "\n";
  return status.code() == absl::StatusCode::kInvalidArgument ? 2 : 1;
}

void AddIntentFlags(CLI::App* app, Flags* flags) {
  Intent* intent = &flags->intent;
  app->add_option("--mode", flags->mode,
                  "tproxy: the application sees the client; redirect: it sees 127.0.0.6; node: on "
                  "a node's host network, for an agent of role node")
      ->check(CLI::IsMember({"tproxy", "redirect", "node"}, CLI::ignore_case))
      ->capture_default_str();
  app->add_option("--include-inbound-ports", flags->include_ports,
                  "intercept only these, for example 80,443 (default: every port, also written *; "
                  "of a node 30000-32767)")
      ->delimiter(',');
  app->add_option("--exclude-inbound-ports", flags->exclude_ports,
                  "never intercept these; 15020 and 15021 never are")
      ->delimiter(',');
  app->add_option("--on-exit", flags->on_exit,
                  "without an agent: block new connections, or bypass it (no policy then). "
                  "Default: block; of a node bypass, which leaves the port to kube-proxy")
      ->check(CLI::IsMember({"block", "bypass"}, CLI::ignore_case));
  app->add_option("--inbound-port", intent->inbound_port, "where the agent listens")
      ->capture_default_str();
  app->add_option("--packet-mark", intent->packet_mark, "mark of intercepted packets (1337)");
  app->add_option("--upstream-mark", intent->upstream_mark,
                  "mark of the agent's spoofed connections (1338)");
  app->add_option("--table", intent->table, "routing table")->capture_default_str();
}

absl::Status ParsePorts(const char* flag, const std::vector<std::string>& words,
                        std::vector<uint16_t>* ports) {
  for (const std::string& word : words) {
    if (word.empty()) continue;
    uint16_t port = 0;
    const auto result = std::from_chars(word.data(), word.data() + word.size(), port);
    if (result.ec != std::errc() || result.ptr != word.data() + word.size() || port == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(flag, " \"", word, "\": a port is a number from 1 to 65535"));
    }
    ports->push_back(port);
  }
  return absl::OkStatus();
}

// Turns the words of the flags into the intent.
absl::Status ReadIntent(Flags* flags) {
  Intent& intent = flags->intent;
  for (const Mode mode : {Mode::kTproxy, Mode::kRedirect, Mode::kNode}) {
    if (EqualsIgnoreCase(flags->mode, ToString(mode))) intent.mode = mode;
  }
  const bool bypass = flags->on_exit.empty() ? intent.mode == Mode::kNode
                                             : EqualsIgnoreCase(flags->on_exit, "bypass");
  intent.on_exit = bypass ? OnExit::kBypass : OnExit::kBlock;
  if (flags->include_ports == std::vector<std::string>{"*"}) flags->include_ports.clear();
  absl::Status status =
      ParsePorts("--include-inbound-ports", flags->include_ports, &intent.include_ports);
  status.Update(ParsePorts("--exclude-inbound-ports", flags->exclude_ports, &intent.exclude_ports));
  if (status.ok()) status = Normalize(&intent);
  return status;
}

void AddNetnsFlag(CLI::App* app, Flags* flags) {
  app->add_option("--netns", flags->netns,
                  "act in this network namespace: a name of `ip netns`, or a path");
}

void AddOutputFlag(CLI::App* app, Flags* flags) {
  app->add_option("-o,--output", flags->output, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
}

int RunInstall(Kernel& kernel, const Flags& flags) {
  const auto result = Install(kernel, flags.intent);
  if (!result.ok()) return Fail("install", result.status());
  if (flags.output == "json") {
    std::cout << Json{{"changed", result->changed}, {"ipv6", result->has_ipv6}}.dump() << "\n";
    return 0;
  }
  std::cout << (result->changed ? "installed: " : "already installed: ")
            << ToString(flags.intent.mode);
  if (flags.intent.mode != Mode::kNode) std::cout << " to port " << flags.intent.inbound_port;
  std::cout << "\n";
  if (!result->has_ipv6) std::cout << "this kernel has IPv6 disabled: IPv4 only\n";
  return 0;
}

int RunRemove(Kernel& kernel, const Flags& flags) {
  const auto removed = Remove(kernel);
  if (!removed.ok()) return Fail("remove", removed.status());
  if (flags.output == "json") {
    std::cout << Json{{"changed", *removed}}.dump() << "\n";
    return 0;
  }
  std::cout << (*removed ? "removed: the namespace is as it was before\n"
                         : "nothing was installed\n");
  return 0;
}

int RunCheck(Kernel& kernel, const Flags& flags) {
  const CheckResult result = Check(kernel);
  Json list = Json::array();
  for (const Finding& finding : result.findings) {
    const char* level = finding.level == Finding::Level::kGood   ? "good"
                        : finding.level == Finding::Level::kNote ? "note"
                                                                 : "fault";
    if (flags.output == "json") {
      list.push_back({{"level", level}, {"what", finding.what}, {"mend", finding.mend}});
      continue;
    }
    std::cout << level << std::string(7 - std::string(level).size(), ' ') << finding.what;
    if (!finding.mend.empty()) std::cout << "; mend: " << finding.mend;
    std::cout << "\n";
  }
  if (flags.output == "json") {
    std::cout << Json{{"sound", result.sound()}, {"findings", list}}.dump(2) << "\n";
  } else {
    std::cout << (result.sound() ? "sound\n" : "NOT sound\n");
  }
  return result.sound() ? 0 : 1;
}

// What `show` prints: what stands in the kernel, or with --dry-run what would.
struct View {
  bool installed = false;
  std::optional<Intent> intent;
  std::string table;  // as nft prints it
  Plan plan;
  Memory memory;
};

absl::StatusOr<View> ReadView(Kernel& kernel, const Flags& flags) {
  View view;
  const HostFacts facts = ReadFacts(kernel);
  if (flags.dry_run) {
    const Intent& intent = flags.intent;
    view.plan = MakePlan(intent, facts);
    for (const Sysctl& sysctl : view.plan.sysctls) {
      auto value = kernel.ReadSysctl(sysctl.name);
      if (value.ok()) view.memory.before.push_back({sysctl.name, *std::move(value)});
    }
    view.table = TableText(intent, facts, view.memory);
    view.intent = intent;
    return view;
  }
  auto listing = kernel.ListTable(/*with_counters=*/true);
  if (!listing.ok()) return listing.status();
  auto installed = ParseListing(*listing);
  if (!installed) return view;
  view.installed = true;
  view.table = *std::move(listing);
  view.memory = installed->memory;
  if (!installed->intent) return view;
  // The kernel's rules and routes, not the ones that ought to be there: that is what `check`
  // compares.
  auto rules = kernel.ListRules();
  if (!rules.ok()) return rules.status();
  auto routes = kernel.ListRoutes(installed->intent->table);
  if (!routes.ok()) return routes.status();
  for (const FibRule& rule : *rules) {
    if (rule.protocol == kOwner) view.plan.rules.push_back(rule);
  }
  for (const LocalRoute& route : *routes) {
    if (route.protocol == kOwner) view.plan.routes.push_back(route);
  }
  for (const Sysctl& before : installed->memory.before) {
    auto value = kernel.ReadSysctl(before.name);
    if (value.ok()) view.plan.sysctls.push_back({before.name, *std::move(value)});
  }
  view.plan.needs_loopback_six = kernel.HasLoopbackSix().value_or(false);
  view.intent = std::move(installed->intent);
  return view;
}

Json ToJson(const View& view, bool dry_run) {
  Json json = {{"installed", view.installed}, {"dryRun", dry_run}};
  if (!view.intent) return json;
  const Intent& intent = *view.intent;
  json["mode"] = ToString(intent.mode);
  json["onExit"] = ToString(intent.on_exit);
  json["inboundPort"] = intent.inbound_port;
  json["includeInboundPorts"] = intent.include_ports;
  json["excludeInboundPorts"] = intent.exclude_ports;
  json["packetMark"] = intent.packet_mark;
  json["upstreamMark"] = intent.upstream_mark;
  json["table"] = intent.table;
  json["nftables"] = view.table;
  json["rules"] = Json::array();
  for (const FibRule& rule : view.plan.rules) json["rules"].push_back("ip " + ToCommand(rule));
  json["routes"] = Json::array();
  for (const LocalRoute& r : view.plan.routes) json["routes"].push_back("ip " + ToCommand(r));
  json["sysctls"] = Json::object();
  for (const Sysctl& sysctl : view.plan.sysctls) json["sysctls"][sysctl.name] = sysctl.value;
  json["sysctlsBefore"] = Json::object();
  for (const Sysctl& sysctl : view.memory.before) {
    json["sysctlsBefore"][sysctl.name] = sysctl.value;
  }
  json["loopbackSix"] = view.plan.needs_loopback_six;
  return json;
}

void PrintText(const View& view) {
  for (const Sysctl& sysctl : view.plan.sysctls) {
    std::cout << "sysctl " << sysctl.name << "=" << sysctl.value;
    for (const Sysctl& before : view.memory.before) {
      if (before.name == sysctl.name) std::cout << "  # before: " << before.value;
    }
    std::cout << "\n";
  }
  for (const LocalRoute& r : view.plan.routes) std::cout << "ip " << ToCommand(r) << "\n";
  for (const FibRule& rule : view.plan.rules) std::cout << "ip " << ToCommand(rule) << "\n";
  if (view.plan.needs_loopback_six) std::cout << "ip -6 address add ::6/128 dev lo\n";
  std::cout << view.table;
}

int RunShow(Kernel& kernel, const Flags& flags) {
  const auto view = ReadView(kernel, flags);
  if (!view.ok()) return Fail("show", view.status());
  if (flags.output == "json") {
    std::cout << ToJson(*view, flags.dry_run).dump(2) << "\n";
  } else if (!view->installed && !flags.dry_run) {
    std::cout << "nothing is installed; --dry-run shows what would be\n";
  } else {
    PrintText(*view);
  }
  return 0;
}

}  // namespace

int RunCommand(std::span<const std::string> args) {
  Flags flags;
  CLI::App app("Installs, removes, shows and checks the rules that bring connections to the agent.",
               "whence-agent intercept");
  app.require_subcommand(1);
  app.footer(
      "Examples:\n"
      "  whence-agent intercept install --mode tproxy --exclude-inbound-ports 22\n"
      "  whence-agent intercept install --mode redirect --netns pod-1\n"
      "  whence-agent intercept install --mode node\n"
      "  whence-agent intercept check && echo sound\n"
      "  whence-agent intercept show --dry-run --on-exit bypass\n"
      "  whence-agent intercept remove");
  CLI::App* install = app.add_subcommand("install", "Install; installing twice changes nothing");
  CLI::App* remove = app.add_subcommand("remove", "Put the namespace back as it was before");
  CLI::App* show = app.add_subcommand("show", "Print what is installed, or would be");
  CLI::App* check = app.add_subcommand("check", "Say what is missing; exit code 1 if anything is");
  for (CLI::App* one : {install, show}) AddIntentFlags(one, &flags);
  for (CLI::App* one : {install, remove, show, check}) {
    AddNetnsFlag(one, &flags);
    AddOutputFlag(one, &flags);
  }
  show->add_flag("--dry-run", flags.dry_run, "What install would make with these settings");
  NameEnvironment(app);

  std::vector<std::string> reversed(args.rbegin(), args.rend());
  try {  // CLI11 throws; nothing of ours does.
    app.parse(reversed);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    std::cerr << "whence-agent intercept: " << UsageError(app, error.what()) << "; see --help\n";
    return 2;
  }

  const std::string command = app.get_subcommands()[0]->get_name();
  if (absl::Status status = ReadIntent(&flags); !status.ok()) return Fail(command, status);
  std::optional<ScopedNetns> scope;
  if (!flags.netns.empty()) {
    auto entered = ScopedNetns::Enter(flags.netns);
    if (!entered.ok()) return Fail(command, entered.status());
    scope.emplace(*std::move(entered));
  }
  LinuxKernel kernel;
  if (install->parsed()) return RunInstall(kernel, flags);
  if (remove->parsed()) return RunRemove(kernel, flags);
  if (show->parsed()) return RunShow(kernel, flags);
  return RunCheck(kernel, flags);
}

}  // namespace whence::intercept
