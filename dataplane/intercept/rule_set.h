// What interception is made of: from an operator's intent to nftables text, ip rules, routes and
// sysctls.
//
// All of it in the pod's network namespace. TPROXY: an incoming packet is handed to the
// agent's listener and marked; the mark sends it through a table of its own to lo, so that it is
// delivered here although the agent's socket is not bound to its destination. The second mark does
// the same for the application's replies to a spoofed client address.
//
//   client -> eth0 -> [tproxy, mark 0x539] -> rule -> table 133 -> agent
//   agent (as client, mark 0x53a) -> lo -> application -> reply inherits 0x53a -> rule -> table 133
//   -> lo -> agent
//
// What the kernel answers without a socket (a reset, TIME_WAIT's acknowledgement of the client's end)
// takes the mark of the packet that it answers. So only opening packets carry 0x539, which leads to
// lo whatever carries it; all others carry the agent's own 0x53b, which leads to lo what comes in and
// leaves alone what goes out. Of these most carry none: a packet whose socket has the agent's mark
// already needs no help to find it.
//
// REDIRECT: a nat rule changes the destination to the agent's port; conntrack remembers the
// original one. Nothing is spoofed: the agent calls the application from 127.0.0.6 or ::6, so ::6
// has to exist on lo.
//
// NODE, on a node's host network: an opening packet for a node port on which the agent listens goes
// to the agent, untracked, so that kube-proxy's NAT never sees the connection. The agent listens on
// the loopback addresses and only while it knows a gateway for the port; a packet that finds no
// listener goes on to kube-proxy, and so do all packets of connections that kube-proxy already has.
// The destination is the node's own address, so no mark, rule or route is needed.
//
//   client -> eth0 -> raw: [tproxy to 127.0.0.1, notrack] -> agent on 127.0.0.1:31380
//   agent -> raw output: [its mark 0x53b: notrack] -> eth0 -> client
//
// The nft table is also the memory of the installation: comments in it hold what was asked for and
// what the sysctls were before, so that any later process can show, check and remove exactly. It
// lives and dies with the namespace.
//
// Pure: text and values in, text and values out.
#ifndef WHENCE_DATAPLANE_INTERCEPT_RULE_SET_H_
#define WHENCE_DATAPLANE_INTERCEPT_RULE_SET_H_

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace whence::intercept {

enum class Mode { kTproxy, kRedirect, kNode };

// What a dead agent means: kBlock drops new connections, kBypass lets them reach the application
// without policy, or on a node kube-proxy.
enum class OnExit { kBlock, kBypass };

struct Intent {
  Mode mode = Mode::kTproxy;
  OnExit on_exit = OnExit::kBlock;
  std::vector<uint16_t> include_ports;  // empty: every port; kNode: Kubernetes' range of node ports
  std::vector<uint16_t> exclude_ports;  // kAgentPorts are always excluded besides
  uint16_t inbound_port = 15006;
  uint32_t packet_mark = 0x539;    // intercepted packets
  uint32_t upstream_mark = 0x53a;  // the agent's spoofed connections and the replies to them
  uint32_t table = 133;

  friend bool operator==(const Intent&, const Intent&) = default;
};

// The agent's own metrics and health: they must be reachable from outside and would only be handed
// back to the agent.
inline constexpr uint16_t kAgentPorts[] = {15020, 15021};

// proxy::Marks::listener: what the agent accepts carries it.
inline constexpr uint32_t kListenerMark = 0x53b;

// Rules and routes carry this as their protocol (`ip rule` shows `proto 133`), which is how we know
// ours from another's.
inline constexpr uint8_t kOwner = 133;

// Ports sorted and without duplicates, kAgentPorts added to the excluded ones. InvalidArgument
// names the setting that cannot work and why.
absl::Status Normalize(Intent* intent);

// What the plan depends on in the namespace.
struct HostFacts {
  bool has_ipv6 = true;
  // rp_filter in force on lo is 1: the kernel would drop spoofed packets on lo, whose way back is
  // another interface.
  bool strict_reverse_path = false;
};

enum class Family { kIpv4, kIpv6 };

struct FibRule {
  Family family;
  uint32_t priority;
  uint32_t mark;
  uint32_t mask;
  uint32_t table;
  uint8_t protocol = kOwner;
  bool own_packets_only = false;  // `iif lo`: what this namespace sends itself
  uint32_t go_on_at = 0;          // with the rules from this priority on, instead of `table`
  // Where another goes on: matches all and does nothing itself.
  bool is_landing() const { return table == 0 && go_on_at == 0; }
  friend auto operator<=>(const FibRule&, const FibRule&) = default;
};

// `local default dev lo` in `table`.
struct LocalRoute {
  Family family;
  uint32_t table;
  uint8_t protocol = kOwner;
  friend auto operator<=>(const LocalRoute&, const LocalRoute&) = default;
};

struct Sysctl {
  std::string name;  // "net.ipv4.tcp_fwmark_accept"
  std::string value;
  friend auto operator<=>(const Sysctl&, const Sysctl&) = default;
};

struct Plan {
  std::vector<Sysctl> sysctls;
  std::vector<FibRule> rules;
  std::vector<LocalRoute> routes;
  bool needs_loopback_six = false;  // ::6/128 on lo
};

Plan MakePlan(const Intent& intent, const HostFacts& facts);

// What `remove` puts back.
struct Memory {
  std::vector<Sysctl> before;
  bool added_loopback_six = false;
  friend bool operator==(const Memory&, const Memory&) = default;
};

// The table with its rules, as `nft -s list table inet whence` prints it. REQUIRES: a normalized
// intent.
std::string TableText(const Intent& intent, const HostFacts& facts, const Memory& memory);
// The table with its memory only: what stands first at installation and last at removal, so that a
// process that dies in between leaves enough behind to finish the removal.
std::string JournalText(const Memory& memory);
// One transaction that makes `text` the table, whether there was one or not.
std::string ReplaceTable(std::string_view text);
inline constexpr std::string_view kDeleteTable = "delete table inet whence\n";

// What a listing of the table says. `intent` is missing in a journal.
struct Installed {
  Memory memory;
  std::optional<Intent> intent;
};
// nullopt: the table is not ours, or of a newer layout.
std::optional<Installed> ParseListing(std::string_view listing);

// True if two listings hold the same rules; blank space and the two spellings that nft versions
// have for a flags match do not count.
bool SameTable(std::string_view a, std::string_view b);

std::string_view ToString(Mode mode);
std::string_view ToString(OnExit on_exit);
// As one would type them after `ip`: "-6 rule add pref 133 fwmark 0x539 lookup 133".
std::string ToCommand(const FibRule& rule);
std::string ToCommand(const LocalRoute& route);

}  // namespace whence::intercept

#endif  // WHENCE_DATAPLANE_INTERCEPT_RULE_SET_H_
