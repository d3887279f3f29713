#include "dataplane/intercept/installer.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace whence::intercept {
namespace {

template <typename T>
bool Contains(const std::vector<T>& list, const T& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

// What has been done so far, to be undone from the last step to the first.
class UndoList {
 public:
  void Add(std::function<absl::Status()> step) { steps_.push_back(std::move(step)); }

  // The first error stays the one to report; an undo that fails as well is added to its text.
  absl::Status Fail(const absl::Status& cause) {
    std::string text(cause.message());
    for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
      const absl::Status undone = (*step)();
      if (!undone.ok()) absl::StrAppend(&text, "; could not undo: ", undone.message());
    }
    return absl::Status(cause.code(), text);
  }

 private:
  std::vector<std::function<absl::Status()>> steps_;
};

// Of the routes in all tables that a rule of ours looks up, those that are ours.
absl::StatusOr<std::vector<LocalRoute>> OwnRoutes(Kernel& kernel, const std::vector<FibRule>& rules,
                                                  uint32_t table) {
  std::vector<uint32_t> tables = {table};
  for (const FibRule& rule : rules) {
    if (rule.protocol != kOwner || rule.table == 0) continue;
    if (!Contains(tables, rule.table)) tables.push_back(rule.table);
  }
  std::vector<LocalRoute> own;
  for (const uint32_t one : tables) {
    auto routes = kernel.ListRoutes(one);
    if (!routes.ok()) return routes.status();
    for (const LocalRoute& route : *routes) {
      if (route.protocol == kOwner) own.push_back(route);
    }
  }
  return own;
}

// The memory of what is installed, completed by settings that the plan needs and nobody has
// remembered yet.
absl::StatusOr<Memory> Remember(Kernel& kernel, const Plan& plan, Memory memory) {
  for (const Sysctl& wanted : plan.sysctls) {
    const bool known = std::any_of(memory.before.begin(), memory.before.end(),
                                   [&](const Sysctl& s) { return s.name == wanted.name; });
    if (known) continue;
    auto value = kernel.ReadSysctl(wanted.name);
    if (!value.ok()) return value.status();
    memory.before.push_back({wanted.name, *std::move(value)});
  }
  if (plan.needs_loopback_six && !memory.added_loopback_six) {
    auto there = kernel.HasLoopbackSix();
    if (!there.ok()) return there.status();
    memory.added_loopback_six = !*there;
  }
  return memory;
}

absl::Status ApplySysctls(Kernel& kernel, const Plan& plan, UndoList& undo, bool* changed) {
  for (const Sysctl& wanted : plan.sysctls) {
    auto current = kernel.ReadSysctl(wanted.name);
    if (!current.ok()) return current.status();
    if (*current == wanted.value) continue;
    if (absl::Status s = kernel.WriteSysctl(wanted); !s.ok()) return s;
    undo.Add([&kernel, old = Sysctl{wanted.name, *current}] { return kernel.WriteSysctl(old); });
    *changed = true;
  }
  return absl::OkStatus();
}

absl::Status ApplyRouting(Kernel& kernel, const Plan& plan, const std::vector<FibRule>& rules,
                          const std::vector<LocalRoute>& routes, UndoList& undo, bool* changed) {
  if (plan.needs_loopback_six) {
    auto there = kernel.HasLoopbackSix();
    if (!there.ok()) return there.status();
    if (!*there) {
      if (absl::Status s = kernel.AddLoopbackSix(); !s.ok()) return s;
      undo.Add([&kernel] { return kernel.DeleteLoopbackSix(); });
      *changed = true;
    }
  }
  // Routes before rules: a rule without its route would send replies astray.
  for (const LocalRoute& route : plan.routes) {
    if (Contains(routes, route)) continue;
    if (absl::Status s = kernel.AddRoute(route); !s.ok()) return s;
    undo.Add([&kernel, route] { return kernel.DeleteRoute(route); });
    *changed = true;
  }
  for (const FibRule& rule : plan.rules) {
    if (Contains(rules, rule)) continue;
    if (absl::Status s = kernel.AddRule(rule); !s.ok()) return s;
    undo.Add([&kernel, rule] { return kernel.DeleteRule(rule); });
    *changed = true;
  }
  return absl::OkStatus();
}

// An earlier intent may have had other marks, another table or another mode: what is ours and not
// in the plan goes. Its sysctls stay set until `remove`, for nothing tells whether somebody has
// come to rely on them since.
absl::Status DropStale(Kernel& kernel, const Plan& plan, const std::vector<FibRule>& rules,
                       const std::vector<LocalRoute>& routes) {
  for (const FibRule& rule : rules) {
    if (rule.protocol != kOwner || Contains(plan.rules, rule)) continue;
    if (absl::Status s = kernel.DeleteRule(rule); !s.ok()) return s;
  }
  for (const LocalRoute& route : routes) {
    if (Contains(plan.routes, route)) continue;
    if (absl::Status s = kernel.DeleteRoute(route); !s.ok()) return s;
  }
  return absl::OkStatus();
}

}  // namespace

HostFacts ReadFacts(Kernel& kernel) {
  HostFacts facts;
  facts.has_ipv6 = kernel.ReadSysctl("net.ipv6.fwmark_reflect").ok();
  const auto all = kernel.ReadSysctl("net.ipv4.conf.all.rp_filter");
  const auto lo = kernel.ReadSysctl("net.ipv4.conf.lo.rp_filter");
  // The larger of both is in force: 2 is loose, 1 strict.
  facts.strict_reverse_path = all.ok() && lo.ok() && std::max(*all, *lo) == "1";
  return facts;
}

absl::StatusOr<std::optional<Installed>> ReadInstalled(Kernel& kernel) {
  auto listing = kernel.ListTable(false);
  if (!listing.ok()) return listing.status();
  if (listing->empty()) return std::optional<Installed>();
  return ParseListing(*listing);
}

absl::StatusOr<std::vector<std::string>> FindConflicts(Kernel& kernel, const Intent& intent) {
  std::vector<std::string> conflicts;
  auto listing = kernel.ListTable(false);
  if (!listing.ok()) return listing.status();
  if (!listing->empty() && !ParseListing(*listing)) {
    conflicts.push_back(
        "nftables has a table inet whence that Whence did not write; remove it: nft delete table "
        "inet whence");
  }
  if (intent.mode != Mode::kTproxy) return conflicts;  // neither marks nor tables are needed
  auto rules = kernel.ListRules();
  if (!rules.ok()) return rules.status();
  for (const FibRule& rule : *rules) {
    if (rule.protocol == kOwner) continue;
    const std::string six = rule.family == Family::kIpv6 ? "-6 " : "";
    if (rule.table == intent.table) {
      conflicts.push_back(absl::StrCat("ip ", six, "rule ", rule.priority, " (proto ",
                                       rule.protocol, ") already looks up table ", intent.table,
                                       "; choose another: --table N"));
    }
    for (const uint32_t mark : {intent.packet_mark, intent.upstream_mark}) {
      // Would the other's rule take a packet with our mark?
      if (rule.mask == 0 || (mark & rule.mask) != rule.mark) continue;
      conflicts.push_back(absl::StrFormat(
          "ip %srule %d (proto %d) matches our mark 0x%x (fwmark 0x%x/0x%x lookup %d); choose "
          "another: %s N",
          six, rule.priority, rule.protocol, mark, rule.mark, rule.mask, rule.table,
          mark == intent.packet_mark ? "--packet-mark" : "--upstream-mark"));
    }
  }
  auto routes = kernel.ListRoutes(intent.table);
  if (!routes.ok()) return routes.status();
  for (const LocalRoute& route : *routes) {
    if (route.protocol == kOwner) continue;
    conflicts.push_back(absl::StrCat("routing table ", intent.table,
                                     " has a route of someone else (proto ", route.protocol,
                                     "); choose another: --table N"));
  }
  return conflicts;
}

absl::StatusOr<InstallResult> Install(Kernel& kernel, const Intent& wanted) {
  Intent intent = wanted;
  if (absl::Status s = Normalize(&intent); !s.ok()) return s;
  auto conflicts = FindConflicts(kernel, intent);
  if (!conflicts.ok()) return conflicts.status();
  if (!conflicts->empty()) return absl::FailedPreconditionError(absl::StrJoin(*conflicts, "; "));

  const HostFacts facts = ReadFacts(kernel);
  const Plan plan = MakePlan(intent, facts);
  auto listing = kernel.ListTable(false);
  if (!listing.ok()) return listing.status();
  const auto installed = ParseListing(*listing);
  auto memory = Remember(kernel, plan, installed ? installed->memory : Memory());
  if (!memory.ok()) return memory.status();
  const std::string text = TableText(intent, facts, *memory);
  // The kernel's opinion before anything changes: a missing tproxy module is found here.
  if (absl::Status s = kernel.RunNft(ReplaceTable(text), /*dry_run=*/true); !s.ok()) return s;

  auto rules = kernel.ListRules();
  if (!rules.ok()) return rules.status();
  auto routes = OwnRoutes(kernel, *rules, intent.table);
  if (!routes.ok()) return routes.status();

  InstallResult result{.changed = false, .has_ipv6 = facts.has_ipv6};
  UndoList undo;
  if (listing->empty()) {
    if (absl::Status s = kernel.RunNft(JournalText(*memory), false); !s.ok()) return s;
    undo.Add([&kernel] { return kernel.RunNft(std::string(kDeleteTable), false); });
    result.changed = true;
  }
  if (absl::Status s = ApplySysctls(kernel, plan, undo, &result.changed); !s.ok()) {
    return undo.Fail(s);
  }
  if (absl::Status s = ApplyRouting(kernel, plan, *rules, *routes, undo, &result.changed);
      !s.ok()) {
    return undo.Fail(s);
  }
  // Last, since from here on packets are taken. Left alone when it is right, so that its counters
  // and handles stay.
  if (!SameTable(*listing, text)) {
    if (absl::Status s = kernel.RunNft(ReplaceTable(text), false); !s.ok()) return undo.Fail(s);
    result.changed = true;
  }
  if (absl::Status s = DropStale(kernel, plan, *rules, *routes); !s.ok()) return s;
  return result;
}

absl::StatusOr<bool> Remove(Kernel& kernel) {
  auto listing = kernel.ListTable(false);
  if (!listing.ok()) return listing.status();
  const auto installed = ParseListing(*listing);
  if (!listing->empty() && !installed) {
    return absl::FailedPreconditionError(
        "nftables has a table inet whence that Whence did not write; remove it: nft delete table "
        "inet whence");
  }
  auto rules = kernel.ListRules();
  if (!rules.ok()) return rules.status();
  const uint32_t table = installed && installed->intent ? installed->intent->table : Intent().table;
  auto routes = OwnRoutes(kernel, *rules, table);
  if (!routes.ok()) return routes.status();

  absl::Status first;
  bool removed = false;
  const auto run = [&](const absl::Status& status) {
    first.Update(status);
    removed = true;
  };
  // Interception ends first and the memory goes last, so that a removal that is cut short can be
  // repeated.
  if (installed) run(kernel.RunNft(ReplaceTable(JournalText(installed->memory)), false));
  for (const FibRule& rule : *rules) {
    if (rule.protocol == kOwner) run(kernel.DeleteRule(rule));
  }
  for (const LocalRoute& route : *routes) run(kernel.DeleteRoute(route));
  if (installed) {
    for (const Sysctl& sysctl : installed->memory.before) run(kernel.WriteSysctl(sysctl));
    if (installed->memory.added_loopback_six) {
      const auto there = kernel.HasLoopbackSix();
      if (there.ok() && *there) run(kernel.DeleteLoopbackSix());
    }
    if (first.ok()) run(kernel.RunNft(std::string(kDeleteTable), false));
  }
  if (!first.ok()) return first;
  return removed;
}

}  // namespace whence::intercept
