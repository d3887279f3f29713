// Cases that must warn, each with its place, and their neighbours that must not.
#include "common/lint/lint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace whence::lint {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

const char kPolicy[] =
    "apiVersion: whence.dev/v1\nkind: IpPolicy\nmetadata: {name: p, namespace: shop}\nspec:\n";
const char kDualStack[] =
    "---\napiVersion: whence.dev/v1\nkind: Mesh\nmetadata: {name: m, namespace: istio-system}\n"
    "spec: {podCidrs: [10.0.0.0/8, 2001:db8::/32]}\n";
const char kTopology[] =
    "---\napiVersion: whence.dev/v1\nkind: TrustTopology\nmetadata: {name: t, namespace: shop}\n"
    "spec: {selector: {matchLabels: {app: web}}, numTrustedProxies: 1}\n";
const char kGateway[] =
    "---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g, namespace: "
    "shop}\n"
    "spec:\n  selector: {app: edge}\n  servers:\n  - port: {number: 80, protocol: HTTP, name: h}\n"
    "    hosts: ['*']\n  - port: {number: 5432, protocol: TCP, name: t}\n    hosts: ['*']\n";
const char kService[] =
    "---\napiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: shop}\n"
    "spec: {selector: {app: db}, ports: [{name: pg, port: 5432, targetPort: 15432, appProtocol: "
    "tcp}]}\n";
const char kSets[] =
    "---\napiVersion: whence.dev/v1\nkind: IpSet\nmetadata: {name: four, namespace: shop}\n"
    "spec: {cidrs: [192.0.2.0/24]}\n---\napiVersion: whence.dev/v1\nkind: IpSet\n"
    "metadata: {name: both, namespace: shop}\nspec: {cidrs: [192.0.2.0/24, '2001:db8::/32']}\n";

std::string Deny(const std::string& rules) {
  return absl::StrCat(kPolicy, "  action: DENY\n  rules:\n", rules);
}
std::string Allow(const std::string& rules) { return absl::StrCat(kPolicy, "  rules:\n", rules); }
std::string From(const std::string& source) {
  return absl::StrCat("  - from: [{source: {", source, "}}]\n");
}
std::string To(const std::string& operation) {
  return absl::StrCat("  - to: [{operation: {", operation, "}}]\n");
}

// All in one file; every warning as "line:column path: message".
std::vector<std::string> Warnings(const std::string& text, Surroundings around = {}) {
  const document::ParseResult parsed = document::Parse("f.yaml", text, {});
  std::vector<v1::Document> whole;
  for (const auto& one : parsed.documents) whole.push_back(one.document);
  const document::Findings findings = document::Validate(parsed.documents, whole);
  for (const auto* faults : {&parsed.faults, &findings.faults}) {
    for (const v1::Fault& fault : *faults)
      ADD_FAILURE() << document::FaultText(fault) << "\n" << text;
  }
  std::vector<std::string> lines;
  for (const v1::Fault& warning : Lint(parsed.documents, whole, around)) {
    EXPECT_EQ(warning.file(), "f.yaml");
    EXPECT_EQ(warning.document(), "IpPolicy shop/p");
    lines.push_back(absl::StrCat(warning.line(), ":", warning.column(), " ", warning.path(), ": ",
                                 warning.message()));
  }
  return lines;
}

struct Case {
  const char* name;
  std::string text;
  const char* want;  // a part of the one warning; null: none may be
};

void Check(const std::vector<Case>& cases) {
  for (const Case& test : cases) {
    SCOPED_TRACE(test.name);
    const std::vector<std::string> lines = Warnings(test.text);
    if (test.want == nullptr) {
      EXPECT_THAT(lines, IsEmpty());
    } else {
      ASSERT_EQ(lines.size(), 1u) << test.text;
      EXPECT_THAT(lines[0], HasSubstr(test.want));
    }
  }
}

TEST(LintTest, ADenialOfIpv4AloneWhereIpv6IsServed) {
  Check({
      {"IPv4 only", Deny(From("ipBlocks: [192.0.2.0/24]")) + kDualStack,
       "7:22 spec.rules[0].from[0].source.ipBlocks: denies IPv4 only, but IPv6 is served"},
      {"condition", Deny("  - when: [{key: source.ip, values: [192.0.2.1]}]\n") + kDualStack,
       "spec.rules[0].when[0].values: denies IPv4 only"},
      {"set", Deny(From("ipSets: [four]")) + kDualStack + kSets,
       "spec.rules[0].from[0].source.ipSets: denies IPv4 only"},
      {"served by the Service",
       Deny(From("ipBlocks: [192.0.2.0/24]")) +
           "---\napiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: shop}\n"
           "spec: {selector: {app: w}, ipFamilies: [IPv4, IPv6], ports: [{port: 80}]}\n",
       "denies IPv4 only"},
      {"nobody serves IPv6", Deny(From("ipBlocks: [192.0.2.0/24]")), nullptr},
      {"both families", Deny(From("ipBlocks: [192.0.2.0/24, '2001:db8::/32']")) + kDualStack,
       nullptr},
      {"IPv6 in another rule",
       Deny(From("ipBlocks: [192.0.2.0/24]") + From("ipBlocks: ['2001:db8::/32']")) + kDualStack,
       nullptr},
      {"IPv6 in the set",
       Deny(From("ipBlocks: [198.51.100.0/24]") + From("ipSets: [both]")) + kDualStack + kSets,
       nullptr},
      {"IPv6 only", Deny(From("ipBlocks: ['2001:db8::/32']")) + kDualStack, nullptr},
      {"all but IPv4 ranges", Deny(From("notIpBlocks: [192.0.2.0/24]")) + kDualStack, nullptr},
      {"allowing IPv4 only is closed to IPv6", Allow(From("ipBlocks: [192.0.2.0/24]")) + kDualStack,
       nullptr},
  });
  Surroundings around;
  around.serves_ipv6 = true;
  EXPECT_EQ(Warnings(Deny(From("ipBlocks: [192.0.2.0/24]")), around).size(), 1u) << "an agent does";
}

TEST(LintTest, RemoteBlocksWhereNoProxyIsTrusted) {
  const std::string rule = From("remoteIpBlocks: [192.0.2.0/24]");
  const std::string web = "  selector: {matchLabels: {app: web}}\n";
  const std::string api = "  selector: {matchLabels: {app: api}}\n";
  const std::string edge = "  selector: {matchLabels: {app: edge}}\n";
  Check({
      {"nobody in front", Deny(rule),
       "7:22 spec.rules[0].from[0].source.remoteIpBlocks: looks at the trusted client, but"},
      {"another's topology", Deny(rule + api) + kTopology, "no proxy is trusted"},
      {"a gateway itself believes nobody", Deny(rule + edge) + kGateway, "no proxy is trusted"},
      {"negated", Deny(From("notRemoteIpBlocks: [192.0.2.0/24]")), "or notIpBlocks"},
      {"condition", Deny("  - when: [{key: remote.ip, values: [192.0.2.1]}]\n"), "or source.ip"},
      {"set", Deny(From("remoteIpSets: [both]")) + kSets, "or ipSets"},
      {"its topology", Deny(rule + web) + kTopology, nullptr},
      {"a topology may be of some of them", Deny(rule) + kTopology, nullptr},
      {"behind a gateway", Deny(rule + web) + kGateway, nullptr},
      {"the peer", Deny(From("ipBlocks: [192.0.2.0/24]")), nullptr},
  });
  Surroundings around;
  around.has_mesh_gateways = true;
  EXPECT_THAT(Warnings(Deny(rule + web), around), IsEmpty()) << "a gateway is connected";
}

TEST(LintTest, RulesThatCanNeverMatch) {
  Check({
      {"all taken out",
       Allow(From("ipBlocks: [10.1.0.0/16, 10.2.0.0/16], notIpBlocks: [10.0.0.0/8]")),
       "spec.rules[0].from[0].source.ipBlocks: can never match: notIpBlocks beside it"},
      {"some left", Allow(From("ipBlocks: [10.0.0.0/8], notIpBlocks: [10.1.0.0/16]")), nullptr},
      {"other family", Allow(From("ipBlocks: ['::/0'], notIpBlocks: [0.0.0.0/0]")), nullptr},
      {"set", Allow(From("ipSets: [both], notIpSets: [both]")) + kSets, "ipSets: can never match"},
      {"other set", Allow(From("ipSets: [both], notIpSets: [four]")) + kSets, nullptr},
      {"ports", Allow(To("ports: ['80'], notPorts: ['80']")), "ports: can never match: notPorts"},
      {"paths", Allow(To("paths: [/a/b], notPaths: [/a*]")), "paths: can never match: notPaths"},
      {"a path outside", Allow(To("paths: [/a/b, /c], notPaths: [/a*]")), nullptr},
      {"a wider pattern", Allow(To("paths: ['/a*'], notPaths: [/a/b]")), nullptr},
      {"method in lower case", Allow(To("methods: [get]")),
       "methods[0]: \"get\" can never match: methods are upper case"},
      {"path without slash", Allow(To("paths: [admin]")), "paths[0]: \"admin\" can never match"},
      {"any path", Allow(To("paths: ['*', '*.png', '/a']")), nullptr},
      {"condition",
       Allow("  - when: [{key: source.ip, values: [10.1.2.3], notValues: "
             "[10.0.0.0/8]}]\n"),
       "when[0].values: can never match"},
      {"two ports at once",
       Allow("  - when: [{key: destination.port, values: ['80']}, {key: "
             "destination.port, values: ['443']}]\n"),
       "when[1].values: can never match: when[0] wants other ports"},
      {"one of two",
       Allow("  - when: [{key: destination.port, values: ['80', '443']}, {key: "
             "destination.port, values: ['443']}]\n"),
       nullptr},
  });
}

TEST(LintTest, APolicyThatHasExpired) {
  const std::string expires = "  expires: \"2026-01-02T03:04:05Z\"\n";
  const std::string text = Deny(From("ipBlocks: [192.0.2.0/24]")) + expires;
  Surroundings around;
  around.now = WallTime(std::chrono::seconds(1767323045));
  const std::string allow = Allow(From("ipBlocks: [192.0.2.0/24]")) + expires;
  const std::string dry_run = "  mode: DRY_RUN\n";
  const std::pair<std::string, std::string> rows[] = {
      {text, "8:12 spec.expires: is in the past: this policy denies nobody any more"},
      {text + dry_run, "is in the past: this policy denies nobody any more"},
      {allow,
       "7:12 spec.expires: is in the past: this policy lets nobody in any more, and still shuts "
       "out "
       "whom no other ALLOW policy lets in; delete it if that is not meant"},
      {allow + dry_run,
       "is in the past: this policy lets nobody in any more, and whom no other ALLOW policy lets "
       "in is still logged as denied; delete it if that is not meant"},
  };
  for (const auto& [policy, warning] : rows) {
    ASSERT_EQ(Warnings(policy, around).size(), 1u) << policy;
    EXPECT_THAT(Warnings(policy, around)[0], HasSubstr(warning)) << policy;
  }
  around.now -= std::chrono::seconds(1);
  EXPECT_THAT(Warnings(text, around), IsEmpty());
  EXPECT_THAT(Warnings(text), IsEmpty()) << "without a clock nothing is past";
}

TEST(LintTest, RulesBehindOthersThatMatchAll) {
  const std::string other =
      "---\napiVersion: whence.dev/v1\nkind: IpPolicy\nmetadata: {name: q, namespace: shop}\n"
      "spec:\n  action: DENY\n";
  const std::string block = "  rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]\n";
  const std::string inner = From("ipBlocks: [10.1.0.0/16]");
  Check({
      {"wider ranges before", Deny(From("ipBlocks: [10.0.0.0/8]") + inner),
       "spec.rules[1]: adds nothing: rules[0] matches all that it does"},
      {"the same rule", Deny(inner + inner), "rules[1]: adds nothing"},
      {"everything before", Allow("  - {}\n" + inner), "rules[1]: adds nothing"},
      {"narrower before", Deny(inner + From("ipBlocks: [10.0.0.0/8]")), nullptr},
      {"with a port before",
       Deny("  - from: [{source: {ipBlocks: [10.0.0.0/8]}}]\n    to: [{operation: {ports: "
            "['80']}}]\n" +
            inner),
       nullptr},
      {"with an exception before",
       Deny(From("ipBlocks: [10.0.0.0/8], notIpBlocks: [10.1.0.0/24]") + inner), nullptr},
      {"the same of the client",
       Deny(From("ipBlocks: [10.0.0.0/8]") + From("remoteIpBlocks: [10.1.0.0/16]")) + kTopology,
       nullptr},
      {"denied elsewhere", Allow(inner) + other + block,
       "spec.rules[0]: allows nothing: IpPolicy shop/q denies all that it matches"},
      {"denied for others", Allow(inner) + other + "  selector: {matchLabels: {app: x}}\n" + block,
       nullptr},
      {"only in a dry run", Allow(inner) + other + "  mode: DRY_RUN\n" + block, nullptr},
      {"only in Istio's dry run",
       Allow(inner) +
           "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: q, "
           "namespace: shop, annotations: {istio.io/dry-run: \"1\"}}\nspec:\n  action: DENY\n" +
           block,
       nullptr},
      {"only for a while", Allow(inner) + other + "  expires: \"2099-01-01T00:00:00Z\"\n" + block,
       nullptr},
      {"denied in part", Allow(From("ipBlocks: [10.0.0.0/7]")) + other + block, nullptr},
  });
}

TEST(LintTest, OneRangeOfAListWithinAnother) {
  Check({
      {"within", Deny(From("ipBlocks: [10.1.0.0/16, 11.0.0.0/8, 10.0.0.0/8]")),
       "7:33 spec.rules[0].from[0].source.ipBlocks[0]: \"10.1.0.0/16\" lies within 10.0.0.0/8"},
      {"twice", Deny(From("ipBlocks: [10.0.0.1, 10.0.0.1/32]")), "stands in this list twice"},
      {"mapped", Deny(From("ipBlocks: [10.0.0.0/8, '::ffff:10.0.0.1']")), "lies within 10.0.0.0/8"},
      {"side by side", Deny(From("ipBlocks: [10.0.0.0/9, 10.128.0.0/9, '::/0']")), nullptr},
      {"the exception from it", Deny(From("ipBlocks: [10.0.0.0/8], notIpBlocks: [10.1.0.0/16]")),
       nullptr},
  });
}

TEST(LintTest, HttpFieldsOnPortsThatSpeakTcp) {
  const std::string db = "  selector: {matchLabels: {app: db}}\n";
  const std::string edge = "  selector: {matchLabels: {app: edge}}\n";
  Check({
      {"a Service's port", Deny(To("paths: [/a], ports: ['15432']") + db) + kService,
       "paths: is of HTTP requests, but port 15432 is declared TCP: there this field is dropped"},
      {"a port whose name says it",
       Allow(To("paths: [/a], ports: ['6379']") + db) +
           "---\napiVersion: v1\nkind: Service\nmetadata: {name: cache, namespace: shop}\n"
           "spec: {selector: {app: db}, ports: [{name: redis-main, port: 6379}]}\n",
       "paths: is of HTTP requests, but port 6379 is declared TCP: there the whole rule never"},
      {"every port", Allow(To("methods: [GET]") + db) + kService,
       "methods: is of HTTP requests, but every declared port of these workloads speaks TCP: "
       "there the whole rule never matches"},
      {"a gateway's port", Deny(To("hosts: [a.example], ports: ['5432']") + edge) + kGateway,
       "hosts: is of HTTP requests, but port 5432 is declared TCP"},
      {"a header", Deny("  - when: [{key: 'request.headers[x]', values: [a]}]\n" + db) + kService,
       "when[0].key: is of HTTP requests"},
      {"the HTTP port", Deny(To("hosts: [a.example], ports: ['80']") + edge) + kGateway, nullptr},
      {"one port of several", Deny(To("hosts: [a.example]") + edge) + kGateway, nullptr},
      {"an undeclared port", Deny(To("paths: [/a], ports: ['8080']") + db) + kService, nullptr},
      {"the Service's own port is not the workload's",
       Deny(To("paths: [/a], ports: ['5432']") + db) + kService, nullptr},
      {"another workload",
       Deny(To("paths: [/a], ports: ['15432']") + "  selector: {matchLabels: {app: web}}\n") +
           kService,
       nullptr},
      {"no HTTP field", Deny(To("ports: ['15432']") + db) + kService, nullptr},
  });
}

}  // namespace
}  // namespace whence::lint
