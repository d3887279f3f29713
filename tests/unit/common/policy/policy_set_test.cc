#include "common/policy/policy_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/strings.h"
#include "common/trust/resolver.h"

namespace whence::policy {
namespace {

using ::testing::HasSubstr;

net::IpAddress Ip(std::string_view text) { return net::IpAddress::Parse(text).value(); }

// The client that the resolver finds for a connection without evidence is its peer.
net::TrustedClient Client(std::string_view text) {
  return trust::Resolve(net::DirectPeer{{Ip(text), 1}}, {},
                        trust::DefaultTopology(trust::Role::kGateway))
      .client;
}

RequestFacts Http(std::string_view method, std::string_view target,
                  std::string_view client = "2.2.2.2") {
  return RequestFacts{.peer = {{Ip("10.128.0.54"), 40000}},
                      .client = Client(client),
                      .destination = {{Ip("10.0.2.7"), 8080}},
                      .is_http = true,
                      .method = method,
                      .host = "echo.example",
                      .target = target};
}

RequestFacts Tcp(uint16_t port, std::string_view client = "2.2.2.2") {
  return RequestFacts{.peer = {{Ip("10.128.0.54"), 40000}},
                      .client = Client(client),
                      .destination = {{Ip("10.0.2.7"), port}}};
}

PolicySpec Policy(std::string name, Action action, std::vector<Rule> rules) {
  return PolicySpec{
      .namespace_ = "foo", .name = std::move(name), .action = action, .rules = std::move(rules)};
}

Rule ForClients(std::vector<std::string> blocks) {
  return Rule{.from = {Source{.remote_ip_blocks = std::move(blocks)}}};
}
Rule ForPaths(std::vector<std::string> paths) {
  return Rule{.to = {Operation{.paths = std::move(paths)}}};
}

std::shared_ptr<const PolicySet> Compiled(const std::vector<PolicySpec>& specs,
                                          const IpSetLookup& sets = nullptr) {
  auto policies = PolicySet::Compile(specs, sets);
  EXPECT_TRUE(policies.ok()) << policies.status();
  return policies.ok() ? *policies : nullptr;
}

// "allow", "allow foo/a#0", "deny foo/b#1", "deny not-allowed", and " dry foo/c" behind it.
std::string Decided(const PolicySet& policies, const RequestFacts& facts) {
  const Verdict verdict = policies.Evaluate(facts);
  std::string text = verdict.allowed ? "allow" : "deny";
  text += " " + (verdict.policy ? *verdict.policy + "#" + std::to_string(verdict.rule)
                                : std::string(VerdictReasonText(verdict.reason)));
  if (verdict.dry_run_deny) {
    text += " dry " + (verdict.dry_run_policy ? *verdict.dry_run_policy : std::string("-"));
  }
  // Explaining must not change the decision.
  std::vector<PolicyStep> steps;
  const Verdict explained = policies.Explain(facts, &steps);
  EXPECT_EQ(explained.allowed, verdict.allowed);
  EXPECT_EQ(explained.policy, verdict.policy);
  EXPECT_EQ(explained.rule, verdict.rule);
  EXPECT_EQ(explained.dry_run_policy, verdict.dry_run_policy);
  for (const PolicyStep& step : steps) EXPECT_NE(step.why, "") << step.policy;
  return text;
}

TEST(PolicySetTest, DeniesBeforeItAllows) {
  const auto policies = Compiled({Policy("b", Action::kAllow, {Rule{}}),
                                  Policy("a", Action::kDeny, {ForClients({"2.2.2.2/24"})})});
  EXPECT_EQ(Decided(*policies, Http("GET", "/")), "deny foo/a#0");
  EXPECT_EQ(Decided(*policies, Http("GET", "/", "::ffff:2.2.2.99")), "deny foo/a#0");
  EXPECT_EQ(Decided(*policies, Http("GET", "/", "2.2.3.2")), "allow foo/b#0");
  EXPECT_EQ(Decided(*policies, Tcp(5432)), "deny foo/a#0");
}

TEST(PolicySetTest, LooksAtTheAddressThatIsNamed) {
  const auto policies = Compiled({Policy(
      "ip", Action::kDeny,
      {Rule{.from = {Source{.ip_blocks = {"2.2.2.2"}}}},
       Rule{.from = {Source{.remote_ip_blocks = {"10.128.0.54"}}}},
       Rule{.when = {Condition{.key = "destination.ip", .values = {"2.2.2.2", "10.128.0.54"}}}}})});
  EXPECT_EQ(Decided(*policies, Http("GET", "/")), "allow no-policy");
}

TEST(PolicySetTest, WithoutPoliciesEverythingEnters) {
  EXPECT_EQ(Decided(*Compiled({}), Http("GET", "/")), "allow no-policy");
  EXPECT_EQ(Decided(*Compiled({}), Tcp(1)), "allow no-policy");
}

TEST(PolicySetTest, AnAllowPolicyWithoutRulesAllowsNothing) {
  const auto policies = Compiled({Policy("none", Action::kAllow, {})});
  EXPECT_EQ(Decided(*policies, Http("GET", "/")), "deny not-allowed");
  EXPECT_EQ(Decided(*policies, Tcp(1)), "deny not-allowed");
}

TEST(PolicySetTest, ReportsTheLeastKeyInByteOrder) {
  std::vector<Rule> rules(11, ForPaths({"/x"}));
  rules[2] = rules[10] = Rule{};
  const auto policies =
      Compiled({Policy("z", Action::kDeny, {Rule{}}), Policy("m", Action::kDeny, rules),
                // "a]" sorts behind "a-b]" since '-' is less than ']'.
                Policy("a", Action::kAllow, {Rule{}}), Policy("a-b", Action::kAllow, {Rule{}})});
  EXPECT_EQ(Decided(*policies, Http("GET", "/")), "deny foo/m#10");
  const auto allowing =
      Compiled({Policy("a", Action::kAllow, {Rule{}}), Policy("a-b", Action::kAllow, {Rule{}})});
  EXPECT_EQ(Decided(*allowing, Http("GET", "/")), "allow foo/a-b#0");
}

TEST(PolicySetTest, OtherNamesOfAPathAreRefusedToo) {
  const auto policies = Compiled({Policy("p", Action::kDeny, {ForPaths({"/admin*"})})});
  for (const std::string_view target : {"/admin", "/admin/x?y", "//admin", "/x/../admin",
                                        "/%61dmin", "/x%2f..%5cadmin", "http://other/admin"}) {
    EXPECT_EQ(Decided(*policies, Http("GET", target)), "deny foo/p#0") << target;
  }
  EXPECT_EQ(Decided(*policies, Http("GET", "/public?x=/admin")), "allow no-policy");
}

TEST(PolicySetTest, APathTooLongToRewriteIsDenied) {
  const std::string longer = "/./" + std::string(kMaxNormalizedPath, 'a');
  const auto by_path = Compiled({Policy("p", Action::kDeny, {ForPaths({"/admin"})})});
  EXPECT_EQ(Decided(*by_path, Http("GET", longer)), "deny path-too-long");
  EXPECT_EQ(Decided(*by_path, Http("GET", longer.substr(2))), "allow no-policy");
  const auto by_address = Compiled({Policy("a", Action::kDeny, {ForClients({"6.6.6.6"})})});
  EXPECT_EQ(Decided(*by_address, Http("GET", longer)), "allow no-policy");
  auto dry = Policy("d", Action::kDeny, {ForPaths({"/admin"})});
  dry.dry_run = true;
  EXPECT_EQ(Decided(*Compiled({dry}), Http("GET", longer)), "allow no-policy dry foo/d");
}

TEST(PolicySetTest, OnTcpHttpAttributesVoidAnAllowAndWidenADeny) {
  const Rule rule{
      .from = {Source{.ip_blocks = {"10.0.0.0/8"}}, Source{.not_request_principals = {"x"}}},
      .to = {Operation{.ports = {"5432"}}}};
  EXPECT_EQ(Decided(*Compiled({Policy("a", Action::kAllow, {rule})}), Tcp(5432)),
            "deny not-allowed");
  EXPECT_EQ(Decided(*Compiled({Policy("d", Action::kDeny, {rule})}), Tcp(5432)), "deny foo/d#0");
  EXPECT_EQ(Decided(*Compiled({Policy("d", Action::kDeny, {rule})}), Tcp(80)), "allow no-policy");
  const Rule siblings{.to = {Operation{.ports = {"1"}}, Operation{.methods = {"POST"}}}};
  EXPECT_EQ(Decided(*Compiled({Policy("d", Action::kDeny, {siblings})}), Tcp(5432)),
            "deny foo/d#0");
}

TEST(PolicySetTest, ConditionsOnRequestPartsIgnoreCaseWhereHttpDoes) {
  const Rule rule{.when = {Condition{.key = "request.headers[:authority]", .values = {"ECHO.*"}},
                           Condition{.key = "request.headers[:method]", .values = {"GET"}},
                           Condition{.key = "request.headers[X-Env]", .not_values = {"test*"}}}};
  const auto policies = Compiled({Policy("a", Action::kAllow, {rule})});
  EXPECT_EQ(Decided(*policies, Http("GET", "/")), "allow foo/a#0");
  EXPECT_EQ(Decided(*policies, Http("get", "/")), "deny not-allowed");
  const http::HeaderField fields[] = {{"x-env", "test-1"}};
  RequestFacts facts = Http("GET", "/");
  facts.headers = fields;
  EXPECT_EQ(Decided(*policies, facts), "deny not-allowed");
}

// HTTP/2's names for parts of a request are header names, and header names ignore case.
TEST(PolicySetTest, PseudoHeadersIgnoreCase) {
  const std::pair<const char*, const char*> rows[] = {
      {"request.headers[:authority]", "Echo.example"},
      {"request.headers[:Authority]", "ECHO.*"},
      {"request.headers[:method]", "GET"},
      {"request.headers[:METHOD]", "GET"},
  };
  for (const auto& [key, value] : rows) {
    const auto policies = Compiled(
        {Policy("p", Action::kDeny, {Rule{.when = {Condition{.key = key, .values = {value}}}}})});
    EXPECT_EQ(Decided(*policies, Http("GET", "/")), "deny foo/p#0") << key;
  }
  EXPECT_FALSE(
      PolicySet::Compile(
          {Policy("p", Action::kDeny,
                  {Rule{.when = {Condition{.key = "request.headers[:Path]", .values = {"/x"}}}}})},
          nullptr)
          .ok());
}

TEST(PolicySetTest, SetsAreLookedUpInThePolicysNamespace) {
  const auto set = std::make_shared<const net::CidrSet>(
      std::vector<net::Cidr>{*net::Cidr::Parse("2.2.2.0/24"), *net::Cidr::Parse("2001:db8::/32")});
  const IpSetLookup sets = [&](const std::string& name) {
    return name == "foo/bad" || name == "ops/bad" ? set : nullptr;
  };
  for (const char* name : {"bad", "foo/bad", "ops/bad"}) {
    const auto policies =
        Compiled({Policy("s", Action::kDeny, {Rule{.from = {Source{.remote_ip_sets = {name}}}}}),
                  Policy("p", Action::kDeny, {Rule{.from = {Source{.ip_sets = {name}}}}})},
                 sets);
    EXPECT_EQ(Decided(*policies, Http("GET", "/")), "deny foo/s#0") << name;
    EXPECT_EQ(Decided(*policies, Http("GET", "/", "2001:db8::1")), "deny foo/s#0") << name;
    EXPECT_EQ(Decided(*policies, Http("GET", "/", "3.3.3.3")), "allow no-policy") << name;
  }
  const auto negated = Compiled(
      {Policy("n", Action::kAllow, {Rule{.from = {Source{.not_remote_ip_sets = {"bad"}}}}})}, sets);
  EXPECT_EQ(Decided(*negated, Http("GET", "/")), "deny not-allowed");
}

TEST(PolicySetTest, ExpiryEndsAGrantWithoutOpeningTheDoor) {
  auto allow = Policy("guest", Action::kAllow, {ForClients({"2.2.2.2"})});
  allow.expires = "2026-01-01T00:00:00Z";
  auto deny = Policy("ban", Action::kDeny, {ForClients({"3.3.3.3"})});
  deny.expires = "2026-01-01T01:00:00+01:00";
  const auto policies = Compiled({allow, deny});
  const WallTime end{std::chrono::seconds(1767225600)};
  RequestFacts guest = Http("GET", "/");
  RequestFacts banned = Http("GET", "/", "3.3.3.3");
  guest.now = banned.now = end - std::chrono::microseconds(1);
  EXPECT_EQ(Decided(*policies, guest), "allow foo/guest#0");
  EXPECT_EQ(Decided(*policies, banned), "deny foo/ban#0");
  guest.now = banned.now = end;
  EXPECT_EQ(Decided(*policies, guest), "deny not-allowed");
  EXPECT_EQ(Decided(*policies, banned), "deny not-allowed");
}

TEST(PolicySetTest, NamesTheNextMomentAtWhichAGrantEnds) {
  const WallTime end{std::chrono::seconds(1767225600)};
  auto allow = Policy("guest", Action::kAllow, {ForClients({"2.2.2.2"})});
  allow.expires = "2026-01-01T00:00:00Z";
  auto longer = Policy("staff", Action::kAllow, {ForClients({"2.2.2.3"})});
  longer.expires = "2026-01-01T00:00:10Z";
  auto deny = Policy("ban", Action::kDeny, {ForClients({"3.3.3.3"})});
  deny.expires = "2025-01-01T00:00:00Z";  // whoever it let in by its end was not in before
  auto dry = Policy("dry", Action::kAllow, {Rule{}});
  dry.expires = "2025-01-01T00:00:00Z";
  dry.dry_run = true;
  const auto policies =
      Compiled({longer, allow, deny, dry, Policy("ever", Action::kAllow, {ForPaths({"/x"})})});
  const auto second = std::chrono::seconds(1);
  EXPECT_EQ(policies->NextEnd(WallTime()), end);
  EXPECT_EQ(policies->NextEnd(end - second), end);
  EXPECT_EQ(policies->NextEnd(end), end + 10 * second);
  EXPECT_EQ(policies->NextEnd(end + 10 * second), std::nullopt);
}

// Before a request: only what every request would come to.
TEST(PolicySetTest, WithoutARequestItDeniesWhatWouldDenyEveryRequest) {
  using Known = RequestFacts::Known;
  const Rule from_peer{.from = {Source{.ip_blocks = {"10.128.0.0/16"}}}};
  const Rule on_port{.to = {Operation{.ports = {"8080"}}}};
  const Rule elsewhere{.to = {Operation{.not_paths = {"/public"}}}};
  const Rule with_header{.when = {Condition{.key = "request.headers[x]", .not_values = {"1"}}}};
  const Rule half{.to = {Operation{.ports = {"8080"}, .methods = {"GET"}}}};
  const Rule either{.to = {Operation{.methods = {"GET"}}, Operation{.ports = {"8080"}}}};
  const Rule other_port{.to = {Operation{.ports = {"1"}, .paths = {"/x"}}}};
  const Rule user{.from = {Source{.principals = {"*"}}}};
  struct {
    const char* what;
    Action action;
    Rule rule;
    Known known;
    const char* decided;
  } rows[] = {
      {"the peer", Action::kDeny, from_peer, Known::kPeer, "deny foo/p#0"},
      {"the port", Action::kDeny, on_port, Known::kConnection, "deny foo/p#0"},
      {"everything", Action::kDeny, Rule{}, Known::kPeer, "deny foo/p#0"},
      {"all but one path", Action::kDeny, elsewhere, Known::kConnection, "allow no-policy"},
      {"some path", Action::kDeny, ForPaths({"/x"}), Known::kConnection, "allow no-policy"},
      {"any path", Action::kDeny, ForPaths({"*"}), Known::kConnection, "allow no-policy"},
      {"without a header", Action::kDeny, with_header, Known::kConnection, "allow no-policy"},
      {"a method on this port", Action::kDeny, half, Known::kConnection, "allow no-policy"},
      {"a method, or this port", Action::kDeny, either, Known::kConnection, "deny foo/p#0"},
      {"the client", Action::kDeny, ForClients({"2.2.2.2"}), Known::kConnection, "deny foo/p#0"},
      {"a client whom the peer may not name", Action::kDeny, ForClients({"2.2.2.2"}), Known::kPeer,
       "allow no-policy"},
      {"who asks elsewhere", Action::kCustom, ForPaths({"/x"}), Known::kConnection,
       "allow no-policy"},
      {"grant of a path", Action::kAllow, ForPaths({"/x"}), Known::kConnection, "allow foo/p#0"},
      {"grant on another port", Action::kAllow, other_port, Known::kConnection, "deny not-allowed"},
      {"grant to another", Action::kAllow, ForClients({"3.3.3.3"}), Known::kConnection,
       "deny not-allowed"},
      {"grant to one whom the peer may name", Action::kAllow, ForClients({"3.3.3.3"}), Known::kPeer,
       "allow foo/p#0"},
      {"grant to who has an identity", Action::kAllow, user, Known::kPeer, "deny not-allowed"},
      {"no grant at all", Action::kAllow, {}, Known::kPeer, "allow foo/p#0"},
  };
  for (const auto& row : rows) {
    RequestFacts facts = Http("", "");
    facts.host = {};
    facts.known = row.known;
    EXPECT_EQ(Decided(*Compiled({Policy("p", row.action, {row.rule})}), facts), row.decided)
        << row.what;
  }
}

TEST(PolicySetTest, DryRunIsReportedAndNotEnforced) {
  auto dry_deny = Policy("dd", Action::kDeny, {ForClients({"2.2.2.2"})});
  dry_deny.dry_run = true;
  auto dry_allow = Policy("da", Action::kAllow, {ForClients({"4.4.4.4"})});
  dry_allow.dry_run = true;
  const auto allow = Policy("a", Action::kAllow, {ForClients({"2.2.2.2", "3.3.3.3"})});
  const auto deny = Policy("d", Action::kDeny, {ForClients({"2.2.2.2"})});
  struct {
    const char* what;
    std::vector<PolicySpec> specs;
    const char* client;
    const char* decided;
  } rows[] = {
      {"would be denied", {dry_deny}, "2.2.2.2", "allow no-policy dry foo/dd"},
      {"would not", {dry_deny}, "3.3.3.3", "allow no-policy"},
      {"would be denied although allowed",
       {allow, dry_deny},
       "2.2.2.2",
       "allow foo/a#0 dry foo/dd"},
      {"is denied anyway", {deny, dry_deny}, "2.2.2.2", "deny foo/d#0"},
      {"nothing would allow it", {dry_allow}, "2.2.2.2", "allow no-policy dry foo/da"},
      {"it would be allowed", {dry_allow}, "4.4.4.4", "allow no-policy"},
      {"an enforced policy allows it still", {allow, dry_allow}, "3.3.3.3", "allow foo/a#0"},
      {"a dry-run grant is none", {allow, dry_allow}, "4.4.4.4", "deny not-allowed"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(Decided(*Compiled(row.specs), Http("GET", "/", row.client)), row.decided) << row.what;
  }
}

TEST(PolicySetTest, WhatNobodyCanDecideIsDenied) {
  const auto custom = Compiled({Policy("ext", Action::kCustom, {ForPaths({"/admin"})}),
                                Policy("all", Action::kAllow, {Rule{}})});
  EXPECT_EQ(Decided(*custom, Http("GET", "/admin")), "deny foo/ext#0");
  EXPECT_EQ(Decided(*custom, Http("GET", "/")), "allow foo/all#0");
  const auto audit = Compiled({Policy("watch", Action::kAudit, {Rule{}})});
  EXPECT_EQ(Decided(*audit, Http("GET", "/admin")), "allow no-policy");
}

TEST(PolicySetTest, ExplainsEachRuleItAsked) {
  const auto policies =
      Compiled({Policy("a", Action::kAllow, {ForPaths({"/admin*", "/x"}), ForClients({"3.3.3.3"})}),
                Policy("d", Action::kDeny, {ForClients({"2.2.2.2/24"})}),
                Policy("z", Action::kAudit, {Rule{}})});
  std::vector<PolicyStep> steps;
  policies->Explain(Http("GET", "/", "2.2.2.77"), &steps);
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[0].rule, -1);
  EXPECT_EQ(steps[0].why, "AUDIT decides nothing");
  EXPECT_TRUE(steps[1].matched);
  EXPECT_EQ(steps[1].why, "remoteIpBlocks 2.2.2.0/24 holds 2.2.2.77");

  steps.clear();
  policies->Explain(Http("GET", "/y/../z"), &steps);
  policies->Explain(Http("GET", "/y/../z", "9.9.9.9"), &steps);
  EXPECT_EQ(steps.back().why, "wants remoteIpBlocks 3.3.3.3; the client is 9.9.9.9");
  EXPECT_EQ(steps[steps.size() - 2].why, "wants paths /admin*, /x; the path is /z");
}

TEST(PolicySetTest, RefusesWholeAndNamesEveryFault) {
  PolicySpec bad =
      Policy("bad", Action::kAllow,
             {Rule{.from = {Source{.ip_blocks = {"10.0.0.0/8", "10.0.0.0/33"},
                                   .not_remote_ip_blocks = {"x"},
                                   .ip_sets = {"gone"}},
                            Source{}},
                   .to = {Operation{.ports = {"0", "http", "65536", "80"}, .paths = {"/{x}", ""}}},
                   .when = {Condition{.key = "request.headers[]", .values = {"a"}},
                            Condition{.key = "source.ip"},
                            Condition{.key = "remote.ip", .not_values = {"1.2.3"}}}}});
  bad.expires = "tomorrow";
  const auto policies = PolicySet::Compile(
      {bad, Policy("twice", Action::kDeny, {}), Policy("twice", Action::kDeny, {})}, nullptr);
  ASSERT_FALSE(policies.ok());
  EXPECT_EQ(policies.status().code(), absl::StatusCode::kInvalidArgument);
  const std::string message(policies.status().message());
  for (const char* fault :
       {"policy \"foo/bad\": spec.rules[0].from[0].source.ipBlocks[1]: \"10.0.0.0/33\": prefix "
        "length must be 0..32",
        "spec.rules[0].from[0].source.notRemoteIpBlocks[0]: \"x\": not an IP address or CIDR",
        "spec.rules[0].from[0].source.ipSets[0]: there is no IpSet \"foo/gone\"",
        "spec.rules[0].from[1].source: must set at least one field",
        "spec.rules[0].to[0].operation.ports[0]: \"0\": must be a port, 1..65535",
        "operation.ports[1]: \"http\"", "operation.ports[2]: \"65536\"",
        "operation.paths[0]: \"/{x}\": in a template", "operation.paths[1]: must not be empty",
        "spec.rules[0].when[0].key: \"request.headers[]\" is not known",
        "spec.rules[0].when[1]: must have values or notValues",
        "spec.rules[0].when[2].notValues[0]: \"1.2.3\"",
        "spec.expires: \"tomorrow\": must be RFC 3339", "policy \"foo/twice\": given twice"}) {
    EXPECT_THAT(message, HasSubstr(fault));
  }
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 13);
}

}  // namespace
}  // namespace whence::policy
