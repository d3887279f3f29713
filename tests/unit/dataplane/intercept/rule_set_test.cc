// Golden text: what is installed is read by people who have to trust it, so each line of it is
// pinned.
#include "dataplane/intercept/rule_set.h"

#include <gtest/gtest.h>

namespace whence::intercept {
namespace {

Intent Normal(Intent intent) {
  EXPECT_EQ(Normalize(&intent), absl::OkStatus());
  return intent;
}

const Memory kMemory = {{{"net.ipv4.tcp_fwmark_accept", "0"},
                         {"net.ipv4.fwmark_reflect", "1"},
                         {"net.ipv6.fwmark_reflect", "0"},
                         {"net.ipv4.conf.lo.rp_filter", "1"}},
                        true};

TEST(RuleSetTest, TproxyFailsClosed) {
  EXPECT_EQ(TableText(Normal({}), {}, kMemory), R"(table inet whence {
	comment "whence/1 before: tcp_fwmark_accept=0 fwmark_reflect=1 ipv6.fwmark_reflect=0 lo.rp_filter=1 added=::6"
	set excluded {
		type inet_service
		elements = { 15020, 15021 }
	}

	chain loopback {
		tcp flags != syn / fin,syn,rst,ack return
		meta mark != 0x0000053a return
		socket mark != 0x0000053b return
		meta l4proto tcp socket transparent 1 counter reject with tcp reset
	}

	chain prerouting {
		comment "mode=tproxy on-exit=block port=15006 marks=0x539,0x53a table=133"
		type filter hook prerouting priority mangle; policy accept;
		iifname "lo" goto loopback
		tcp flags != syn / fin,syn,rst,ack socket mark 0x0000053b accept
		fib daddr type != local return
		tcp dport @excluded return
		tcp flags != syn / fin,syn,rst,ack tproxy to :15006 meta mark set 0x0000053b accept
		meta l4proto tcp tproxy to :15006 meta mark set 0x00000539 accept
		tcp flags syn / fin,syn,rst,ack socket mark 0x0000053a counter reject with tcp reset
		socket mark 0x0000053a counter drop
		tcp flags syn / fin,syn,rst,ack counter drop
	}
}
)");
}

TEST(RuleSetTest, BypassLeavesTheDropOut) {
  const std::string text = TableText(Normal({.on_exit = OnExit::kBypass}), {}, {});
  EXPECT_EQ(text.find("rst,ack counter drop"), std::string::npos);
  EXPECT_NE(text.find("tproxy to :15006"), std::string::npos);
}

TEST(RuleSetTest, PortsAreSetsAndSortedOnce) {
  const Intent intent = Normal(
      {.include_ports = {443, 80, 443}, .exclude_ports = {22, 15020}, .inbound_port = 16006});
  EXPECT_EQ(intent.exclude_ports, (std::vector<uint16_t>{22, 15020, 15021}));
  EXPECT_EQ(TableText(intent, {.has_ipv6 = false}, {}), R"(table inet whence {
	comment "whence/1 before:"
	set excluded {
		type inet_service
		elements = { 22, 15020, 15021 }
	}

	set included {
		type inet_service
		elements = { 80, 443 }
	}

	chain loopback {
		tcp flags != syn / fin,syn,rst,ack return
		meta mark != 0x0000053a return
		socket mark != 0x0000053b return
		meta l4proto tcp socket transparent 1 counter reject with tcp reset
	}

	chain prerouting {
		comment "mode=tproxy on-exit=block port=16006 marks=0x539,0x53a table=133"
		type filter hook prerouting priority mangle; policy accept;
		iifname "lo" goto loopback
		tcp flags != syn / fin,syn,rst,ack socket mark 0x0000053b accept
		fib daddr type != local return
		tcp dport @excluded return
		tcp dport != @included return
		meta nfproto ipv4 tcp flags != syn / fin,syn,rst,ack tproxy ip to :16006 meta mark set 0x0000053b accept
		meta nfproto ipv4 meta l4proto tcp tproxy ip to :16006 meta mark set 0x00000539 accept
		tcp flags syn / fin,syn,rst,ack socket mark 0x0000053a counter reject with tcp reset
		socket mark 0x0000053a counter drop
		tcp flags syn / fin,syn,rst,ack counter drop
	}
}
)");
}

TEST(RuleSetTest, RedirectNeedsNoRouting) {
  const Intent intent = Normal({.mode = Mode::kRedirect});
  EXPECT_EQ(TableText(intent, {}, {}), R"(table inet whence {
	comment "whence/1 before:"
	set excluded {
		type inet_service
		elements = { 15020, 15021 }
	}

	chain prerouting {
		comment "mode=redirect on-exit=block port=15006 marks=0x539,0x53a table=133"
		type nat hook prerouting priority dstnat; policy accept;
		iifname "lo" return
		fib daddr type != local return
		tcp dport @excluded return
		meta l4proto tcp redirect to :15006
	}
}
)");
  const Plan plan = MakePlan(intent, {});
  EXPECT_TRUE(plan.rules.empty() && plan.routes.empty() && plan.sysctls.empty());
  EXPECT_TRUE(plan.needs_loopback_six);
  EXPECT_FALSE(MakePlan(intent, {.has_ipv6 = false}).needs_loopback_six);
}

TEST(RuleSetTest, ANodeGivesNothingButOpeningPacketsThatFindAListener) {
  const Intent intent = Normal({.mode = Mode::kNode, .on_exit = OnExit::kBypass});
  EXPECT_EQ(TableText(intent, {}, {}), R"(table inet whence {
	comment "whence/1 before:"
	set excluded {
		type inet_service
		elements = { 15020, 15021 }
	}

	chain prerouting {
		comment "mode=node on-exit=bypass port=15006 marks=0x539,0x53a table=133"
		type filter hook prerouting priority raw; policy accept;
		iifname "lo" return
		fib daddr type != local return
		tcp dport @excluded return
		tcp dport != 30000-32767 return
		meta nfproto ipv4 tcp flags syn / fin,syn,rst,ack tproxy ip to 127.0.0.1 notrack accept
		meta nfproto ipv6 tcp flags syn / fin,syn,rst,ack tproxy ip6 to [::1] notrack accept
		tcp flags != syn / fin,syn,rst,ack socket transparent 1 notrack accept
	}

	chain output {
		type filter hook output priority raw; policy accept;
		meta mark 0x0000053b notrack
	}
}
)");
  const Plan plan = MakePlan(intent, {.strict_reverse_path = true});
  EXPECT_TRUE(plan.rules.empty() && plan.routes.empty() && plan.sysctls.empty());
  EXPECT_FALSE(plan.needs_loopback_six);
}

TEST(RuleSetTest, ABlockingNodeDropsWhatFindsNoListener) {
  const Intent intent = Normal({.mode = Mode::kNode, .include_ports = {31380}});
  const std::string text = TableText(intent, {.has_ipv6 = false}, {});
  EXPECT_NE(text.find("\t\ttcp dport != @included return\n"
                      "\t\tmeta nfproto ipv4 tcp flags syn / fin,syn,rst,ack tproxy ip to "
                      "127.0.0.1 notrack accept\n"
                      "\t\ttcp flags syn / fin,syn,rst,ack counter drop\n"
                      "\t\ttcp flags != syn"),
            std::string::npos)
      << text;
}

TEST(RuleSetTest, PlanOfTproxy) {
  const Plan plan = MakePlan(Normal({}), {.strict_reverse_path = true});
  std::string commands;
  for (const Sysctl& sysctl : plan.sysctls) commands += sysctl.name + "=" + sysctl.value + "\n";
  for (const LocalRoute& route : plan.routes) commands += ToCommand(route) + "\n";
  for (const FibRule& rule : plan.rules) commands += ToCommand(rule) + "\n";
  EXPECT_EQ(commands,
            "net.ipv4.tcp_fwmark_accept=1\n"
            "net.ipv4.fwmark_reflect=1\n"
            "net.ipv6.fwmark_reflect=1\n"
            "net.ipv4.conf.lo.rp_filter=2\n"
            "route add local default dev lo table 133\n"
            "-6 route add local default dev lo table 133\n"
            "rule add pref 134 nop\n"
            "rule add pref 132 iif lo fwmark 0x53b goto 134\n"
            "rule add pref 133 fwmark 0x539 lookup 133\n"
            "rule add pref 133 fwmark 0x53b lookup 133\n"
            "rule add pref 133 fwmark 0x53a lookup 133\n"
            "-6 rule add pref 134 nop\n"
            "-6 rule add pref 132 iif lo fwmark 0x53b goto 134\n"
            "-6 rule add pref 133 fwmark 0x539 lookup 133\n"
            "-6 rule add pref 133 fwmark 0x53b lookup 133\n"
            "-6 rule add pref 133 fwmark 0x53a lookup 133\n");
  for (const FibRule& rule : MakePlan(Normal({}), {.has_ipv6 = false}).rules) {
    EXPECT_EQ(rule.family, Family::kIpv4);
  }
}

TEST(RuleSetTest, AListingSaysWhatWasAskedForAndWhatWasBefore) {
  const Intent intents[] = {
      Normal({}),
      Normal({.mode = Mode::kRedirect, .include_ports = {80, 443}}),
      Normal({.mode = Mode::kNode, .include_ports = {31380}}),
      Normal({.on_exit = OnExit::kBypass,
              .exclude_ports = {22},
              .inbound_port = 16006,
              .packet_mark = 0x111,
              .upstream_mark = 0x112,
              .table = 1000}),
  };
  for (const Intent& intent : intents) {
    const auto installed = ParseListing(TableText(intent, {}, kMemory));
    ASSERT_TRUE(installed.has_value());
    EXPECT_EQ(installed->memory, kMemory);
    ASSERT_TRUE(installed->intent.has_value());
    EXPECT_EQ(*installed->intent, intent);
  }
  const auto journal = ParseListing(JournalText(kMemory));
  ASSERT_TRUE(journal.has_value());
  EXPECT_EQ(journal->memory, kMemory);
  EXPECT_FALSE(journal->intent.has_value());
}

TEST(RuleSetTest, LongSetsAreReadAcrossLines) {
  const auto installed = ParseListing(
      "table inet whence {\n\tcomment \"whence/1 before:\"\n\tset excluded {\n\t\ttype "
      "inet_service\n\t\telements = { 22, 23,\n\t\t\t     24 }\n\t}\n\tchain prerouting {\n\t\t"
      "comment \"mode=tproxy on-exit=block port=15006 marks=0x539,0x53a table=133\"\n\t}\n}\n");
  ASSERT_TRUE(installed && installed->intent);
  EXPECT_EQ(installed->intent->exclude_ports, (std::vector<uint16_t>{22, 23, 24}));
}

TEST(RuleSetTest, ATableOfSomeoneElseIsNotOurs) {
  EXPECT_FALSE(ParseListing("").has_value());
  EXPECT_FALSE(ParseListing("table inet whence {\n}\n").has_value());
  EXPECT_FALSE(
      ParseListing("table inet whence {\n\tcomment \"whence/2 before:\"\n}\n").has_value());
}

TEST(RuleSetTest, SameTableSeesRulesAndNotSpelling) {
  const std::string text = TableText(Normal({}), {}, {});
  std::string newer = text;  // as nftables 1.1 prints it
  const std::string flags = "tcp flags syn / fin,syn,rst,ack";
  newer.replace(newer.find(flags), flags.size(), "tcp flags & (fin | syn | rst | ack) == syn");
  EXPECT_TRUE(SameTable(text, newer));
  EXPECT_TRUE(SameTable(text, "\n" + text + "\n\n"));
  std::string without_drop = text;
  without_drop.erase(without_drop.find("\t\t" + flags),
                     std::string("\t\tcounter drop\n").size() + flags.size() + 1);
  EXPECT_FALSE(SameTable(text, without_drop));
  EXPECT_FALSE(SameTable(text, ""));
}

TEST(RuleSetTest, CommentsFitIntoNftables) {
  Intent intent = {.mode = Mode::kRedirect,
                   .inbound_port = 65535,
                   .packet_mark = 0xffffffff,
                   .upstream_mark = 0xfffffffe,
                   .table = 0xffffffff};
  const std::string text = TableText(Normal(intent), {}, kMemory);
  for (size_t at = text.find("comment \""); at != std::string::npos;
       at = text.find("comment \"", at + 1)) {
    EXPECT_LE(text.find('"', at + 9) - at - 9, 127u);  // 128 with the terminating zero
  }
}

TEST(RuleSetTest, RefusesWhatCannotWork) {
  const std::pair<Intent, const char*> rows[] = {
      {{.include_ports = {0}}, "port 0"},
      {{.inbound_port = 0}, "--inbound-port 0"},
      {{.packet_mark = 0}, "must differ"},
      {{.packet_mark = 0x53b}, "must not be 1339"},
      {{.upstream_mark = 0x53b}, "must not be 1339"},
      {{.packet_mark = 5, .upstream_mark = 5}, "must differ"},
      {{.table = 255}, "--table 255"},
      {{.table = 0}, "--table 0"},
      {{.mode = Mode::kRedirect, .on_exit = OnExit::kBypass}, "use --mode tproxy"},
      {{.mode = Mode::kNode, .on_exit = OnExit::kBlock}, "name them: --include-inbound-ports"},
  };
  for (auto [intent, want] : rows) {
    const absl::Status status = Normalize(&intent);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << want;
    EXPECT_NE(std::string(status.message()).find(want), std::string::npos) << status;
  }
}

}  // namespace
}  // namespace whence::intercept
