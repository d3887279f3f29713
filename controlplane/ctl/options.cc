#include "controlplane/ctl/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <utility>

#include "common/base/command_line.h"
#include "common/base/strings.h"
#include "common/document/kinds.h"
#include "common/net/dial_target.h"
#include "common/net/ip_address.h"
#include "controlplane/ctl/history_options.h"
#include "controlplane/ctl/insight_options.h"
#include "controlplane/ctl/log_options.h"

namespace whence::ctl {
namespace {

constexpr char kExamples[] = R"(Examples:
  whencectl apply -f topology.yaml --dry-run     # what would change, and every fault there is
  whencectl apply -f policies/ --strict          # warnings, too, keep it from being applied
  whencectl ipset load blocked feed.txt -n shop  # a plain list, # or ; begin comments
  whencectl get policies -n istio-system
  whencectl get all -o yaml --export | whencectl --control-plane other:15010 apply -f -
  whencectl diff -f policies/                    # exit code 0: nothing would change, 1: it would
  whencectl history && whencectl rollback 12
  whencectl explain --workload istio-system/gateway --peer 10.0.0.9 --xff "1.1.1.1, 2.2.2.2"
  whencectl inject -f deployment.yaml | kubectl apply -f -
  whencectl certs init --dir ca                  # then: whencectl certs issue --help
  whencectl explain --diff policies/             # what a change would mean for recorded traffic
  whencectl doctor                               # where is the client's address lost?
  whencectl logs --client 2.2.2.0/24 --decision deny --since 10m -f
  whencectl logs export --since 1d --format csv -o yesterday.csv
  whencectl top denied --since 1h
  whencectl store copy --from sqlite:/var/lib/whence --to etcd:http://127.0.0.1:2379

Exit codes: 0 good, 1 failed, 2 wrong usage.)";

// What CLI11 writes into; made into Options by Interpret.
struct Flags {
  ConnectionOptions connection{.address = "127.0.0.1:15010"};
  ApplyOptions apply;
  IpSetLoadOptions load;
  GetOptions get;
  DeleteOptions remove;
  ExplainOptions explain;
  HistoryFlags history;
  InjectOptions inject, uninject;
  CertsFlags certs;
  InsightFlags insight;
  StoreCopyOptions copy;
  std::string output = "table";
  std::string kind, name, namespace_name;
  LogFlags logs;
  std::string peer, workload;
  std::string role = "sidecar", proxy, destination, host, path, method;
  std::vector<std::string> labels, forwarded_for, headers;
  uint32_t port = 0;
  bool tcp = false;
};

void AddOutput(CLI::App* command, Flags& flags, std::vector<std::string> names) {
  command->add_option("-o,--output", flags.output, "How to print")
      ->check(CLI::IsMember(std::move(names)))
      ->capture_default_str();
}

void AddNamespace(CLI::App* command, Flags& flags, const char* help) {
  command->add_option("-n,--namespace", flags.namespace_name, help);
}

void DeclareConnection(CLI::App& app, Flags& flags) {
  app.add_option("--control-plane", flags.connection.address,
                 std::string(net::kDialTargetForms) + " of whence-control")
      ->capture_default_str();
  app.add_option("--ca", flags.connection.ca,
                 "Talk TLS; the server's certificate is of this CA, PEM");
  app.add_option("--cert", flags.connection.certificate, "Certificate to show the server, PEM");
  app.add_option("--key", flags.connection.key, "Its private key, PEM");
}

void DeclareDocuments(CLI::App& app, Flags& flags) {
  CLI::App* apply = app.add_subcommand(
      "apply", "Validate all documents, then commit all in one revision, or nothing");
  apply->add_option("-f,--file", flags.apply.files, "File, directory or - (may be repeated)")
      ->required();
  apply->add_flag("--dry-run", flags.apply.dry_run, "Commit nothing, say what would change");
  apply->add_flag("--ignore-unsupported", flags.apply.ignore_unsupported,
                  "Warn of Istio fields that Whence does not act on, instead of refusing them");
  apply->add_flag("--strict", flags.apply.strict,
                  "Refuse what is only worth a warning: nothing is committed then");
  apply->add_option("-m,--message", flags.apply.message, "Why, for the history");
  AddIfRevision(apply);
  AddNamespace(apply, flags, "For documents without one (default: default)");
  AddOutput(apply, flags, {"table", "json"});

  CLI::App* sets = app.add_subcommand("ipset", "Large sets of addresses");
  sets->require_subcommand(1);
  CLI::App* load = sets->add_subcommand(
      "load", "Replace what an IpSet holds by a list, one CIDR a line; make the set if it is new");
  load->add_option("NAME", flags.load.name, "The set")->required();
  load->add_option("FILE", flags.load.file, "The list, or - for standard input")->required();
  load->add_flag("--dry-run", flags.load.dry_run, "Commit nothing, say what would change");
  load->add_option("-m,--message", flags.load.message, "Why, for the history");
  AddNamespace(load, flags, "Its namespace (default: default)");
  AddOutput(load, flags, {"table", "json"});

  CLI::App* get = app.add_subcommand("get", "Print documents");
  get->add_option("KIND", flags.kind, "Such as policies, trusttopology, svc, all")->required();
  get->add_option("NAME", flags.name, "One document");
  AddNamespace(get, flags, "Only this namespace (default: all)");
  get->add_flag("--export", flags.get.for_export,
                "Without metadata.resourceVersion: to be applied elsewhere, or kept");
  AddOutput(get, flags, {"table", "yaml", "json"});

  CLI::App* remove = app.add_subcommand("delete", "Delete a document");
  remove->add_option("KIND", flags.kind, "Such as ippolicy")->required();
  remove->add_option("NAME", flags.name, "The document")->required();
  AddNamespace(remove, flags, "Its namespace (default: default)");
  std::string* message = flags.remove.request.mutable_message();
  remove->add_option("-m,--message", *message, "Why, for the history");
  AddIfRevision(remove);
  AddOutput(remove, flags, {"table", "json"});
}

void DeclareObservation(CLI::App& app, Flags& flags) {
  CLI::App* agents =
      app.add_subcommand("agents", "Connected agents: what they run, what they refused and why");
  AddOutput(agents, flags, {"table", "json"});

  CLI::App* refusals = app.add_subcommand(
      "refusals", "Calls, streams and subscriptions that were refused: whose, and why");
  AddOutput(refusals, flags, {"table", "json"});

  DeclareLogs(app, flags.logs);
}

void DeclareExplain(CLI::App& app, Flags& flags) {
  CLI::App* explain = app.add_subcommand(
      "explain", "What an access would come to, and why: nothing is sent anywhere");
  explain->add_option("--workload", flags.workload, "A connected agent, NAMESPACE/NAME");
  explain->add_option("--labels", flags.labels, "Or a workload with these, KEY=VALUE,…")
      ->delimiter(',');
  AddNamespace(explain, flags, "The described workload's namespace (default: default)");
  explain->add_option("--role", flags.role, "The described workload's role")
      ->check(CLI::IsMember({"sidecar", "gateway", "node"}))
      ->capture_default_str();
  explain->add_option("--peer", flags.peer, "Address that the connection comes from");
  explain->add_option("--xff", flags.forwarded_for, "An X-Forwarded-For line (may be repeated)");
  explain->add_option("--proxy", flags.proxy, "Source address in a PROXY protocol header");
  explain->add_option("--destination", flags.destination,
                      "Address that the connection was aimed at (default: the agent's, if it has "
                      "one)");
  explain->add_option("--host", flags.host, "Request's host");
  explain->add_option("--path", flags.path, "Request's path (default: /)");
  explain->add_option("--method", flags.method, "Request's method (default: GET)");
  explain->add_option("--header", flags.headers,
                      "Request's header, \"NAME: VALUE\" (may be repeated)");
  explain->add_option("--port", flags.port, "Port that the connection was aimed at")
      ->check(CLI::Range(0, 65535));
  explain->add_flag("--tcp", flags.tcp, "A TCP connection, no HTTP request");
  DeclareRecordedExplain(explain, flags.insight);
  AddOutput(explain, flags, {"table", "json"});
}

// Each of the next returns what is wrong; empty: nothing.

std::string InterpretMaps(const Flags& flags, v1::ExplainRequest* request) {
  for (const std::string& label : flags.labels) {
    size_t sign = label.find('=');
    if (sign == std::string::npos || sign == 0) return "--labels \"" + label + "\": give KEY=VALUE";
    (*request->mutable_labels())[label.substr(0, sign)] = label.substr(sign + 1);
  }
  for (const std::string& header : flags.headers) {
    size_t colon = header.find(':');
    if (colon == std::string::npos || colon == 0) {
      return "--header \"" + header + "\": give \"NAME: VALUE\"";
    }
    size_t value = header.find_first_not_of(" \t", colon + 1);
    (*request->mutable_headers())[header.substr(0, colon)] =
        value == std::string::npos ? "" : header.substr(value);
  }
  return "";
}

std::string InterpretExplain(const Flags& flags, v1::ExplainRequest* request) {
  if (flags.workload.empty() == flags.labels.empty()) {
    return "explain: give either --workload NAMESPACE/NAME or --labels KEY=VALUE, or --from-log "
           "ID, "
           "or --diff FILE";
  }
  if (flags.peer.empty())
    return "explain: --peer is required: where does the connection come from?";
  if (flags.tcp && (!(flags.host + flags.path + flags.method).empty() || !flags.headers.empty() ||
                    !flags.forwarded_for.empty())) {
    return "--host, --path, --method, --header and --xff are of HTTP requests: not with --tcp";
  }
  if (flags.insight.revision) request->set_revision(*flags.insight.revision);
  for (const auto& [flag, text] : {std::pair("--peer", flags.peer),
                                   {"--proxy", flags.proxy},
                                   {"--destination", flags.destination}}) {
    if (!text.empty() && !net::IpAddress::Parse(text)) {
      return std::string(flag) + " \"" + text + "\": give an IP address";
    }
  }
  request->set_workload(flags.workload);
  if (flags.workload.empty()) {
    request->set_namespace_(flags.namespace_name.empty() ? "default" : flags.namespace_name);
    request->set_role(flags.role == "gateway" ? v1::GATEWAY
                      : flags.role == "node"  ? v1::NODE
                                              : v1::SIDECAR);
  }
  request->set_peer(flags.peer);
  request->mutable_forwarded_for()->Assign(flags.forwarded_for.begin(), flags.forwarded_for.end());
  request->set_proxy_source(flags.proxy);
  request->set_destination(flags.destination);
  request->set_host(flags.host);
  request->set_path(flags.path);
  request->set_method(flags.method);
  request->set_port(flags.port);
  request->set_tcp(flags.tcp);
  std::string error = InterpretMaps(flags, request);
  return error.empty() ? CheckWorkload(flags.workload) : error;
}

// `all`: whether the word "all" is one, too.
std::string CheckKind(const std::string& kind, bool all) {
  if ((all && EqualsIgnoreCase(kind, "all")) || document::FindKindByAlias(kind) != nullptr)
    return "";
  std::string known;
  for (const document::Kind& one : document::AllKinds()) {
    known += (known.empty() ? "" : ", ") + std::string(one.name);
  }
  return "unknown kind \"" + kind + "\": give one of " + known + (all ? ", or all" : "");
}

// Of no matter to commands that ask nobody, and so are their variables.
std::string InterpretConnection(const CLI::App& app, const ConnectionOptions& connection) {
  for (const char* alone : {"inject", "uninject", "certs", "store"}) {
    if (app.got_subcommand(alone)) return "";
  }
  if (!net::IsDialTarget(connection.address)) {
    return "--control-plane \"" + connection.address + "\": give " + net::kDialTargetForms;
  }
  if (connection.certificate.empty() != connection.key.empty()) {
    return "--cert and --key belong together: give both";
  }
  if (connection.ca.empty() && !connection.certificate.empty()) {
    return "--cert and --key are for TLS: give --ca too";
  }
  return "";
}

std::string Interpret(CLI::App& app, Flags& flags, Options* options) {
  Output output = flags.output == "json"   ? Output::kJson
                  : flags.output == "yaml" ? Output::kYaml
                                           : Output::kTable;
  std::string error = InterpretConnection(app, flags.connection);
  options->connection = flags.connection;
  if (!error.empty()) return error;
  if (app.got_subcommand("store")) {
    error = CheckStore(flags.copy);
    options->command = flags.copy;
  } else if (app.got_subcommand("apply")) {
    if (std::count(flags.apply.files.begin(), flags.apply.files.end(), "") > 0) {
      error = "-f \"\": give a file, a directory, or - for standard input";
    }
    flags.apply.default_namespace = flags.namespace_name;
    flags.apply.if_revision = IfRevision(*app.get_subcommand("apply"));
    flags.apply.output = output;
    options->command = flags.apply;
  } else if (app.got_subcommand("ipset")) {
    flags.load.namespace_name = flags.namespace_name;
    flags.load.output = output;
    options->command = flags.load;
  } else if (app.got_subcommand("get")) {
    error = CheckKind(flags.kind, /*all=*/true);
    flags.get.request.set_kind(flags.kind);
    flags.get.request.set_name(flags.name);
    flags.get.request.set_namespace_(flags.namespace_name);
    flags.get.output = output;
    options->command = flags.get;
  } else if (app.got_subcommand("delete")) {
    error = CheckKind(flags.kind, /*all=*/false);
    flags.remove.request.set_kind(flags.kind);
    flags.remove.request.set_name(flags.name);
    flags.remove.request.set_namespace_(flags.namespace_name);
    if (auto revision = IfRevision(*app.get_subcommand("delete"))) {
      flags.remove.request.set_if_revision(*revision);
    }
    flags.remove.output = output;
    options->command = flags.remove;
  } else if (app.got_subcommand("inject")) {
    error = InterpretInject(&flags.inject);
    options->command = flags.inject;
  } else if (app.got_subcommand("uninject")) {
    options->command = flags.uninject;
  } else if (app.got_subcommand("agents")) {
    options->command = AgentsOptions{output};
  } else if (app.got_subcommand("refusals")) {
    options->command = RefusalsOptions{output};
  } else if (app.got_subcommand("certs")) {
    if (app.get_subcommand("certs")->got_subcommand("init")) {
      if (!security::IsTrustDomain(flags.certs.trust_domain)) {
        error =
            "--trust-domain \"" + flags.certs.trust_domain + "\": give a DNS name in lower case";
      }
      options->command = InterpretInit(flags.certs);
    } else {
      CertsIssueOptions issue;
      error = InterpretIssue(flags.certs, &issue);
      options->command = issue;
    }
  } else if (app.got_subcommand("logs") || app.got_subcommand("top")) {
    error = InterpretLogs(app, flags.logs, &options->command);
  } else if (app.got_subcommand("doctor")) {
    error = InterpretDoctor(flags.insight, &options->command);
  } else if (app.got_subcommand("explain") && AsksAboutRecords(flags.insight)) {
    const bool describes = !(flags.workload + flags.peer + flags.proxy).empty() || flags.tcp ||
                           !flags.labels.empty() || !flags.forwarded_for.empty();
    error = describes ? "--from-log and --diff take accesses from records: not with --workload, "
                        "--labels, --peer, --proxy, --xff or --tcp"
                      : "";
    if (!error.empty()) return error;
    error =
        InterpretRecordedExplain(flags.insight, flags.namespace_name, output, &options->command);
  } else if (app.got_subcommand("explain")) {
    error = InterpretExplain(flags, &flags.explain.request);
    flags.explain.output = output;
    options->command = flags.explain;
  } else {
    error = InterpretHistory(app, flags.history, options);
  }
  return error;
}

}  // namespace

CommandLine ParseCommandLine(int argc, const char* const* argv) {
  CLI::App app("Asks and tells the control plane of Whence.", "whencectl");
  app.set_version_flag("--version", "whencectl " WHENCE_VERSION);
  app.footer(kExamples);
  app.require_subcommand(1);
  app.fallthrough();  // --control-plane may follow the command, too
  Flags flags;
  DeclareConnection(app, flags);
  DeclareDocuments(app, flags);
  DeclareObservation(app, flags);
  DeclareExplain(app, flags);
  DeclareHistory(app, flags.history);
  DeclareInject(app, &flags.inject, &flags.uninject);
  DeclareCerts(app, flags.certs);
  DeclareDoctor(app, flags.insight);
  DeclareStore(app, &flags.copy);
  NameEnvironment(app);
  CommandLine result;
  Options options;
  std::string error;
  try {
    app.parse(argc, argv);
    error = NameVariables(app, Interpret(app, flags, &options));
  } catch (const CLI::CallForHelp&) {
    result.out = app.help();
    return result;
  } catch (const CLI::CallForVersion&) {
    result.out = app.version() + "\n";
    return result;
  } catch (const CLI::Error& wrong) {
    error = UsageError(app, wrong.what());
  }
  if (error.empty()) {
    result.options = std::move(options);
  } else {
    result.exit_code = 2;
    result.error = "whencectl: " + error + " (see whencectl --help)";
  }
  return result;
}

}  // namespace whence::ctl
