#include "dataplane/intercept/check.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dataplane/intercept/installer.h"

namespace whence::intercept {
namespace {

class Findings {
 public:
  void Good(std::string what) {
    result_.findings.push_back({Finding::Level::kGood, std::move(what), ""});
  }
  void Note(std::string what) {
    result_.findings.push_back({Finding::Level::kNote, std::move(what), ""});
  }
  void Fault(std::string what, std::string mend) {
    result_.findings.push_back({Finding::Level::kFault, std::move(what), std::move(mend)});
  }
  // True if `status` is good; otherwise it is a fault of its own.
  bool Readable(const absl::Status& status) {
    if (!status.ok()) Fault(std::string(status.message()), "run as root (CAP_NET_ADMIN)");
    return status.ok();
  }
  CheckResult Take() { return std::move(result_); }

 private:
  CheckResult result_;
};

constexpr char kInstallAgain[] = "whence-agent intercept install";

void CheckTable(Kernel& kernel, const Intent& intent, const HostFacts& facts, const Memory& memory,
                const std::string& listing, Findings& findings) {
  const std::string expected = TableText(intent, facts, memory);
  if (SameTable(listing, expected)) {
    findings.Good("nftables: table inet whence is complete");
  } else {
    findings.Fault("nftables: table inet whence was changed by someone else", kInstallAgain);
  }
  const absl::Status accepted = kernel.RunNft(ReplaceTable(expected), /*dry_run=*/true);
  if (accepted.ok()) {
    findings.Good("kernel: accepts the rules");
  } else {
    findings.Fault(absl::StrCat("kernel: refuses the rules: ", accepted.message()),
                   intent.mode == Mode::kRedirect ? "load nft_redir and nft_fib_inet"
                   : intent.mode == Mode::kTproxy
                       ? "load nft_tproxy and nft_fib_inet"
                       : "load nft_tproxy, nft_socket, nft_ct and nft_fib_inet");
  }
}

void CheckSysctls(Kernel& kernel, const Plan& plan, Findings& findings) {
  for (const Sysctl& wanted : plan.sysctls) {
    const auto value = kernel.ReadSysctl(wanted.name);
    const std::string mend = absl::StrCat("sysctl -w ", wanted.name, "=", wanted.value);
    if (!value.ok()) {
      findings.Fault(std::string(value.status().message()), mend);
    } else if (*value != wanted.value) {
      findings.Fault(absl::StrCat("sysctl ", wanted.name, " is ", *value), mend);
    } else {
      findings.Good(absl::StrCat("sysctl ", wanted.name, "=", *value));
    }
  }
}

void CheckRouting(Kernel& kernel, const Intent& intent, const Plan& plan, Findings& findings) {
  const auto rules = kernel.ListRules();
  const auto routes = kernel.ListRoutes(intent.table);
  if (!findings.Readable(rules.status()) || !findings.Readable(routes.status())) return;
  for (const LocalRoute& route : plan.routes) {
    const std::string command = "ip " + ToCommand(route);
    if (std::count(routes->begin(), routes->end(), route) > 0) {
      findings.Good(command);
    } else {
      findings.Fault("missing: " + command, kInstallAgain);
    }
  }
  for (const FibRule& rule : plan.rules) {
    const std::string command = "ip " + ToCommand(rule);
    if (std::count(rules->begin(), rules->end(), rule) > 0) {
      findings.Good(command);
    } else {
      findings.Fault("missing: " + command, kInstallAgain);
    }
  }
  if (plan.needs_loopback_six) {
    const auto there = kernel.HasLoopbackSix();
    if (there.ok() && *there) {
      findings.Good("address ::6/128 on lo");
    } else {
      findings.Fault("missing: ip -6 address add ::6/128 dev lo", kInstallAgain);
    }
  }
}

void CheckConflicts(Kernel& kernel, const Intent& intent, Findings& findings) {
  const auto conflicts = FindConflicts(kernel, intent);
  if (!findings.Readable(conflicts.status())) return;
  for (const std::string& conflict : *conflicts) {
    const size_t mend = conflict.rfind("; ");
    findings.Fault(conflict.substr(0, mend), conflict.substr(mend + 2));
  }
}

// rp_filter with src_valid_mark looks up the source *with the mark*, finds our local route and
// takes the client for a martian.
void CheckReversePath(Kernel& kernel, Findings& findings) {
  const auto value = [&](const char* name) {
    return kernel.ReadSysctl(absl::StrCat("net.ipv4.conf.all.", name)).value_or("0");
  };
  if (value("src_valid_mark") != "0" && value("rp_filter") != "0") {
    findings.Fault("sysctl net.ipv4.conf.all.src_valid_mark=1 with rp_filter drops marked packets",
                   "sysctl -w net.ipv4.conf.all.src_valid_mark=0");
  }
}

void CheckListener(Kernel& kernel, const Intent& intent, bool has_ipv6, Findings& findings) {
  const std::string where = absl::StrCat("port ", intent.inbound_port);
  const auto facts = kernel.FindListener(intent.inbound_port);
  if (!findings.Readable(facts.status())) return;
  const std::string outcome = intent.on_exit == OnExit::kBypass
                                  ? "connections reach the application WITHOUT policy"
                                  : "new connections are refused or dropped";
  const std::string mend =
      absl::StrCat("start the agent: whence-agent run --interception ",
                   std::string(ToString(intent.mode)), " --inbound-port ", intent.inbound_port);
  if (!facts->ipv4 && !facts->ipv6) {
    findings.Fault(absl::StrCat("nobody listens on ", where, ": ", outcome), mend);
    return;
  }
  if (!facts->ipv4 || (has_ipv6 && !facts->ipv6)) {
    findings.Fault(absl::StrCat("nobody listens on ", where, " over ",
                                facts->ipv4 ? "IPv6: " : "IPv4: ", outcome),
                   mend);
  } else if (intent.mode == Mode::kTproxy && !facts->transparent.value_or(true)) {
    findings.Fault(absl::StrCat("the listener on ", where, " is not transparent"), mend);
  } else if (intent.mode == Mode::kTproxy && facts->mark.value_or(1) == 0) {
    // With tcp_fwmark_accept, what a listener without a mark accepts takes the packet's.
    findings.Fault(
        absl::StrCat("the listener on ", where, " has no mark of its own, so its answers go to lo"),
        mend);
  } else {
    findings.Good(absl::StrCat("listener on ", where));
  }
}

}  // namespace

CheckResult Check(Kernel& kernel) {
  Findings findings;
  const auto listing = kernel.ListTable(false);
  if (!findings.Readable(listing.status())) return findings.Take();
  const auto installed = ParseListing(*listing);
  if (!installed || !installed->intent) {
    findings.Fault(installed ? "an installation or removal was cut short"
                             : "interception is not installed here",
                   kInstallAgain);
    CheckConflicts(kernel, Intent(), findings);
    return findings.Take();
  }
  const Intent& intent = *installed->intent;
  const HostFacts facts = ReadFacts(kernel);
  const Plan plan = MakePlan(intent, facts);
  if (!facts.has_ipv6) findings.Note("this kernel has IPv6 disabled: IPv4 only");
  if (intent.on_exit == OnExit::kBypass && intent.mode != Mode::kNode) {
    findings.Note("on-exit is bypass: without an agent, connections pass without policy");
  }
  const auto up = kernel.LoopbackIsUp();
  if (!up.ok() || !*up) findings.Fault("interface lo is down", "ip link set lo up");
  CheckTable(kernel, intent, facts, installed->memory, *listing, findings);
  CheckSysctls(kernel, plan, findings);
  CheckRouting(kernel, intent, plan, findings);
  CheckConflicts(kernel, intent, findings);
  if (intent.mode == Mode::kTproxy) CheckReversePath(kernel, findings);
  if (intent.mode == Mode::kNode) {
    findings.Note(
        "a node port is taken while the node agent listens on it: see /config of its admin page");
  } else {
    CheckListener(kernel, intent, facts.has_ipv6, findings);
  }
  return findings.Take();
}

}  // namespace whence::intercept
