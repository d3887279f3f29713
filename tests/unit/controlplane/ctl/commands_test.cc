// whencectl's commands against the real services: what is printed, where, and the exit code.
#include "controlplane/ctl/commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "controlplane/ctl/options.h"
#include "tests/unit/controlplane/ctl/ctl_fixture.h"

namespace whence::ctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

using CommandsTest = CtlFixture;

constexpr char kPolicy[] =
    "apiVersion: whence.dev/v1\n"
    "kind: IpPolicy\n"
    "metadata: {name: edge, namespace: shop}\n"
    "spec:\n"
    "  action: DENY\n"
    "  rules:\n"
    "  - from:\n"
    "    - source: {remoteIpSets: [bad]}\n";

TEST_F(CommandsTest, AppliesADirectoryAndGivesItBackAsItWas) {
  File("2-policy.yaml", kPolicy);
  File(
      "1-set.json",
      R"({"apiVersion":"whence.dev/v1","kind":"IpSet","metadata":{"name":"bad","namespace":"shop"},)"
      R"("spec":{"cidrs":["192.0.2.0/24"]}})");
  File("notes.txt", "not a document");
  ASSERT_EQ(Ctl({"apply", "-f", directory_}), 0) << err_;
  EXPECT_EQ(out_, "IpSet shop/bad created\nIpPolicy shop/edge created\nrevision 1\n");
  ASSERT_EQ(Ctl({"get", "all", "-o", "yaml"}), 0);
  std::string yaml = out_;
  ASSERT_EQ(Ctl({"apply", "-f", "-"}, yaml), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("nothing to change"));
  ASSERT_EQ(Ctl({"get", "all", "-o", "json"}), 0);
  ASSERT_EQ(Ctl({"apply", "-f", "-"}, std::string(out_)), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("nothing to change"));
  ASSERT_EQ(Ctl({"get", "policies"}), 0);
  EXPECT_THAT(out_, HasSubstr("shop       edge  IpPolicy  DENY, 1 rule"));
}

TEST_F(CommandsTest, PrintsEveryFaultWithItsPlaceAndChangesNothing) {
  std::string path = File("p.yaml", kPolicy + std::string("  colour: red\n"));
  EXPECT_EQ(Ctl({"apply", "-f", path}), 1);
  EXPECT_EQ(out_, "");
  EXPECT_THAT(err_, HasSubstr(path + ":9:3: IpPolicy shop/edge: spec.colour: "));
  EXPECT_THAT(err_, HasSubstr("nothing was changed"));
  EXPECT_EQ(Ctl({"get", "all", "-o", "yaml"}), 0);
  EXPECT_EQ(out_, "");
}

TEST_F(CommandsTest, InlinesAListBesideTheDocumentAndKeepsItsPlaces) {
  File("ranges.txt", "# bad ones\n192.0.2.0/24\n2001:db8::/32\n");
  std::string set = File("set.yaml",
                         "apiVersion: whence.dev/v1\n"
                         "kind: IpSet\n"
                         "metadata: {name: bad, namespace: shop}\n"
                         "spec:\n"
                         "  file: ranges.txt\n");
  ASSERT_EQ(Ctl({"apply", "-f", set}), 0) << err_;
  ASSERT_EQ(Ctl({"get", "ipset", "bad", "-o", "yaml"}), 0);
  EXPECT_THAT(out_, HasSubstr("192.0.2.0/24"));
  EXPECT_THAT(out_, HasSubstr("2001:db8::/32"));
  EXPECT_THAT(out_, Not(HasSubstr("file:")));

  // A fault that only the server can find (the other set is nowhere), in a file that was rewritten.
  std::string both = File("both.yaml",
                          "apiVersion: whence.dev/v1\n"
                          "kind: IpSet\n"
                          "metadata: {name: other, namespace: shop}\n"
                          "spec: {file: ranges.txt}\n"
                          "---\n"
                          "apiVersion: whence.dev/v1\n"
                          "kind: IpPolicy\n"
                          "metadata: {name: edge, namespace: shop}\n"
                          "spec:\n"
                          "  rules:\n"
                          "  - from:\n"
                          "    - source:\n"
                          "        remoteIpSets: [missing]\n");
  EXPECT_EQ(Ctl({"apply", "-f", both}), 1);
  EXPECT_THAT(err_, HasSubstr(both + ":13:24: IpPolicy shop/edge: "));

  std::string gone = File("gone.yaml",
                          "apiVersion: whence.dev/v1\n"
                          "kind: IpSet\n"
                          "metadata: {name: gone}\n"
                          "spec: {file: no-such-list.txt}\n");
  EXPECT_EQ(Ctl({"apply", "-f", gone}), 1);
  EXPECT_THAT(err_, HasSubstr("no-such-list.txt"));
}

TEST_F(CommandsTest, AListThatCannotBeReadHidesNoOtherFault) {
  std::string set = File("1-set.yaml",
                         "apiVersion: whence.dev/v1\n"
                         "kind: IpSet\n"
                         "metadata: {name: bad, namespace: shop}\n"
                         "spec: {file: no-such-list.txt}\n");
  std::string good = File("2-good.yaml", kPolicy);
  std::string wrong = File("3-wrong.yaml", kPolicy + std::string("  colour: red\n"));
  EXPECT_EQ(Ctl({"apply", "-f", set, "-f", good, "-f", wrong}), 1);
  EXPECT_THAT(err_, HasSubstr(set + ":4:14: IpSet shop/bad: spec.file: \"no-such-list.txt\""));
  EXPECT_THAT(err_, HasSubstr(wrong + ":9:3: IpPolicy shop/edge: spec.colour: "));
  // The policy that names the set is as it should be.
  EXPECT_THAT(err_, Not(HasSubstr(good)));
  EXPECT_THAT(err_, HasSubstr("nothing was changed: 2 faults"));
  // Also when the server finds nothing at all.
  EXPECT_EQ(Ctl({"apply", "-f", set, "-f", good}), 1);
  EXPECT_EQ(out_, "");
  EXPECT_THAT(err_, HasSubstr("nothing was changed: 1 fault\n"));
  EXPECT_EQ(Ctl({"get", "all", "-o", "yaml"}), 0);
  EXPECT_EQ(out_, "");
}

TEST_F(CommandsTest, NothingToApplyIsNoSuccess) {
  EXPECT_EQ(Ctl({"apply", "-f", "-"}, ""), 1);
  EXPECT_THAT(err_, HasSubstr("whencectl: no documents in -"));
  std::string path = File("empty.yaml", "# later\n---\n  \n");
  EXPECT_EQ(Ctl({"apply", "-f", path}), 1);
  EXPECT_THAT(err_, HasSubstr("whencectl: no documents in " + path + "\n"));
}

TEST_F(CommandsTest, NamesTheWordThatIsWrong) {
  EXPECT_EQ(Ctl({"foo"}), 2);
  EXPECT_THAT(err_, HasSubstr("unknown command \"foo\": give one of apply, ipset, get, delete, "));
  EXPECT_EQ(Ctl({"--bogus"}), 2);
  EXPECT_THAT(err_, HasSubstr("unknown flag \"--bogus\""));
  EXPECT_EQ(Ctl({"apply", "--bogus"}), 2);
  EXPECT_THAT(err_, HasSubstr("unknown flag \"--bogus\""));
  EXPECT_EQ(Ctl({"agents", "more"}), 2);
  EXPECT_THAT(err_, HasSubstr("unexpected argument \"more\""));
  EXPECT_EQ(Ctl({"apply"}), 2);
  EXPECT_THAT(err_, HasSubstr("--file is required"));
}

TEST_F(CommandsTest, DeletesAndSaysWhereElseADocumentIs) {
  std::string path = File("s.yaml",
                          "apiVersion: whence.dev/v1\nkind: IpSet\nmetadata: {name: s, namespace: "
                          "shop}\nspec: {cidrs: [10.0.0.0/8]}\n");
  ASSERT_EQ(Ctl({"apply", "-f", path}), 0) << err_;
  EXPECT_EQ(Ctl({"delete", "ipset", "s"}), 1);
  EXPECT_THAT(err_, HasSubstr("there is one in namespace shop"));
  EXPECT_EQ(Ctl({"delete", "ipset", "s", "-n", "shop"}), 0) << err_;
  EXPECT_EQ(out_, "IpSet shop/s deleted\nrevision 2\n");
  EXPECT_EQ(Ctl({"get", "ipset", "s"}), 1);
}

TEST_F(CommandsTest, ListsConnectedAgents) {
  EXPECT_EQ(Ctl({"agents"}), 0);
  EXPECT_EQ(out_, "");
  discovery::Agent agent;
  agent.id = "shop/web";
  agent.workload.namespace_ = "shop";
  agent.workload.name = "web";
  agent.workload.addresses = {*net::IpAddress::Parse("10.0.0.7")};
  agent.interception = "tproxy";
  discovery::ResourceProgress refused;
  refused.sent_version = refused.refused_version = "v2";
  refused.acked_version = "v1";
  refused.error = "listeners[0]\x1b[31m: no";
  discovery::Progress progress;
  progress.types = {{.short_name = "WorkloadBundle", .resources = {{"shop/web", refused}}}};
  progress.sent_revision = 2;
  progress.acked_revision = 1;
  plane_->inventory.Connect(
      agent, [](const absl::Status&) {}, [progress] { return progress; });
  ASSERT_EQ(Ctl({"agents"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("shop/web  sidecar  10.0.0.7"));
  EXPECT_THAT(out_, HasSubstr("refused"));
  EXPECT_THAT(out_, HasSubstr("shop/web refused WorkloadBundle shop/web version v2 and runs v1: "
                              "listeners[0]\\x1b[31m: no"));
  ASSERT_EQ(Ctl({"agents", "-o", "json"}), 0);
  EXPECT_THAT(out_, HasSubstr("\"ackedRevision\": \"1\""));
}

TEST_F(CommandsTest, ListsWhatAgentsSayAndNothingProves) {
  std::string path =
      File("t.yaml",
           "apiVersion: whence.dev/v1\nkind: TrustTopology\n"
           "metadata: {name: t, namespace: shop}\nspec: {selector: {matchLabels: "
           "{app: web}}, trustedProxies: {workloads: [{matchLabels: {app: proxy}}]}}\n");
  ASSERT_EQ(Ctl({"apply", "-f", path}), 0) << err_;
  discovery::Agent agent;
  agent.id = "shop/evil";
  agent.workload.namespace_ = "shop";
  agent.workload.name = "evil";
  agent.workload.labels = {{"app", "proxy"}};
  agent.workload.addresses = {*net::IpAddress::Parse("10.0.0.7"),
                              *net::IpAddress::Parse("10.0.0.8")};
  v1::AgentProof proof;
  proof.add_addresses("10.0.0.7");
  discovery::Believe(proof, &agent);
  plane_->inventory.Connect(agent, [](const absl::Status&) {});
  ASSERT_EQ(Ctl({"agents"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("shop/evil  sidecar  10.0.0.7,10.0.0.8?"));
  EXPECT_THAT(out_,
              HasSubstr("shop/evil: TrustTopology shop/t does not trust it for its labels, which "
                        "its certificate does not name: whencectl certs issue --label\n"));
  EXPECT_THAT(out_, HasSubstr("?: the agent does not connect from that address"));
}

TEST_F(CommandsTest, ExplainsAnAccessHopByHop) {
  std::string path = File("edge.yaml",
                          "apiVersion: whence.dev/v1\n"
                          "kind: TrustTopology\n"
                          "metadata: {name: edge, namespace: istio-system}\n"
                          "spec: {selector: {matchLabels: {app: gateway}}, numTrustedProxies: 2}\n"
                          "---\n"
                          "apiVersion: whence.dev/v1\n"
                          "kind: IpSet\n"
                          "metadata: {name: bad, namespace: istio-system}\n"
                          "spec: {cidrs: [2.2.2.0/24]}\n"
                          "---\n"
                          "apiVersion: whence.dev/v1\n"
                          "kind: IpPolicy\n"
                          "metadata: {name: deny-bad, namespace: istio-system}\n"
                          "spec:\n"
                          "  action: DENY\n"
                          "  rules: [{from: [{source: {remoteIpSets: [bad]}}]}]\n");
  ASSERT_EQ(Ctl({"apply", "-f", path}), 0) << err_;
  const std::vector<std::string> access = {"--peer", "10.0.0.9", "--host", "shop.example"};
  auto explain = [&](std::vector<std::string> who, const std::string& forwarded_for) {
    who.insert(who.begin(), "explain");
    who.insert(who.end(), access.begin(), access.end());
    if (!forwarded_for.empty()) who.insert(who.end(), {"--xff", forwarded_for});
    return Ctl(who);
  };
  const std::vector<std::string> described = {"--labels", "app=gateway", "--role",
                                              "gateway",  "-n",          "istio-system"};
  ASSERT_EQ(explain(described, "1.1.1.1,2.2.2.2,3.3.3.3"), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("Topology: TrustTopology istio-system/edge, numTrustedProxies 2"));
  EXPECT_THAT(out_, HasSubstr("Trusted client: 2.2.2.2 (xff-hop-2)"));
  EXPECT_THAT(out_, HasSubstr("Decision: deny by istio-system/deny-bad"));
  ASSERT_EQ(explain(described, "2.2.2.2,1.1.1.1,3.3.3.3"), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("Trusted client: 1.1.1.1 (xff-hop-2)"));
  EXPECT_THAT(out_, HasSubstr("Decision: allow"));
  EXPECT_THAT(out_, HasSubstr("no Gateway declares port"));
  EXPECT_THAT(out_, Not(HasSubstr("What the application sees:")));
  ASSERT_EQ(explain({"--labels", "app=web", "-n", "shop"}, "6.6.6.6"), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("Topology: the defaults of a sidecar"));
  EXPECT_THAT(out_, HasSubstr("Trusted client: 10.0.0.9 (untrusted-peer)"));
  EXPECT_THAT(out_, HasSubstr("What the application sees:\nconnection from "));

  // A workload by name must be connected; then its own labels and role count.
  EXPECT_EQ(explain({"--workload", "istio-system/gw"}, ""), 1);
  EXPECT_THAT(err_, HasSubstr("no agent \"istio-system/gw\" is connected"));
  discovery::Agent agent;
  agent.id = "istio-system/gw";
  agent.workload.namespace_ = "istio-system";
  agent.workload.name = "gw";
  agent.workload.labels = {{"app", "gateway"}};
  agent.workload.role = trust::Role::kGateway;
  plane_->inventory.Connect(agent, [](const absl::Status&) {});
  ASSERT_EQ(explain({"--workload", "istio-system/gw"}, "1.1.1.1,2.2.2.2,3.3.3.3"), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("Workload: istio-system/gw (gateway), revision 1"));
  EXPECT_THAT(out_, HasSubstr("Trusted client: 2.2.2.2"));
}

TEST_F(CommandsTest, ExplainsAnAccessToTheAddressThatItIsAimedAt) {
  const std::string path = File("only-old.yaml",
                                "apiVersion: whence.dev/v1\n"
                                "kind: IpPolicy\n"
                                "metadata: {name: only-old, namespace: shop}\n"
                                "spec:\n"
                                "  action: DENY\n"
                                "  rules: [{when: [{key: destination.ip, notValues: "
                                "[10.0.0.1, '2001:db8::1']}]}]\n");
  ASSERT_EQ(Ctl({"apply", "-f", path}), 0) << err_;
  discovery::Agent agent;
  agent.id = "shop/web";
  agent.workload.namespace_ = "shop";
  agent.workload.name = "web";
  agent.workload.addresses = {*net::IpAddress::Parse("10.0.0.1"),
                              *net::IpAddress::Parse("2001:db8::1"),
                              *net::IpAddress::Parse("2001:db8::2")};
  plane_->inventory.Connect(agent, [](const absl::Status&) {});
  struct {
    std::vector<std::string> access;
    const char* decision;
    bool doubts;
  } const rows[] = {
      {{"--workload", "shop/web", "--peer", "10.9.9.9"}, "Decision: allow", false},
      {{"--workload", "shop/web", "--peer", "10.9.9.9", "--destination", "10.0.0.2"},
       "Decision: deny",
       false},
      // Which of two?
      {{"--workload", "shop/web", "--peer", "2001:db8::9"}, "Decision: deny", true},
      {{"--workload", "shop/web", "--peer", "2001:db8::9", "--destination", "2001:db8::1"},
       "Decision: allow",
       false},
      {{"--labels", "a=b", "-n", "shop", "--peer", "10.9.9.9"}, "Decision: deny", true},
      {{"--labels", "a=b", "-n", "shop", "--peer", "10.9.9.9", "--destination", "10.0.0.1"},
       "Decision: allow",
       false},
      {{"--labels", "a=b", "-n", "other", "--peer", "10.9.9.9"}, "Decision: allow", false},
  };
  for (const auto& row : rows) {
    std::vector<std::string> arguments = {"explain"};
    arguments.insert(arguments.end(), row.access.begin(), row.access.end());
    ASSERT_EQ(Ctl(arguments), 0) << err_;
    EXPECT_THAT(out_, HasSubstr(row.decision)) << ::testing::PrintToString(row.access);
    const std::string doubt = "shop/only-old looks at destination.ip, which was not given: ";
    EXPECT_EQ(out_.find(doubt) != std::string::npos, row.doubts)
        << ::testing::PrintToString(row.access);
  }
}

TEST_F(CommandsTest, SaysWhatToDoWhenNobodyAnswers) {
  plane_.reset();
  EXPECT_EQ(Ctl({"get", "all"}), 1);
  EXPECT_THAT(err_, HasSubstr("cannot reach the control plane at unix:"));
  EXPECT_THAT(err_, HasSubstr("is whence-control running? set --control-plane"));
  EXPECT_EQ(std::count(err_.begin(), err_.end(), '\n'), 1) << err_;
}

TEST_F(CommandsTest, NamesTheVariableOfEveryFlag) {
  for (const char* command : {"apply", "get", "delete", "agents", "logs", "explain"}) {
    ASSERT_EQ(Ctl({command, "--help"}), 0);
    std::istringstream lines(out_);
    for (std::string line; std::getline(lines, line);) {
      const size_t word = line.find_first_not_of(' ');
      if (word == std::string::npos || line[word] != '-' || line.compare(word, 4, "-h,-") == 0)
        continue;
      EXPECT_THAT(line, HasSubstr("WHENCE_")) << command;
    }
  }
}

TEST_F(CommandsTest, RefusesWrongUsageWithCodeTwo) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {},
           {"appply"},
           {"apply"},
           {"get"},
           {"get", "all", "-o", "xml"},
           {"delete", "ipset"},
           {"logs", "--client", "10.0.0.0/33"},
           {"logs", "--since", "10"},
           {"logs", "--decision", "maybe"},
           {"logs", "--workload", "web"},
           {"explain", "--peer", "1.2.3.4"},
           {"explain", "--labels", "a", "--peer", "1.2.3.4"},
           {"explain", "--workload", "a/b", "--peer", "host"},
           {"explain", "--workload", "a/b", "--peer", "1.2.3.4", "--destination", "web"},
           {"explain", "--workload", "a/b", "--labels", "a=b", "--peer", "1.2.3.4"}}) {
    EXPECT_EQ(Ctl(arguments), 2) << (arguments.empty() ? "" : arguments[0]);
    EXPECT_THAT(err_, HasSubstr("see whencectl --help"));
  }
  EXPECT_EQ(Ctl({"--version"}), 0);
  EXPECT_EQ(out_, "whencectl " WHENCE_VERSION "\n");
  EXPECT_EQ(Ctl({"apply", "--help"}), 0);
  EXPECT_THAT(out_, HasSubstr("--dry-run"));
}

// ---- Large sets ----

std::string Feed(int count, const std::string& more = "") {
  std::string feed = "# a feed\n";
  for (int i = 0; i < count; ++i) {
    feed += "10." + std::to_string(i / 250) + "." + std::to_string(i % 250) + ".0/24\n";
  }
  return feed + more;
}

TEST_F(CommandsTest, LoadsAListAndSendsOnlyWhatIsNew) {
  ASSERT_EQ(Ctl({"ipset", "load", "bad", File("feed", Feed(60'000)), "-n", "shop", "--dry-run"}), 0)
      << err_;
  EXPECT_EQ(out_, "60000 CIDRs\nIpSet shop/bad created (dry run)\n");
  ASSERT_EQ(Ctl({"ipset", "load", "bad", File("feed", Feed(60'000)), "-n", "shop"}), 0) << err_;
  EXPECT_EQ(out_, "60000 CIDRs\nIpSet shop/bad created\nrevision 1\n");
  ASSERT_EQ(Ctl({"ipset", "load", "bad", "-", "-n", "shop"}, Feed(60'000, "2001:db8::/32 ; new\n")),
            0);
  EXPECT_EQ(out_, "60001 CIDRs\nIpSet shop/bad updated\nrevision 2\n");
  ASSERT_EQ(Ctl({"ipset", "load", "bad", "-", "-n", "shop"}, Feed(60'000, "2001:db8::/32\n")), 0);
  EXPECT_THAT(out_, HasSubstr("nothing to change"));
  ASSERT_EQ(Ctl({"get", "ipsets"}), 0);
  EXPECT_THAT(out_, HasSubstr("60001 CIDRs"));

  // The same as a document, with the list in it and beside it.
  const std::string head =
      "apiVersion: whence.dev/v1\nkind: IpSet\nmetadata: {name: bad, namespace: shop}\nspec:\n";
  File("feed", Feed(60'000, "2001:db8::/32\n"));
  EXPECT_EQ(Ctl({"apply", "-f", File("set.yaml", head + "  file: feed\n")}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("unchanged"));
  ASSERT_EQ(Ctl({"get", "ipset", "bad", "-n", "shop", "-o", "yaml"}), 0);
  EXPECT_THAT(out_, HasSubstr("- 10.239.249.0/24\n"));
  EXPECT_EQ(Ctl({"apply", "-f", File("inline.yaml", out_)}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("unchanged"));
}

TEST_F(CommandsTest, LoadKeepsTheLabelsAndRefusesWhatIsNoList) {
  File("set.yaml",
       "apiVersion: whence.dev/v1\nkind: IpSet\nmetadata: {name: bad, namespace: shop, labels: "
       "{team: net}}\nspec: {cidrs: [192.0.2.0/24]}\n");
  ASSERT_EQ(Ctl({"apply", "-f", directory_ + "/set.yaml"}), 0) << err_;
  ASSERT_EQ(Ctl({"ipset", "load", "bad", "-", "-n", "shop"}, "198.51.100.7/24\n"), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("warning: -:1:1: \"198.51.100.7/24\" means the whole range"));
  ASSERT_EQ(Ctl({"get", "ipset", "bad", "-n", "shop", "-o", "yaml"}), 0);
  EXPECT_THAT(out_, HasSubstr("team: net"));
  EXPECT_THAT(out_, HasSubstr("198.51.100.0/24"));
  EXPECT_EQ(Ctl({"ipset", "load", "bad", "-", "-n", "shop"}, "1.2.3.4\n\nnonsense\n"), 1);
  EXPECT_THAT(err_, HasSubstr("-:3:1: \"nonsense\": not an IP address"));
  EXPECT_EQ(Ctl({"ipset", "load", "bad", "-", "-n", "shop"}, "# nothing\n"), 1);
  EXPECT_THAT(err_, HasSubstr("no CIDR in -"));
  EXPECT_EQ(Ctl({"ipset", "load", "bad", directory_ + "/none"}), 1);
  EXPECT_EQ(Ctl({"ipset", "load", "bad", directory_}), 1) << "a directory";
  ASSERT_EQ(Ctl({"get", "ipset", "bad", "-n", "shop", "-o", "yaml"}), 0);
  EXPECT_THAT(out_, HasSubstr("198.51.100.0/24")) << "unchanged";
  EXPECT_EQ(Ctl({"ipset"}), 2);
}

TEST_F(CommandsTest, AFaultInALargeFileHasItsPlaceOnce) {
  std::string text =
      "apiVersion: whence.dev/v1\nkind: IpSet\nmetadata: {name: bad, namespace: shop}\nspec:\n"
      "  cidrs:\n";
  for (int i = 0; i < 20'000; ++i) text += "  - 10.1." + std::to_string(i % 250) + ".0/24\n";
  EXPECT_EQ(Ctl({"apply", "-f", File("big.yaml", text + "  - 10.1.1.1/40\n")}), 1);
  EXPECT_THAT(err_, HasSubstr("big.yaml:20006:5: IpSet shop/bad: spec.cidrs[20000]: "));
  EXPECT_THAT(err_, HasSubstr(": 1 fault\n"));
}

TEST_F(CommandsTest, MakesACaAndIssuesFilesThatNobodyElseReadsAndNeverOverwrites) {
  const std::string dir = directory_ + "/ca";
  ASSERT_EQ(Ctl({"certs", "init", "--dir", dir, "--trust-domain", "prod.example"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("spiffe://prod.example"));
  EXPECT_EQ(Ctl({"certs", "init", "--dir", dir}), 1);
  EXPECT_THAT(err_, HasSubstr("is not overwritten"));
  ASSERT_EQ(Ctl({"certs", "issue", "agent", "shop/web", "--dir", dir, "-o", "json"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("\"uri\": \"spiffe://prod.example/ns/shop/workload/web\""));
  ASSERT_EQ(Ctl({"certs", "issue", "agent", "shop/door", "--role", "gateway", "--dir", dir, "-o",
                 "json"}),
            0)
      << err_;
  EXPECT_THAT(out_, HasSubstr("\"uri\": \"spiffe://prod.example/ns/shop/gateway/door\""));
  ASSERT_EQ(Ctl({"certs", "issue", "workload", "shop/host", "--role", "node", "--dir", dir, "-o",
                 "json"}),
            0)
      << err_;
  EXPECT_THAT(out_, HasSubstr("\"uri\": \"spiffe://prod.example/ns/shop/nodes/host\""));
  ASSERT_EQ(Ctl({"certs", "issue", "operator", "ana", "--access", "editor", "--dir", dir}), 0);
  EXPECT_THAT(out_, HasSubstr("/operator/ana/role/editor"));
  ASSERT_EQ(Ctl({"certs", "issue", "control-plane", "main", "--dir", dir, "--address",
                 "10.0.0.5,whence.example", "--out", dir + "/main"}),
            0)
      << err_;
  for (const char* file : {"ca.key", "ca.crt", "agent-shop-web.key", "agent-shop-web.crt",
                           "operator-ana.key", "main.key", "main.crt"}) {
    EXPECT_EQ(static_cast<int>(std::filesystem::status(dir + "/" + file).permissions()), 0600)
        << file;
  }
  // A file in the way of either half: nothing is left behind.
  File("taken.crt", "mine");
  EXPECT_EQ(
      Ctl({"certs", "issue", "operator", "bob", "--dir", dir, "--out", directory_ + "/taken"}), 1);
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/taken.key"));
}

TEST_F(CommandsTest, RefusesToIssueWhatNobodyCouldUse) {
  EXPECT_EQ(Ctl({"certs", "issue", "operator", "ana", "--dir", directory_ + "/none"}), 1);
  EXPECT_THAT(err_, HasSubstr("whencectl certs init"));
  EXPECT_EQ(Ctl({"certs", "issue", "agent", "web"}), 2);
  EXPECT_THAT(err_, HasSubstr("NAMESPACE/NAME"));
  EXPECT_EQ(Ctl({"certs", "issue", "agent", "a/b/c"}), 2);
  EXPECT_EQ(Ctl({"certs", "issue", "operator", "ana,URI:x"}), 2);
  EXPECT_EQ(Ctl({"certs", "issue", "operator", "ana", "--access", "root"}), 2);
  EXPECT_EQ(Ctl({"certs", "issue", "operator", "ana", "--role", "gateway"}), 2);
  EXPECT_EQ(Ctl({"certs", "issue", "agent", "a/b", "--role", "root"}), 2);
  EXPECT_EQ(Ctl({"certs", "issue", "control-plane", "main"}), 2);
  EXPECT_THAT(err_, HasSubstr("--address"));
}

TEST_F(CommandsTest, ListsWhatWasRefused) {
  EXPECT_EQ(Ctl({"refusals"}), 0);
  EXPECT_THAT(err_, HasSubstr("nothing was refused"));
  plane_->refusals.Record({"spiffe://d/x\x1b[2J", "ipv4:10.0.0.9:1", "/a/B", "is for editors"});
  EXPECT_EQ(Ctl({"refusals"}), 0);
  EXPECT_THAT(out_, HasSubstr("is for editors"));
  EXPECT_THAT(out_, Not(HasSubstr("\x1b")));
  EXPECT_EQ(Ctl({"refusals", "-o", "json"}), 0);
  EXPECT_THAT(out_, HasSubstr("\"method\": \"/a/B\""));
}

}  // namespace
}  // namespace whence::ctl
