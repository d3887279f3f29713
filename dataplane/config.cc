#include "dataplane/config.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <map>
#include <utility>

#include "common/base/command_line.h"
#include "common/base/names.h"
#include "common/base/strings.h"
#include "common/net/dial_target.h"
#include "dataplane/limit_flags.h"
#include "dataplane/quantity.h"

namespace whence {
namespace {

constexpr char kExamples[] = R"(Examples:
  whence-agent intercept install                         # once per pod, as root: packets come to us
  whence-agent run --control-plane 10.0.0.5:15010 --namespace shop --name echo-1 --labels app=echo
  whence-agent run --static ./policies --role gateway --interception none --access-log -
  whence-agent intercept install --mode node             # once per node, as root, on the host network
  whence-agent run --control-plane 10.0.0.5:15010 --role node --namespace whence --host-ip 10.128.0.54
  whence-agent validate ./policies

Exit codes: 0 good, 1 failed, 2 wrong usage.)";
constexpr char kRunExamples[] = R"(Examples:
  whence-agent run --control-plane unix:/run/whence/control.sock --state-dir /var/lib/whence
  whence-agent run --static ./policies --access-log -    # no control plane; SIGHUP reads the folder again
  WHENCE_CONTROL_PLANE=10.0.0.5:15010 WHENCE_POD_IP=10.32.1.205 whence-agent run --role sidecar

Signals: TERM and INT drain and end, HUP reads --static and opens --access-log again.)";

// The flags as written; what they mean is decided below.
struct Flags {
  std::string control_plane, static_directory, ca, cert, key;
  std::string role = "sidecar", name, name_space = "default", host_ip, interception;
  std::vector<std::string> labels, pod_ip, static_workloads, include_ports, exclude_ports;
  std::optional<int> workers;
  uint16_t inbound_port = 15006;
  std::string source_ports = "10240-32767";
  uint32_t upstream_mark = proxy::Marks().upstream;
  std::string state_directory, spool_size = "64MiB", access_log, dns_servers;
  std::string admin = "127.0.0.1:15000", metrics = "127.0.0.1:15020", health = "127.0.0.1:15021";
  std::string app_probes;
  std::string drain_timeout = "10s", log_level = "info";
  LimitFlags limits;
};

void DeclareRun(CLI::App& app, Flags& flags, CommandLine& result) {
  app.footer(kRunExamples);
  const auto add = [&app](const char* flag, auto& value, const char* help) {
    return app.add_option(flag, value, help);
  };
  const std::string control_plane_help = std::string(net::kDialTargetForms) + " of whence-control";
  add("--control-plane", flags.control_plane, control_plane_help.c_str());
  add("--static", flags.static_directory, "Instead: a folder of documents (*.yaml, *.yml, *.json)");
  add("--static-workload", flags.static_workloads,
      "With --static: another workload, NAMESPACE/NAME@IP[;k=v;…], as endpoint of Services")
      ->delimiter(',');
  add("--ca", flags.ca, "TLS to the control plane: its CA, PEM");
  add("--cert", flags.cert, "This agent's certificate, PEM");
  add("--key", flags.key, "Its private key, PEM");
  add("--role", flags.role, "sidecar, gateway or node")->capture_default_str();
  add("--name", flags.name, "Name of the workload; default: the host name");
  add("--namespace", flags.name_space, "Its namespace")->capture_default_str();
  add("--labels", flags.labels, "Its labels: k=v,…")->delimiter(',');
  add("--pod-ip", flags.pod_ip,
      "Its addresses, the first is the primary one; default: the interfaces'")
      ->delimiter(',');
  add("--host-ip", flags.host_ip, "Address of the node it runs on");
  add("--interception", flags.interception,
      "How connections reach us. Sidecar: tproxy (the default) or redirect; node: tproxy (the "
      "default) or none; gateway: none");
  add("--include-inbound-ports", flags.include_ports,
      "As given to intercept install, so that gateways know what reaches us. Default: what the "
      "rules "
      "say, if we may read them (CAP_NET_ADMIN)")
      ->delimiter(',');
  add("--exclude-inbound-ports", flags.exclude_ports, "The same; 15020 and 15021 always are")
      ->delimiter(',');
  add("--workers", flags.workers, "Worker threads; default: the processors we may use, at most 4");
  add("--inbound-port", flags.inbound_port, "Where intercepted connections arrive")
      ->capture_default_str();
  add("--upstream-mark", flags.upstream_mark,
      "mark of connections with a client's address, as `intercept install` has it");
  add("--source-ports", flags.source_ports,
      "Source ports of connections that carry a client's address: such as clients do not pick")
      ->capture_default_str();
  add("--state-dir", flags.state_directory,
      "Keeps the last good configuration and unsent access records; default: nothing is kept");
  add("--spool-size", flags.spool_size, "Bound of the unsent access records on disk")
      ->capture_default_str();
  add("--access-log", flags.access_log, "Also write access records as JSON Lines: FILE or -");
  add("--dns-servers", flags.dns_servers,
      "Name servers for destinations that are names: ADDR[:PORT],…; default: /etc/resolv.conf");
  add("--admin", flags.admin, "Admin pages: loopback ADDR:PORT or off")->capture_default_str();
  add("--metrics", flags.metrics, "Prometheus metrics: ADDR:PORT, :PORT or off")
      ->capture_default_str();
  add("--health", flags.health, "/healthz/ready: ADDR:PORT, :PORT or off")->capture_default_str();
  add("--app-probes", flags.app_probes,
      "Probes of the application, answered on --health: JSON, as whencectl inject writes it");
  add("--drain-timeout", flags.drain_timeout, "How long open connections may go on after TERM")
      ->capture_default_str();
  add("--log-level", flags.log_level, "debug, info, warning or error")->capture_default_str();
  flags.limits.Declare(app);
  app.add_flag("--ignore-unsupported", result.ignore_unsupported,
               "With --static: fields of Istio that Whence does not act on are warnings");
}

std::string Quoted(const std::string& text) { return "\"" + text + "\""; }

bool ParseLabel(const std::string& text, std::map<std::string, std::string>* labels) {
  const size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos) return false;
  (*labels)[text.substr(0, equals)] = text.substr(equals + 1);
  return true;
}

// "NAMESPACE/NAME@IP[;k=v;…]".
std::optional<bundle::Workload> ParseWorkload(const std::string& text) {
  const size_t slash = text.find('/');
  const size_t at = text.find('@');
  if (slash == std::string::npos || at == std::string::npos || slash == 0 || at <= slash + 1)
    return std::nullopt;
  bundle::Workload workload;
  workload.namespace_ = text.substr(0, slash);
  workload.name = text.substr(slash + 1, at - slash - 1);
  size_t begin = at + 1;
  for (bool first = true; begin <= text.size(); first = false) {
    const size_t end = std::min(text.find(';', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    begin = end + 1;
    if (!first && !ParseLabel(part, &workload.labels)) return std::nullopt;
    if (!first) continue;
    const std::optional<net::IpAddress> address = net::IpAddress::Parse(part);
    if (!address.has_value()) return std::nullopt;
    workload.addresses.push_back(*address);
  }
  return workload;
}

// Each of the next returns what is wrong and how to mend it; empty: nothing.

std::string Address(const char* flag, const std::string& text,
                    std::optional<net::SocketAddress>* out) {
  if (text == "off" || text == "none") return "";
  // ":PORT" is every address of both families.
  *out = net::SocketAddress::Parse(!text.empty() && text.front() == ':' ? "[::]" + text : text);
  return out->has_value()
             ? ""
             : std::string(flag) + " " + Quoted(text) + ": give IP:PORT, [IPv6]:PORT, :PORT or off";
}

std::string Source(const Flags& flags, AgentConfig* config) {
  if (flags.control_plane.empty() == flags.static_directory.empty()) {
    return "give either --control-plane HOST:PORT or --static DIR";
  }
  if (!flags.control_plane.empty() && !net::IsDialTarget(flags.control_plane)) {
    return "--control-plane " + Quoted(flags.control_plane) + ": give " + net::kDialTargetForms;
  }
  config->static_directory = flags.static_directory;
  config->control_plane = {flags.control_plane, flags.ca, flags.cert, flags.key};
  if (flags.cert.empty() != flags.key.empty()) return "--cert and --key belong together: give both";
  if (!flags.static_directory.empty() && !(flags.ca + flags.cert).empty()) {
    return "--ca, --cert and --key are for --control-plane, which is not given";
  }
  for (const std::string& text : flags.static_workloads) {
    std::optional<bundle::Workload> workload = ParseWorkload(text);
    if (!workload.has_value())
      return "--static-workload " + Quoted(text) +
             ": give NAMESPACE/NAME@IP or NAMESPACE/NAME@IP;k=v";
    config->static_workloads.push_back(*std::move(workload));
  }
  if (!config->static_workloads.empty() && flags.static_directory.empty())
    return "--static-workload is for --static";
  return "";
}

std::string Role(const Flags& flags, AgentConfig* config) {
  static const std::map<std::string, trust::Role> kRoles = {{"sidecar", trust::Role::kSidecar},
                                                            {"gateway", trust::Role::kGateway},
                                                            {"node", trust::Role::kNode}};
  static const std::map<std::string, proxy::InterceptionMode> kModes = {
      {"tproxy", proxy::InterceptionMode::kTproxy},
      {"redirect", proxy::InterceptionMode::kRedirect},
      {"none", proxy::InterceptionMode::kNone}};
  const auto role = kRoles.find(flags.role);
  if (role == kRoles.end())
    return "--role " + Quoted(flags.role) + ": give sidecar, gateway or node";
  config->self.role = config->data_plane.role = role->second;
  config->interception = flags.interception;
  if (config->interception.empty())
    config->interception = role->second == trust::Role::kGateway ? "none" : "tproxy";
  const auto mode = kModes.find(config->interception);
  if (mode == kModes.end())
    return "--interception " + Quoted(flags.interception) + ": give tproxy, redirect or none";
  if (role->second == trust::Role::kSidecar && mode->second == proxy::InterceptionMode::kNone) {
    return "--interception none is for gateways and nodes: a sidecar serves what is intercepted, "
           "give "
           "tproxy or redirect";
  }
  if (role->second == trust::Role::kNode && mode->second == proxy::InterceptionMode::kRedirect) {
    return "--interception redirect is for sidecars: a node agent takes tproxy or none";
  }
  config->data_plane.interception = mode->second;
  config->self.has_sidecar = role->second == trust::Role::kSidecar;
  return "";
}

std::string Ports(const char* flag, const std::vector<std::string>& words,
                  std::vector<uint16_t>* ports) {
  for (const std::string& word : words) {
    if (word.empty() || word == "*") continue;
    uint16_t port = 0;
    const char* const end = word.data() + word.size();
    const auto [rest, error] = std::from_chars(word.data(), end, port);
    if (error != std::errc() || rest != end || port == 0) {
      return std::string(flag) + " " + Quoted(word) + ": give ports from 1 to 65535";
    }
    ports->push_back(port);
  }
  return "";
}

std::string Interception(const Flags& flags, AgentConfig* config) {
  bundle::Workload& self = config->self;
  if (self.role != trust::Role::kSidecar) return "";
  config->ports_given = !flags.include_ports.empty() || !flags.exclude_ports.empty();
  std::string error = Ports("--include-inbound-ports", flags.include_ports, &self.included_ports);
  if (error.empty()) {
    error = Ports("--exclude-inbound-ports", flags.exclude_ports, &self.excluded_ports);
  }
  return error;
}

std::string Identity(const Flags& flags, const HostDefaults& host, AgentConfig* config) {
  bundle::Workload& self = config->self;
  self.name = flags.name.empty() ? host.host_name : flags.name;
  self.namespace_ = flags.name_space;
  for (const std::string* part : {&self.name, &self.namespace_}) {
    if (!IsName(*part)) {
      return (part == &self.name ? "--name " : "--namespace ") + Quoted(*part) +
             ": give a name of letters, digits, - _ and .";
    }
  }
  for (const std::string& label : flags.labels) {
    if (!ParseLabel(label, &self.labels)) return "--labels " + Quoted(label) + ": give k=v,…";
  }
  self.node = flags.host_ip;
  if (!flags.host_ip.empty() && !net::IpAddress::Parse(flags.host_ip))
    return "--host-ip " + Quoted(flags.host_ip) + ": give an IP address";
  for (const std::string& text : flags.pod_ip) {
    const std::optional<net::IpAddress> address = net::IpAddress::Parse(text);
    if (!address.has_value())
      return "--pod-ip " + Quoted(text) + ": give IP addresses, comma-separated";
    self.addresses.push_back(*address);
  }
  if (self.addresses.empty() && self.role == trust::Role::kNode && !flags.host_ip.empty()) {
    self.addresses.push_back(*net::IpAddress::Parse(flags.host_ip));
  }
  for (const net::IpAddress& address : host.addresses) {
    if (flags.pod_ip.empty() && self.addresses.size() < 64 && !address.is_link_local())
      self.addresses.push_back(address);
  }
  // Ours are all that someone could aim at to make us talk to ourselves, not only those we are
  // known by.
  config->data_plane.own_addresses = self.addresses;
  config->data_plane.own_addresses.insert(config->data_plane.own_addresses.end(),
                                          host.addresses.begin(), host.addresses.end());
  config->data_plane.broadcast_addresses = host.broadcast_addresses;
  return "";
}

std::string SourcePorts(const std::string& text, proxy::PortRange* range) {
  const size_t dash = text.find('-');
  std::vector<uint16_t> ends;
  if (dash != std::string::npos) {
    (void)Ports("", {text.substr(0, dash), text.substr(dash + 1)}, &ends);
  }
  if (ends.size() != 2 || ends[0] > ends[1]) {
    return "--source-ports " + Quoted(text) + ": give LOW-HIGH, as in 10240-32767";
  }
  *range = {ends[0], ends[1]};
  return "";
}

std::string Operation(const Flags& flags, const HostDefaults& host, AgentConfig* config) {
  if (flags.workers && (*flags.workers < 1 || *flags.workers > 256)) {
    return "--workers: give 1 to 256";
  }
  config->data_plane.workers = flags.workers.value_or(std::clamp(host.cpus, 1, 4));
  if (flags.inbound_port == 0) return "--inbound-port: give 1 to 65535";
  if (flags.upstream_mark == 0 || flags.upstream_mark == proxy::Marks().listener) {
    return "--upstream-mark: give the one of `intercept install`, neither 0 nor 1339";
  }
  config->data_plane.marks.upstream = flags.upstream_mark;
  config->data_plane.inbound_port = flags.inbound_port;
  config->state_directory = flags.state_directory;
  config->access_log = flags.access_log;
  config->dns_servers = flags.dns_servers;
  const auto spool = ParseQuantity(flags.spool_size,
                                   {{"", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}});
  if (!spool.has_value() || *spool < (1 << 20))
    return "--spool-size " + Quoted(flags.spool_size) + ": give at least 1MiB";
  config->spool_bytes = *spool;
  const auto drain = ParseDuration(flags.drain_timeout);
  if (!drain.has_value() || *drain > 24 * 3'600'000)
    return "--drain-timeout " + Quoted(flags.drain_timeout) + ": give a duration such as 10s";
  config->drain_timeout = std::chrono::milliseconds(*drain);
  static const std::map<std::string, Log::Level> kLevels = {{"debug", Log::Level::kDebug},
                                                            {"info", Log::Level::kInfo},
                                                            {"warning", Log::Level::kWarning},
                                                            {"error", Log::Level::kError}};
  const auto level = kLevels.find(flags.log_level);
  if (level == kLevels.end())
    return "--log-level " + Quoted(flags.log_level) + ": give debug, info, warning or error";
  config->log_level = level->second;
  std::string error = flags.limits.Apply(&config->data_plane.limits);
  if (error.empty()) error = SourcePorts(flags.source_ports, &config->data_plane.upstream_ports);
  if (error.empty()) error = Address("--admin", flags.admin, &config->admin);
  if (error.empty()) error = Address("--metrics", flags.metrics, &config->metrics);
  if (error.empty()) error = Address("--health", flags.health, &config->health);
  if (!flags.app_probes.empty()) {
    absl::StatusOr<admin::AppProbes> probes = admin::ParseAppProbes(flags.app_probes);
    if (!probes.ok()) return "--app-probes: " + std::string(probes.status().message());
    config->app_probes = *std::move(probes);
  }
  // It shows policies and addresses and asks nobody who they are.
  if (error.empty() && config->admin.has_value() && !config->admin->ip.is_loopback()) {
    error = "--admin " + Quoted(flags.admin) + ": give a loopback address, or off";
  }
  return error;
}

std::string InterpretRun(const Flags& flags, const HostDefaults& host, AgentConfig* config) {
  std::string error = Source(flags, config);
  if (error.empty()) error = Role(flags, config);
  if (error.empty()) error = Identity(flags, host, config);
  if (error.empty()) error = Interception(flags, config);
  if (error.empty()) error = Operation(flags, host, config);
  return error;
}

}  // namespace

CommandLine ParseCommandLine(int argc, const char* const* argv, const HostDefaults& host) {
  CommandLine result;
  // Interception has a command line of its own, --help included.
  if (argc > 1 && std::string_view(argv[1]) == "intercept") {
    result.command = CommandLine::Command::kIntercept;
    result.arguments.assign(argv + 2, argv + argc);
    return result;
  }
  CLI::App app(
      "The data plane of Whence: finds where each connection came from, decides by it, passes it "
      "on and reports it.",
      "whence-agent");
  app.set_version_flag("--version", "whence-agent " WHENCE_VERSION);
  app.footer(kExamples);
  app.require_subcommand(1);
  Flags flags;
  CLI::App* const run =
      app.add_subcommand("run", "Proxy connections, by a control plane or a folder of documents");
  DeclareRun(*run, flags, result);
  std::string output = "text";
  CLI::App* const validate =
      app.add_subcommand("validate", "Check documents and print every fault");
  validate->add_option("paths", result.validate.paths, "Files, folders or - (standard input)")
      ->required();
  validate->add_flag("--ignore-unsupported", result.validate.ignore_unsupported,
                     "Fields of Istio that Whence does not act on are warnings");
  validate->add_option("-o,--output", output, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  validate->footer("Example:\n  whence-agent validate ./policies gateway.yaml");
  app.add_subcommand(
      "intercept",
      "install, remove, show or check packet interception: see whence-agent intercept --help");

  NameEnvironment(app);

  std::string error;
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    result.out = app.help();
    return result;
  } catch (const CLI::CallForVersion&) {
    result.out = app.version() + "\n";
    return result;
  } catch (const CLI::Error& wrong) {
    error = UsageError(app, wrong.what());
  }
  if (error.empty() && run->parsed()) {
    result.command = CommandLine::Command::kRun;
    error = NameVariables(app, InterpretRun(flags, host, &result.run));
  } else if (error.empty()) {
    result.command = CommandLine::Command::kValidate;
    result.validate.json = output == "json";
  }
  if (!error.empty()) {
    result.command = CommandLine::Command::kNone;
    result.exit_code = 2;
    result.error = "whence-agent: " + error + " (see whence-agent " +
                   (run->parsed() ? "run " : "") + "--help)";
  }
  return result;
}

}  // namespace whence
