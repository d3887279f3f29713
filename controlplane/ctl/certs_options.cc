#include "controlplane/ctl/certs_options.h"

#include <CLI/CLI.hpp>

#include "common/base/names.h"

namespace whence::ctl {
namespace {

// A CA outlives what it issues; what it issues is replaced often, by a cron job or a controller.
constexpr int kAuthorityDays = 3650;
constexpr int kIssuedDays = 90;

Output OutputOf(const CertsFlags& flags) {
  return flags.output == "json" ? Output::kJson : Output::kTable;
}

void AddCommon(CLI::App* command, CertsFlags& flags, const char* directory_help,
               const char* days_help) {
  command->add_option("--dir", flags.directory, directory_help)->capture_default_str();
  command->add_option("--days", flags.days, days_help)->check(CLI::Range(1, 36500));
  command->add_option("-o,--output", flags.output, "How to print")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
}

}  // namespace

void DeclareCerts(CLI::App& app, CertsFlags& flags) {
  CLI::App* certs = app.add_subcommand(
      "certs",
      "A private CA for control planes, agents and operators; files are never overwritten");
  certs->require_subcommand(1);
  certs->footer(R"(Examples:
  whencectl certs init --dir ca --trust-domain prod.example
  whencectl certs issue control-plane main --dir ca --address 10.0.0.5,whence.example
  whencectl certs issue agent shop/web-1 --dir ca --out web-1
  whencectl certs issue workload shop/web --dir ca --out web   # all pods of a Deployment, from one Secret
  whencectl certs issue workload edge/ingress --role gateway --dir ca --out ingress
  whencectl certs issue workload shop/legacy --label app=legacy-proxy --dir ca --out legacy
  whencectl certs issue operator ana --access editor --dir ca --out ana)");
  CLI::App* init = certs->add_subcommand("init", "Make a CA: DIR/ca.crt and DIR/ca.key");
  init->add_option("--trust-domain", flags.trust_domain,
                   "Whose names its certificates carry; the same at whence-control")
      ->capture_default_str();
  AddCommon(init, flags, "Where to make it", "How long it is valid (default: 3650)");

  CLI::App* issue = certs->add_subcommand("issue", "Issue a certificate: OUT.crt and OUT.key");
  issue
      ->add_option(
          "KIND", flags.kind,
          "Whom for; workload: the agents of all pods of a Deployment, StatefulSet, DaemonSet, "
          "Job or CronJob")
      ->required()
      ->check(CLI::IsMember({"control-plane", "agent", "workload", "operator"}));
  issue->add_option("NAME", flags.name, "Its name; of an agent or a workload NAMESPACE/NAME")
      ->required();
  issue
      ->add_option("--role", flags.role,
                   "What an agent or a workload's agents are; run with the same --role")
      ->check(CLI::IsMember({"sidecar", "gateway", "node"}))
      ->capture_default_str();
  issue->add_option("--access", flags.access, "What an operator may do")
      ->check(CLI::IsMember({"viewer", "editor"}))
      ->capture_default_str();
  issue
      ->add_option("--address", flags.addresses,
                   "Host names and IP addresses by which a control plane is reached; IP addresses "
                   "that an agent may have besides the one that it connects from, A,B,…")
      ->delimiter(',');
  issue
      ->add_option("--label", flags.labels,
                   "Labels of an agent or a workload by which topologies may trust it, "
                   "KEY=VALUE,…")
      ->delimiter(',');
  issue->add_option("--out", flags.prefix, "Path without .crt and .key (default: DIR/KIND-NAME)");
  AddCommon(issue, flags, "Where the CA is", "How long it is valid (default: 90)");
}

CertsInitOptions InterpretInit(const CertsFlags& flags) {
  return {flags.directory, flags.trust_domain,
          std::chrono::hours(24 * (flags.days ? flags.days : kAuthorityDays)), OutputOf(flags)};
}

std::string InterpretIssue(const CertsFlags& flags, CertsIssueOptions* options) {
  security::Identity& identity = options->identity;
  identity.name = flags.name;
  std::string file = flags.kind + "-" + flags.name;
  const bool is_of_agents = flags.kind == "agent" || flags.kind == "workload";
  if (flags.role != "sidecar" && !is_of_agents) return "--role is for agents and workloads";
  if (is_of_agents) {
    identity.role = flags.role == "gateway" ? trust::Role::kGateway
                    : flags.role == "node"  ? trust::Role::kNode
                                            : trust::Role::kSidecar;
    identity.kind = flags.kind == "agent" ? security::Kind::kAgent : security::Kind::kWorkload;
    size_t slash = flags.name.find('/');
    if (slash == std::string::npos) return "NAME \"" + flags.name + "\": give NAMESPACE/NAME";
    identity.namespace_name = flags.name.substr(0, slash);
    identity.name = flags.name.substr(slash + 1);
    if (!IsName(identity.namespace_name)) return "NAME \"" + flags.name + "\": give NAMESPACE/NAME";
    file = flags.kind + "-" + identity.namespace_name + "-" + identity.name;
  } else if (flags.kind == "operator") {
    identity.kind = flags.access == "editor" ? security::Kind::kEditor : security::Kind::kViewer;
  } else {
    identity.kind = security::Kind::kControlPlane;
    if (flags.addresses.empty()) {
      return "a control plane needs --address: the names and addresses that agents reach it by";
    }
  }
  if (!IsName(identity.name)) {
    return "NAME \"" + flags.name + "\": give letters, digits, - _ and .";
  }
  options->directory = flags.directory;
  options->prefix = flags.prefix.empty() ? flags.directory + "/" + file : flags.prefix;
  options->addresses = flags.addresses;
  options->labels = flags.labels;
  options->validity = std::chrono::hours(24 * (flags.days ? flags.days : kIssuedDays));
  options->output = OutputOf(flags);
  return "";
}

}  // namespace whence::ctl
