#include "dataplane/intercept/rule_set.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/base/strings.h"

namespace whence::intercept {
namespace {

// Before the main table, after the local one; the rules around it stand right before and behind.
constexpr uint32_t kRulePriority = 133;

constexpr std::string_view kSignature = "whence/1 before:";

// nftables keeps comments of up to 128 bytes, so the memory calls sysctls by short names.
struct KnownSysctl {
  std::string_view name;
  std::string_view brief;
};
constexpr std::array<KnownSysctl, 4> kSysctls = {{
    {"net.ipv4.tcp_fwmark_accept", "tcp_fwmark_accept"},
    {"net.ipv4.fwmark_reflect", "fwmark_reflect"},
    {"net.ipv6.fwmark_reflect", "ipv6.fwmark_reflect"},
    {"net.ipv4.conf.lo.rp_filter", "lo.rp_filter"},
}};

std::string MemoryText(const Memory& memory) {
  std::string text(kSignature);
  for (const Sysctl& sysctl : memory.before) {
    for (const KnownSysctl& known : kSysctls) {
      if (known.name != sysctl.name) continue;
      text += " ";
      text += known.brief;
      text += "=" + sysctl.value;
    }
  }
  if (memory.added_loopback_six) text += " added=::6";
  return text;
}

std::string IntentText(const Intent& intent) {
  return absl::StrCat("mode=", ToAbsl(ToString(intent.mode)),
                      " on-exit=", ToAbsl(ToString(intent.on_exit)), " port=", intent.inbound_port,
                      absl::StrFormat(" marks=0x%x,0x%x", intent.packet_mark, intent.upstream_mark),
                      " table=", intent.table);
}

void AppendSet(std::string_view name, const std::vector<uint16_t>& ports, std::string* text) {
  if (ports.empty()) return;
  absl::StrAppend(text, "\tset ", ToAbsl(name), " {\n\t\ttype inet_service\n\t\telements = { ",
                  absl::StrJoin(ports, ", "), " }\n\t}\n\n");
}

void SortUnique(std::vector<uint16_t>* ports) {
  std::sort(ports->begin(), ports->end());
  ports->erase(std::unique(ports->begin(), ports->end()), ports->end());
}

// Kubernetes' --service-node-port-range unless an operator changed it.
constexpr std::string_view kNodePorts = "30000-32767";

constexpr char kOpening[] = "tcp flags syn / fin,syn,rst,ack";
constexpr char kNotOpening[] = "tcp flags != syn / fin,syn,rst,ack";

// Opening packets ask for a listener; without one `tproxy` does not match and they go on. All
// others may belong to a connection of kube-proxy's, and would be reset by our listener: those are
// ours that have a socket of ours. (In a pod such a rule would let a reused port of a connection in
// TIME_WAIT pass by the agent. Here opening packets never reach it.)
std::string NodeRules(const Intent& intent, const HostFacts& facts) {
  std::string text =
      absl::StrCat("\t\tmeta nfproto ipv4 ", kOpening, " tproxy ip to 127.0.0.1 notrack accept\n");
  if (facts.has_ipv6) {
    absl::StrAppend(&text, "\t\tmeta nfproto ipv6 ", kOpening,
                    " tproxy ip6 to [::1] notrack accept\n");
  }
  if (intent.on_exit == OnExit::kBlock) {
    absl::StrAppend(&text, "\t\t", kOpening, " counter drop\n");
  }
  absl::StrAppend(&text, "\t\t", kNotOpening,
                  " socket transparent 1 notrack accept\n"
                  "\t}\n\n\tchain output {\n"
                  "\t\ttype filter hook output priority raw; policy accept;\n\t\tmeta mark ",
                  absl::StrFormat("0x%08x", kListenerMark), " notrack\n\t}\n}\n");
  return text;
}

// What is on lo is not the agent's, but for one thing: its own opening packets, as a client, may
// meet a connection that the client itself has begun with the same four numbers. The agent may not
// know of it yet: half open, or not accepted. The two would break each other; refused here, the
// agent takes another port. Half-open connections have no mark, but say that their listener was
// ours.
std::string LoopbackChain(const Intent& intent) {
  return absl::StrCat(
      "\tchain loopback {\n\t\t", kNotOpening, " return\n\t\t",
      absl::StrFormat("meta mark != 0x%08x return\n\t\tsocket mark != 0x%08x return\n",
                      intent.upstream_mark, kListenerMark),
      "\t\tmeta l4proto tcp socket transparent 1 counter reject with tcp reset\n\t}\n\n");
}

std::string_view HookOf(Mode mode) {
  switch (mode) {
    case Mode::kTproxy:
      return "type filter hook prerouting priority mangle";
    case Mode::kRedirect:
      return "type nat hook prerouting priority dstnat";
    case Mode::kNode:
      return "type filter hook prerouting priority raw";  // before connection tracking
  }
  return "";
}

std::optional<Mode> ParseMode(std::string_view text) {
  for (const Mode mode : {Mode::kTproxy, Mode::kRedirect, Mode::kNode}) {
    if (text == ToString(mode)) return mode;
  }
  return std::nullopt;
}

// The text between the first `open` at or after `from` and the `close` that follows; empty if there
// is none.
std::string_view Between(std::string_view text, std::string_view open, std::string_view close) {
  const size_t start = text.find(open);
  if (start == std::string_view::npos) return {};
  text.remove_prefix(start + open.size());
  const size_t end = text.find(close);
  return end == std::string_view::npos ? std::string_view() : text.substr(0, end);
}

// "key=value" words, as in our comments.
std::vector<std::pair<std::string_view, std::string_view>> Words(std::string_view text) {
  std::vector<std::pair<std::string_view, std::string_view>> words;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    const size_t equals = word.find('=');
    if (equals != std::string_view::npos) {
      words.emplace_back(word.substr(0, equals), word.substr(equals + 1));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

template <typename Number>
bool ParseNumber(std::string_view text, int base, Number* out) {
  if (base == 16 && text.substr(0, 2) == "0x") text.remove_prefix(2);
  const auto result = std::from_chars(text.data(), text.data() + text.size(), *out, base);
  return result.ec == std::errc() && result.ptr == text.data() + text.size() && !text.empty();
}

bool ParseMarks(std::string_view text, Intent* intent) {
  const size_t comma = text.find(',');
  return comma != std::string_view::npos &&
         ParseNumber(text.substr(0, comma), 16, &intent->packet_mark) &&
         ParseNumber(text.substr(comma + 1), 16, &intent->upstream_mark);
}

std::optional<std::vector<uint16_t>> ParseSet(std::string_view listing, std::string_view name) {
  const size_t start_of_set = listing.find("set " + std::string(name) + " {");
  std::vector<uint16_t> ports;
  if (start_of_set == std::string_view::npos) return ports;
  std::string_view elements = Between(listing.substr(start_of_set), "elements = {", "}");
  while (!elements.empty()) {
    const size_t start = elements.find_first_of("0123456789");
    if (start == std::string_view::npos) break;
    elements.remove_prefix(start);
    const size_t end = std::min(elements.find_first_not_of("0123456789"), elements.size());
    uint16_t port = 0;
    if (!ParseNumber(elements.substr(0, end), 10, &port)) return std::nullopt;
    ports.push_back(port);
    elements.remove_prefix(end);
  }
  return ports;
}

std::optional<Intent> ParseIntent(std::string_view listing) {
  const std::string_view comment = Between(listing, "comment \"mode=", "\"");
  if (comment.empty()) return std::nullopt;
  Intent intent;
  const std::string text = "mode=" + std::string(comment);
  for (const auto& [key, value] : Words(text)) {
    bool good = true;
    if (key == "mode") {
      const std::optional<Mode> mode = ParseMode(value);
      good = mode.has_value();
      intent.mode = mode.value_or(Mode::kTproxy);
    } else if (key == "on-exit") {
      good = value == "block" || value == "bypass";
      intent.on_exit = value == "bypass" ? OnExit::kBypass : OnExit::kBlock;
    } else if (key == "port") {
      good = ParseNumber(value, 10, &intent.inbound_port);
    } else if (key == "marks") {
      good = ParseMarks(value, &intent);
    } else if (key == "table") {
      good = ParseNumber(value, 10, &intent.table);
    }
    if (!good) return std::nullopt;
  }
  auto included = ParseSet(listing, "included");
  auto excluded = ParseSet(listing, "excluded");
  if (!included || !excluded) return std::nullopt;
  intent.include_ports = *std::move(included);
  intent.exclude_ports = *std::move(excluded);
  return intent;
}

// Blank space collapsed, and the older spelling of the flags match.
std::string Canonical(std::string_view listing) {
  std::string words;
  bool blank = true;
  for (const char c : listing) {
    const bool is_blank = std::isspace(static_cast<unsigned char>(c)) != 0;
    if (!is_blank) words += c;
    if (is_blank && !blank) words += ' ';
    blank = is_blank;
  }
  while (!words.empty() && words.back() == ' ') words.pop_back();
  return absl::StrReplaceAll(
      words,
      {{"tcp flags & (fin | syn | rst | ack) == syn", "tcp flags syn / fin,syn,rst,ack"},
       {"tcp flags & (fin | syn | rst | ack) != syn", "tcp flags != syn / fin,syn,rst,ack"}});
}

}  // namespace

absl::Status Normalize(Intent* intent) {
  for (const std::vector<uint16_t>* ports : {&intent->include_ports, &intent->exclude_ports}) {
    if (std::find(ports->begin(), ports->end(), 0) != ports->end()) {
      return absl::InvalidArgumentError("port 0: ports are 1..65535");
    }
  }
  if (intent->inbound_port == 0) {
    return absl::InvalidArgumentError("--inbound-port 0: ports are 1..65535");
  }
  if (intent->packet_mark == kListenerMark || intent->upstream_mark == kListenerMark) {
    return absl::InvalidArgumentError(absl::StrCat("--packet-mark and --upstream-mark must not be ",
                                                   kListenerMark,
                                                   ", the mark of the agent's own sockets"));
  }
  if (intent->packet_mark == 0 || intent->upstream_mark == 0 ||
      intent->packet_mark == intent->upstream_mark) {
    return absl::InvalidArgumentError(
        "--packet-mark and --upstream-mark must differ from each other and from 0");
  }
  if (intent->table == 0 || (intent->table >= 253 && intent->table <= 255)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--table ", intent->table, ": 0 and 253 to 255 belong to the kernel"));
  }
  if (intent->mode == Mode::kRedirect && intent->on_exit == OnExit::kBypass) {
    return absl::InvalidArgumentError(
        "--on-exit bypass: a REDIRECT rule matches whether or not an agent listens; use --mode "
        "tproxy");
  }
  if (intent->mode == Mode::kNode && intent->on_exit == OnExit::kBlock &&
      intent->include_ports.empty()) {
    return absl::InvalidArgumentError(
        "--on-exit block on a node closes every port that the agent does not take; name them: "
        "--include-inbound-ports 31380,31400");
  }
  intent->exclude_ports.insert(intent->exclude_ports.end(), std::begin(kAgentPorts),
                               std::end(kAgentPorts));
  SortUnique(&intent->include_ports);
  SortUnique(&intent->exclude_ports);
  return absl::OkStatus();
}

Plan MakePlan(const Intent& intent, const HostFacts& facts) {
  Plan plan;
  if (intent.mode == Mode::kNode) return plan;
  if (intent.mode == Mode::kRedirect) {
    plan.needs_loopback_six = facts.has_ipv6;
    return plan;
  }
  // The application's accepted socket takes the mark of the SYN; resets that the kernel sends
  // itself take it too.
  plan.sysctls = {{"net.ipv4.tcp_fwmark_accept", "1"}, {"net.ipv4.fwmark_reflect", "1"}};
  if (facts.has_ipv6) plan.sysctls.push_back({"net.ipv6.fwmark_reflect", "1"});
  // The kernel takes the larger of `all` and `lo`, and 2 (loose) accepts a source that any
  // interface could reach.
  if (facts.strict_reverse_path) plan.sysctls.push_back({"net.ipv4.conf.lo.rp_filter", "2"});
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    if (family == Family::kIpv6 && !facts.has_ipv6) continue;
    plan.routes.push_back({family, intent.table});
    // Past our rules, and not to the main table: a pod with several interfaces has rules of its
    // own.
    plan.rules.push_back({family, kRulePriority + 1, 0, 0, 0});
    plan.rules.push_back({family, kRulePriority - 1, kListenerMark, 0xffffffff, 0, kOwner,
                          /*own_packets_only=*/true, /*go_on_at=*/kRulePriority + 1});
    for (const uint32_t mark : {intent.packet_mark, kListenerMark, intent.upstream_mark}) {
      plan.rules.push_back({family, kRulePriority, mark, 0xffffffff, intent.table});
    }
  }
  return plan;
}

std::string TableText(const Intent& intent, const HostFacts& facts, const Memory& memory) {
  std::string text = absl::StrCat("table inet whence {\n\tcomment \"", MemoryText(memory), "\"\n");
  AppendSet("excluded", intent.exclude_ports, &text);
  AppendSet("included", intent.include_ports, &text);
  const bool is_tproxy = intent.mode == Mode::kTproxy;
  if (is_tproxy) text += LoopbackChain(intent);
  absl::StrAppend(&text, "\tchain prerouting {\n\t\tcomment \"", IntentText(intent), "\"\n\t\t",
                  ToAbsl(HookOf(intent.mode)), "; policy accept;\n");
  absl::StrAppend(&text, "\t\tiifname \"lo\" ", is_tproxy ? "goto loopback" : "return", "\n");
  // Nearly every packet, at the price of finding its socket, which has our listener's mark. A
  // socket in TIME_WAIT has none, and opening packets never come this way.
  if (is_tproxy) {
    absl::StrAppend(&text, "\t\t", kNotOpening, " socket mark ",
                    absl::StrFormat("0x%08x accept\n", kListenerMark));
  }
  text += "\t\tfib daddr type != local return\n\t\ttcp dport @excluded return\n";
  if (!intent.include_ports.empty()) {
    text += "\t\ttcp dport != @included return\n";
  } else if (intent.mode == Mode::kNode) {
    absl::StrAppend(&text, "\t\ttcp dport != ", ToAbsl(kNodePorts), " return\n");
  }
  if (intent.mode == Mode::kNode) return text + NodeRules(intent, facts);
  if (intent.mode == Mode::kRedirect) {
    absl::StrAppend(&text, "\t\tmeta l4proto tcp redirect to :", intent.inbound_port, "\n\t}\n}\n");
    return text;
  }
  // No `socket transparent`: it would also match the agent's TIME_WAIT sockets, and a client that
  // reuses its port would pass by the agent.
  const std::string to = absl::StrCat(
      facts.has_ipv6 ? " tproxy to :" : " tproxy ip to :", intent.inbound_port, " meta mark set ");
  const std::string_view family = facts.has_ipv6 ? "" : "meta nfproto ipv4 ";
  // Opening packets have a mark of their own, so that what answers them instead of the agent gets
  // nowhere: where a dead agent's TIME_WAIT socket matches, the kernel hands them to the
  // application.
  absl::StrAppend(&text, "\t\t", ToAbsl(family), kNotOpening, to,
                  absl::StrFormat("0x%08x accept\n", kListenerMark), "\t\t", ToAbsl(family),
                  "meta l4proto tcp", to, absl::StrFormat("0x%08x accept\n", intent.packet_mark));
  // tproxy also leaves alone what has a socket of the application's. An opening packet that has one
  // comes from a client that picked the very port by which we connect for it: told so, the client
  // takes another, where it would otherwise send into the void for as long as we are connected.
  // Whatever else comes from outside for a connection of ours to the application is no part of it.
  absl::StrAppend(&text, "\t\t", kOpening, " socket mark ",
                  absl::StrFormat("0x%08x", intent.upstream_mark),
                  " counter reject with tcp reset\n\t\tsocket mark ",
                  absl::StrFormat("0x%08x", intent.upstream_mark), " counter drop\n");
  // Reached when nobody listens. Opening packets only: replies to the application's own connections
  // come here as well.
  if (intent.on_exit == OnExit::kBlock) {
    absl::StrAppend(&text, "\t\t", kOpening, " counter drop\n");
  }
  text += "\t}\n}\n";
  return text;
}

std::string JournalText(const Memory& memory) {
  return absl::StrCat("table inet whence {\n\tcomment \"", MemoryText(memory), "\"\n}\n");
}

std::string ReplaceTable(std::string_view text) {
  // `add` first, or `delete` would fail when there is none.
  return absl::StrCat("add table inet whence\n", ToAbsl(kDeleteTable), ToAbsl(text));
}

std::optional<Installed> ParseListing(std::string_view listing) {
  const std::string_view comment = Between(listing, "comment \"" + std::string(kSignature), "\"");
  // The comment is at least there, if empty: Between cannot tell a missing one from that.
  if (listing.find("comment \"" + std::string(kSignature)) == std::string_view::npos) {
    return std::nullopt;
  }
  Installed installed;
  for (const auto& [key, value] : Words(comment)) {
    for (const KnownSysctl& known : kSysctls) {
      if (key == known.brief) {
        installed.memory.before.push_back({std::string(known.name), std::string(value)});
      }
    }
    if (key == "added") installed.memory.added_loopback_six = true;
  }
  installed.intent = ParseIntent(listing);
  return installed;
}

bool SameTable(std::string_view a, std::string_view b) { return Canonical(a) == Canonical(b); }

std::string_view ToString(Mode mode) {
  switch (mode) {
    case Mode::kTproxy:
      return "tproxy";
    case Mode::kRedirect:
      return "redirect";
    case Mode::kNode:
      return "node";
  }
  return "";
}

std::string_view ToString(OnExit on_exit) { return on_exit == OnExit::kBlock ? "block" : "bypass"; }

std::string ToCommand(const FibRule& rule) {
  const char* const six = rule.family == Family::kIpv6 ? "-6 " : "";
  if (rule.is_landing()) return absl::StrFormat("%srule add pref %d nop", six, rule.priority);
  return absl::StrFormat("%srule add pref %d %sfwmark 0x%x %s %d", six, rule.priority,
                         rule.own_packets_only ? "iif lo " : "", rule.mark,
                         rule.go_on_at != 0 ? "goto" : "lookup",
                         rule.go_on_at != 0 ? rule.go_on_at : rule.table);
}

std::string ToCommand(const LocalRoute& route) {
  return absl::StrCat(route.family == Family::kIpv6 ? "-6 " : "",
                      "route add local default dev lo table ", route.table);
}

}  // namespace whence::intercept
