#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/document/document.h"
#include "common/document/ip_set.h"
#include "common/document/kinds.h"
#include "tests/unit/common/document/helpers.h"

namespace whence::document {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(ParseTest, NamesEveryFaultOfEveryDocumentAtOnce) {
  const ParseResult result = ParseYaml(R"(apiVersion: whence.dev/v1
kind: IpPolicy
metadata:
  name: edge
  namespace: shop
spec:
  acton: DENY
  rules:
  - from:
    - source:
        ipBlocks: ["10.0.0.0/33", 10.0.0.0/8]
        remoteIpBlock: ["2.2.2.2"]
    to:
    - operation:
        ports: [80, "0"]
---
apiVersion: v1
kind: Service
metadata: {name: ok}
spec:
  ports: [{port: 80}]
---
kind: TrustTopolgy
apiVersion: whence.dev/v1
metadata: {name: t}
)");
  EXPECT_THAT(
      Texts(result.faults),
      ElementsAre(
          R"(f.yaml:7:3: IpPolicy shop/edge: spec.acton: unknown field; did you mean "action"?)",
          R"(f.yaml:12:9: IpPolicy shop/edge: spec.rules[0].from[0].source.remoteIpBlock: unknown field; did you mean "remoteIpBlocks"?)",
          R"(f.yaml:15:17: IpPolicy shop/edge: spec.rules[0].to[0].operation.ports[0]: must be a string, not the number 80; quote it: "80")",
          R"(f.yaml:11:20: IpPolicy shop/edge: spec.rules[0].from[0].source.ipBlocks[0]: "10.0.0.0/33": prefix length must be 0..32)",
          R"(f.yaml:23:7: TrustTopolgy default/t: kind: "TrustTopolgy" is no known kind; did you mean TrustTopology?)"));
  // The good one is there, for those who want it.
  ASSERT_THAT(result.documents, SizeIs(1));
  EXPECT_EQ(DisplayName(result.documents[0].document), "Service default/ok");
}

TEST(ParseTest, RefusesBrokenText) {
  struct {
    const char* name;
    std::string text;
    const char* fault;
  } rows[] = {
      {"no mapping", "just text", "f.yaml:1:1: a document must be a mapping"},
      {"a list", "- a\n- b", "a document must be a mapping"},
      {"broken quotes", "a: \"b", "not valid YAML"},
      {"broken flow", "a: {b: [c}", "not valid YAML"},
      {"stray comma", ",a: b", "f.yaml:1:1: not valid YAML: nothing can begin so"},
      {"stray bracket", "---\n]", "f.yaml:2:1: not valid YAML: illegal flow end"},
      {"no UTF-8", "a: b\nc: \"\xc3\"", "f.yaml:2:5: not UTF-8: save the file in that encoding"},
      {"tab", "a:\n\tb: c", "not valid YAML"},
      {"undefined alias", "a: *b", "not valid YAML"},
      {"cycle", "a: &x [*x]", "contains it"},
      {"deep flow", std::string(100, '['), "nested deeper than 64"},
      {"very deep flow", std::string(100000, '['), "f.yaml"},
      {"very deep block",
       [] {
         std::string text;
         for (int i = 0; i < 3000; ++i) text += "- ";
         return text;
       }(),
       "nested deeper than 64"},
      {"custom tag", WithSpec("v1", "Service", "  ports: !Ref [{port: 80}]\n"),
       "the YAML tag !Ref has no meaning here"},
      {"binary", WithSpec("whence.dev/v1", "IpSet", "  cidrs: [!!binary YS5jb20=]\n"),
       "f.yaml:5:11: the YAML tag !!binary has no meaning here; remove it"},
      {"tag of a key", WithSpec("v1", "Service", "  !!binary cG9ydHM=: []\n"),
       "f.yaml:5:3: the YAML tag !!binary has no meaning here"},
      {"tag at the top", "apiVersion: v1\nkind: !!binary U2VydmljZQ==\nmetadata: {name: a}",
       "f.yaml:2:7: the YAML tag !!binary has no meaning here"},
      {"tag of nothing", WithSpec("v1", "Service", "  type: !!binary\n"),
       "f.yaml:5:9: the YAML tag !!binary has no meaning here"},
      {"set", WithSpec("v1", "Service", "  selector: !!set {a}\n"), "!!set has no meaning here"},
      {"verbatim tag",
       WithSpec("v1", "Service", "  type: !<tag:yaml.org,2002:timestamp> 2001-01-01\n"),
       "the YAML tag !!timestamp has no meaning here"},
      {"number that is none", WithSpec("v1", "Service", "  ports: [{port: !!int eighty}]\n"),
       "f.yaml:5:18: the YAML tag !!int does not fit what it is given to"},
      {"fraction", WithSpec("v1", "Service", "  ports: [{port: !!int 1.5}]\n"),
       "!!int does not fit"},
      {"boolean that is none", WithSpec("v1", "Service", "  type: !!bool maybe\n"),
       "!!bool does not fit"},
      {"null that is none", WithSpec("v1", "Service", "  type: !!null a\n"), "!!null does not fit"},
      {"list that is none", WithSpec("v1", "Service", "  ports: !!seq {}\n"), "!!seq does not fit"},
      {"text that is none", WithSpec("v1", "Service", "  ports: !!str []\n"), "!!str does not fit"},
      {"mapping that is none", WithSpec("v1", "Service", "  ports: !!map [a]\n"),
       "!!map does not fit"},
      {"merge key", WithSpec("v1", "Service", "  <<: {ports: []}\n"),
       "merge keys are not supported"},
      {"no kind", "apiVersion: v1\nmetadata: {name: a}", "kind: is missing; known kinds: TrustT"},
      {"no version", "kind: Service\nmetadata: {name: a}",
       "apiVersion: is missing; for Service write v1"},
      {"wrong version", "kind: Service\napiVersion: v2\nmetadata: {name: a}",
       "f.yaml:2:13: Service default/a: apiVersion: \"v2\" is not known for Service; write v1"},
      {"other group",
       "kind: Gateway\napiVersion: gateway.networking.k8s.io/v1\nmetadata: {name: a}",
       "is not known for Gateway; write networking.istio.io/v1"},
      {"foreign kind", "kind: Banana\napiVersion: v1\nmetadata: {name: a}",
       "\"Banana\" is no known kind; known: TrustTopology"},
      {"kind of Istio",
       "kind: EnvoyFilter\napiVersion: networking.istio.io/v1\nmetadata: {name: a}",
       "EnvoyFilter is a kind that Whence does not act on yet; remove it, or apply with "
       "--ignore-unsupported"},
      {"no name", "kind: Mesh\napiVersion: whence.dev/v1", "metadata.name: is missing"},
      {"bad name", "kind: Mesh\napiVersion: whence.dev/v1\nmetadata: {name: A_b}",
       "f.yaml:3:18: Mesh default/A_b: metadata.name: \"A_b\" must be lower-case letters"},
      {"bad namespace",
       "kind: Mesh\napiVersion: whence.dev/v1\nmetadata: {name: a, namespace: a.b}",
       "metadata.namespace: \"a.b\" must be at most 63 of a-z"},
      {"bad label", "kind: Mesh\napiVersion: whence.dev/v1\nmetadata: {name: a, labels: {a b: c}}",
       "metadata.labels.a b: \"a b\" is no label name"},
      {"top-level field", "kind: Mesh\napiVersion: whence.dev/v1\nmetadata: {name: a}\nspce: {}",
       "f.yaml:4:1: Mesh default/a: spce: unknown field; did you mean \"spec\"?"},
      {"twice at the top", "kind: Mesh\napiVersion: whence.dev/v1\nmetadata: {name: a}\nkind: Mesh",
       "f.yaml:4:1: Mesh default/a: kind: is given twice"},
      {"twice in a mapping", WithSpec("v1", "Service", "  type: A\n  type: B\n"),
       "f.yaml:6:3: Service n/a: spec.type: is given twice"},
      {"twice in a map", WithSpec("v1", "Service", "  selector: {a: b, a: c}\n"),
       "spec.selector.a: is given twice"},
      {"key that is no text", WithSpec("v1", "Service", "  [a]: b\n"),
       "a field name must be text, not a list"},
      {"spec of nothing", WithSpec("v1", "Service", ""), "spec: must be a mapping, not nothing"},
  };
  for (const auto& row : rows) {
    const ParseResult result = ParseYaml(row.text);
    ASSERT_FALSE(result.faults.empty()) << row.name;
    EXPECT_THAT(FaultText(result.faults[0]), HasSubstr(row.fault)) << row.name;
    EXPECT_THAT(result.documents, IsEmpty()) << row.name;
  }
}

TEST(ParseTest, TagsThatFitSayNothingNew) {
  const std::string plain = R"(
apiVersion: v1
kind: Service
metadata: {name: a, namespace: n, annotations: {a: "5", b: "true", c: "null", d: ""}}
spec: {selector: {app: x}, ports: [{port: 80, targetPort: "81"}]}
)";
  const std::string tagged = R"(
apiVersion: !!str v1
!!str kind: Service
metadata: !!map {name: ! a, namespace: !!str n, annotations: {a: !!str 5, b: !!str true, c: !!str null, d: !!str }}
spec: {selector: {app: !!str "x"}, ports: !!seq [{port: !!int 80, targetPort: !!str 81}]}
)";
  const ParseResult want = ParseYaml(plain);
  const ParseResult got = ParseYaml(tagged);
  EXPECT_THAT(Texts(got.faults), IsEmpty());
  ASSERT_THAT(want.documents, SizeIs(1));
  ASSERT_THAT(got.documents, SizeIs(1));
  EXPECT_EQ(ToYaml(got.documents[0].document), ToYaml(want.documents[0].document));
  EXPECT_THAT(
      ParseYaml(WithSpec("whence.dev/v1", "TrustTopology", "  trustMeshGateways: !!bool true\n"))
          .faults,
      IsEmpty());
}

TEST(ParseTest, NothingIsAbsentWhereKubernetesSaysSo) {
  const ParseResult result = ParseYaml(R"(
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: a
  namespace:
  labels:
  annotations: ~
spec: {host: a, subsets: [{name: s, labels: null}]}
---
apiVersion: whence.dev/v1
kind: IpPolicy
metadata: {name: b}
spec: {selector: , action: DENY, rules: [{}]}
---
apiVersion: whence.dev/v1
kind: IpPolicy
metadata: {name: c}
spec:
  selector:
    matchLabels:
)");
  EXPECT_THAT(Texts(result.faults), IsEmpty());
  ASSERT_THAT(result.documents, SizeIs(3));
  EXPECT_EQ(result.documents[0].document.metadata().namespace_(), "default");
}

TEST(ParseTest, NothingIsRefusedWhereItCouldOpenAPolicy) {
  for (const char* spec :
       {"  rules:\n", "  action:\n", "  expires:\n", "  mode:\n", "  rules: [{from: }]\n",
        "  rules: [{to: ~}]\n", "  rules: [{when: null}]\n", "  rules: [{from: [{source: }]}]\n",
        "  rules: [{from: [{source: {ipBlocks: }}]}]\n", "  rules: [null]\n",
        "  rules: [{when: [{key: source.ip, values: }]}]\n"}) {
    EXPECT_THAT(ParseYaml(WithSpec("whence.dev/v1", "IpPolicy", spec)).faults, SizeIs(1)) << spec;
  }
  EXPECT_THAT(ParseYaml(WithSpec("whence.dev/v1", "TrustTopology",
                                 "  trustedProxies: {workloads: [{matchLabels: }]}\n"))
                  .faults,
              SizeIs(1));
}

// YAML 1.1, which kubectl speaks, reads 010 as 8.
TEST(ParseTest, RefusesNumbersWithLeadingZeros) {
  const std::pair<const char*, std::string> rows[] = {
      {"numTrustedProxies",
       WithSpec("whence.dev/v1", "TrustTopology", "  numTrustedProxies: 010\n")},
      {"port", WithSpec("v1", "Service", "  ports: [{port: 080}]\n")},
      {"targetPort", WithSpec("v1", "Service", "  ports: [{port: 80, targetPort: 0810}]\n")},
  };
  for (const auto& [field, text] : rows) {
    const ParseResult result = ParseYaml(text);
    ASSERT_THAT(Texts(result.faults), SizeIs(1)) << field;
    EXPECT_THAT(FaultText(result.faults[0]),
                HasSubstr("has a leading zero, which some read as octal; write"))
        << field;
  }
  EXPECT_THAT(
      ParseYaml(WithSpec("whence.dev/v1", "TrustTopology", "  numTrustedProxies: 0\n")).faults,
      IsEmpty());
}

TEST(ParseTest, RefusesWrongTypes) {
  struct {
    const char* spec;
    const char* fault;
  } rows[] = {
      {"  selector: {matchLabels: {version: 1}}\n",
       "spec.selector.matchLabels.version: must be a string, not the number 1; quote it: \"1\""},
      {"  selector: {matchLabels: {a: true}}\n", "not the boolean true; quote it: \"true\""},
      {"  selector: {matchLabels: {a: null}}\n", "must be a string, not nothing"},
      {"  selector: {matchLabels: [a]}\n", "must be a mapping of names to strings, not a list"},
      {"  selector: app\n", "spec.selector: must be a mapping, not the string \"app\""},
      {"  trustedProxies:\n",
       "spec.trustedProxies: must be a mapping, not nothing; leave it out or write {}"},
      {"  numTrustedProxies: \"2\"\n", "must be a number; write 2 without quotes"},
      {"  numTrustedProxies: -1\n",
       "must be a whole number from 0 to 4294967295, not the number -1"},
      {"  numTrustedProxies: 4294967296\n", "must be a whole number"},
      {"  numTrustedProxies: 1.5\n", "must be a whole number"},
      {"  numTrustedProxies: two\n", "must be a whole number"},
      {"  trustMeshGateways: yes\n", "must be true or false, not the string \"yes\""},
      {"  trustMeshGateways: \"true\"\n", "must be true or false"},
      {"  internalCidrs: 10.0.0.0/8\n",
       "must be a list, not the string \"10.0.0.0/8\"; write "
       "[\"10.0.0.0/8\"]"},
      {"  internalCidrs: {a: b}\n", "must be a list, not a mapping"},
      {"  forwardedFor: APEND\n",
       "must be one of APPEND, KEEP, REPLACE, not the string \"APEND\"; did you mean APPEND?"},
      {"  forwardedFor: FORWARDED_FOR_UNSPECIFIED\n", "must be one of APPEND, KEEP, REPLACE"},
      {"  forwardedFor: append\n", "did you mean APPEND?"},
      {"  forwardedFor: [KEEP]\n", "not a list"},
      {"  upstreamSource: CLIENT\n", "must be one of DIRECT_PEER, TRUSTED_CLIENT, AGENT"},
      {"  upstreamSource: {sorce: AGENT}\n", "did you mean \"source\"?"},
      {"  upstreamSource: [AGENT]\n", "must be a mapping, not a list"},
      {"  proxyProtocol: {send: V3}\n", "must be one of OFF, V1, V2, AUTO"},
      {"  proxy_protocol: {}\n", "did you mean \"proxyProtocol\"?"},
  };
  for (const auto& row : rows) {
    const ParseResult result = ParseYaml(WithSpec("whence.dev/v1", "TrustTopology", row.spec));
    ASSERT_THAT(result.faults, SizeIs(1)) << row.spec;
    EXPECT_THAT(FaultText(result.faults[0]), HasSubstr(row.fault)) << row.spec;
  }
}

TEST(ParseTest, BoundsItsInput) {
  ParseOptions options;
  options.max_bytes = 10;
  EXPECT_THAT(FaultText(Parse("f", "a: 12345678", options).faults.at(0)),
              HasSubstr("is larger than 10 bytes"));

  // Nine levels of ten aliases each would be 10^9 strings.
  std::string bomb = "kind: IpSet\napiVersion: whence.dev/v1\nmetadata: {name: a}\nx0: &a0 [a]\n";
  for (int i = 1; i < 10; ++i) {
    bomb += "x" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) bomb += "*a" + std::to_string(i - 1) + (j < 9 ? "," : "");
    bomb += "]\n";
  }
  bomb += "spec: {cidrs: *a9}\n";
  EXPECT_FALSE(ParseYaml(bomb).faults.empty());

  // The same within the schema.
  std::string rules = "  rules:\n  - &r {from: [&s {source: &t {ipBlocks: &b [";
  for (int i = 0; i < 200; ++i) rules += "\"1.2.3.4\",";
  rules += "\"1.2.3.4\"]}}";
  for (int i = 0; i < 200; ++i) rules += ", *s";
  rules += "]}\n";
  for (int i = 0; i < 200; ++i) rules += "  - *r\n";
  const ParseResult result = ParseYaml(WithSpec("whence.dev/v1", "IpPolicy", rules));
  ASSERT_FALSE(result.faults.empty());
  EXPECT_THAT(FaultText(result.faults[0]), HasSubstr("YAML aliases make the file mean more"));

  std::string many = "  cidrs:\n";
  for (int i = 0; i < 1000; ++i) many += "  - bad\n";
  const ParseResult bounded = ParseYaml(WithSpec("whence.dev/v1", "IpSet", many));
  ASSERT_THAT(bounded.faults, SizeIs(201));
  EXPECT_EQ(bounded.faults.back().message(), "and 800 more faults");
}

TEST(ParseTest, KeepsTheDocumentsBeforeBrokenText) {
  const ParseResult result =
      ParseYaml("kind: Mesh\napiVersion: whence.dev/v1\nmetadata: {name: a}\n---\na: [\n");
  EXPECT_THAT(result.documents, SizeIs(1));
  ASSERT_THAT(result.faults, SizeIs(1));
  EXPECT_GE(result.faults[0].line(), 5u);
}

TEST(ParseTest, UnsupportedFieldsAreFaultsOrWarnings) {
  const std::string text = WithSpec("networking.istio.io/v1", "VirtualService", R"(
  hosts: ["*"]
  gateways: [g]
  exportTo: ["."]
  http:
  - match: [{uri: {prefix: /}, sourceLabels: {a: b}}, {uri: {prefix: /a}}]
    timeout: 5s
    mirror: {host: other}
    corsPolicy: {}
    retries: {attempts: 3, backoff: 1s}
    route: [{destination: {host: echo}, weight: 100}]
)");
  const ParseResult strict = ParseYaml(text);
  EXPECT_THAT(
      Texts(strict.faults),
      ElementsAre(
          HasSubstr("f.yaml:8:3: VirtualService n/a: spec.exportTo: is an Istio field that Whence "
                    "does not act on yet; remove it, or apply with --ignore-unsupported"),
          HasSubstr("spec.http[0].match[0].sourceLabels: is an Istio field"),
          HasSubstr("spec.http[0].mirror: is an Istio field"),
          HasSubstr("spec.http[0].corsPolicy: is an Istio field"),
          HasSubstr("spec.http[0].retries.backoff: is an Istio field")));
  EXPECT_THAT(strict.documents, IsEmpty());

  const ParseResult lenient = ParseYaml(text, /*ignore_unsupported=*/true);
  EXPECT_THAT(Texts(lenient.faults), IsEmpty());
  EXPECT_THAT(lenient.warnings, SizeIs(5));
  EXPECT_THAT(lenient.warnings[0].message(), HasSubstr("; it is ignored"));
  EXPECT_THAT(lenient.documents, SizeIs(1));

  // What nobody knows is a mistake either way.
  EXPECT_THAT(ParseYaml(text + "  colour: red\n", true).faults, SizeIs(1));
}

// What narrows a policy, a listener or a route cannot be ignored alone: the rest would be for more.
TEST(ParseTest, WhatIsIgnoredTakesAlongWhatItNarrows) {
  struct {
    const char* kind;
    const char* spec;
    std::vector<const char*> warnings;
    const char* left;  // of the document, as its shortest text; null: the document is left out
  } rows[] = {
      {"AuthorizationPolicy",
       "  targetRefs: [{kind: Gateway, name: g}]\n  action: DENY\n  rules: [{}]\n",
       {"f.yaml:5:3: AuthorizationPolicy n/a: spec.targetRefs: is an Istio field that Whence does "
        "not act on yet; the whole policy is left out: it keeps nobody out, and a version applied "
        "before stays"},
       nullptr},
      {"AuthorizationPolicy",
       "  targetRef: {kind: Gateway, name: g}\n",
       {"spec.targetRef: is an Istio field"},
       nullptr},
      {"AuthorizationPolicy",
       "  targetRefs:\n  action: DENY\n  rules: [{}]\n",
       {},
       R"("spec":{"action":"DENY","rules":[{}]})"},
      {"Gateway",
       "  selector: {a: b}\n  servers:\n"
       "  - {port: {number: 80, protocol: HTTP}, hosts: [a], tls: {httpsRedirect: true}}\n"
       "  - {port: {number: 81, protocol: HTTP}, hosts: [b]}\n"
       "  - {port: {number: 82, protocol: HTTP}, hosts: [c], bind: 127.0.0.1}\n"
       "  - {port: {number: 83, protocol: HTTP}, hosts: [d], tls: }\n",
       {"f.yaml:7:54: Gateway n/a: spec.servers[0].tls: is an Istio field that Whence does not act "
        "on yet; the server is left out: nothing listens for it",
        "spec.servers[2].bind: is an Istio field"},
       R"("servers":[{"port":{"number":81,"protocol":"HTTP"},"hosts":["b"]},)"
       R"({"port":{"number":83,"protocol":"HTTP"},"hosts":["d"]}])"},
      {"Gateway",
       "  selector: {a: b}\n  servers: [{port: {number: 80, protocol: HTTP}, hosts: [a], tls: "
       "{}}]\n",
       {"spec.servers[0].tls: is", "spec.servers: no server is left: nothing listens"},
       R"("spec":{"selector":{"a":"b"}})"},
      {"VirtualService",
       "  hosts: [a]\n  gateways: [g]\n  http:\n"
       "  - {match: [{sourceLabels: {a: b}}, {port: 80}], route: [{destination: {host: x}}]}\n"
       "  - {match: [{sourceNamespace: n, port: 1}], route: [{destination: {host: y}}]}\n"
       "  - {match: [{statPrefix: s}], route: [{destination: {host: z}}]}\n",
       {"spec.http[0].match[0].sourceLabels: is an Istio field that Whence does not act on yet; "
        "the "
        "match is left out",
        "spec.http[1].match[0].sourceNamespace: is",
        "f.yaml:9:5: VirtualService n/a: spec.http[1]: no match is left of it: the route is left "
        "out",
        "spec.http[1].match[0].statPrefix: is an Istio field that Whence does not act on yet; it "
        "is "
        "ignored"},
       R"("http":[{"match":[{"port":80}],"route":[{"destination":{"host":"x"}}]},)"
       R"({"match":[{}],"route":[{"destination":{"host":"z"}}]}])"},
      {"VirtualService",
       "  hosts: [a]\n  gateways: [g]\n  tcp:\n"
       "  - {match: [{sourceSubnet: 10.0.0.0/8}, {destinationSubnets: [10.0.0.0/8]}],"
       " route: [{destination: {host: x}}]}\n",
       {"spec.tcp[0].match[0].sourceSubnet: is", "spec.tcp[0].match[1].destinationSubnets: is",
        "spec.tcp[0]: no match is left", "spec: no route is left: nothing is routed"},
       R"("spec":{"hosts":["a"],"gateways":["g"]})"},
      {"VirtualService",
       "  hosts: [a]\n  gateways: [g]\n  http:\n"
       "  - {fault: {delay: {fixedDelay: 1s}}, route: [{destination: {host: x}}]}\n",
       {"spec.http[0].fault: is an Istio field that Whence does not act on yet; it is ignored"},
       R"("http":[{"route":[{"destination":{"host":"x"}}]}])"},
      {"DestinationRule",
       "  host: a\n  trafficPolicy: {tls: {mode: SIMPLE}}\n",
       {"; it is ignored: connections to endpoints are not encrypted"},
       R"("trafficPolicy":{})"},
  };
  for (const auto& row : rows) {
    const bool of_security = std::string(row.kind) == "AuthorizationPolicy";
    const std::string text = WithSpec(
        of_security ? "security.istio.io/v1" : "networking.istio.io/v1", row.kind, row.spec);
    EXPECT_EQ(ParseYaml(text).faults.empty(), row.warnings.empty()) << row.spec;

    const ParseResult result = ParseYaml(text, /*ignore_unsupported=*/true);
    EXPECT_THAT(Texts(result.faults), IsEmpty()) << row.spec;
    EXPECT_THAT(Texts(result.warnings), SizeIs(row.warnings.size())) << row.spec;
    for (size_t i = 0; i < std::min(result.warnings.size(), row.warnings.size()); ++i) {
      EXPECT_THAT(FaultText(result.warnings[i]), HasSubstr(row.warnings[i])) << row.spec;
    }
    ASSERT_THAT(result.documents, SizeIs(row.left == nullptr ? 0 : 1)) << row.spec;
    if (row.left == nullptr) continue;
    std::string json = ToJson(result.documents[0].document);
    std::erase_if(json, [](char c) { return c == ' ' || c == '\n'; });
    EXPECT_THAT(json, HasSubstr(row.left)) << row.spec;
    // Given back, as by a rollback, it is taken again.
    EXPECT_THAT(Texts(ParseYaml(ToYaml(result.documents[0].document), true).faults), IsEmpty());
  }
}

TEST(ParseTest, RefusesToIgnoreWhatKeepsRequestsOut) {
  const ParseResult result = ParseYaml(
      WithSpec("networking.istio.io/v1", "VirtualService",
               "  hosts: [a]\n  gateways: [g]\n  http:\n"
               "  - {fault: {abort: {httpStatus: 403}}, route: [{destination: {host: x}}]}\n"),
      true);
  EXPECT_THAT(Texts(result.faults),
              ElementsAre(HasSubstr("spec.http[0].fault.abort: is an Istio field that Whence does "
                                    "not act on yet, and ignoring it would let in more")));
}

// Of what is left out nothing may shift the places of what follows.
TEST(ParseTest, PointsAtWhatFollowsAnItemThatIsLeftOut) {
  const ParseResult result =
      ParseYaml(WithSpec("networking.istio.io/v1", "Gateway",
                         "  selector: {a: b}\n  servers:\n"
                         "  - {port: {number: 80, protocol: HTTP}, hosts: [a], tls: {}}\n"
                         "  - {port: {number: 81, protocol: HTTP}, hosts: [a*]}\n"),
                true);
  ASSERT_THAT(Texts(result.faults), SizeIs(1));
  EXPECT_EQ(result.faults[0].line(), 8u);
  EXPECT_THAT(result.faults[0].message(), HasSubstr("\"a*\" is no host"));
}

TEST(ParseTest, SkipsUnsupportedKindsIfAsked) {
  const ParseResult result = ParseYaml(
      "kind: EnvoyFilter\napiVersion: networking.istio.io/v1\nmetadata: {name: d}\nspec: {}\n"
      "---\nkind: Mesh\napiVersion: whence.dev/v1\nmetadata: {name: a}\n",
      true);
  EXPECT_THAT(result.faults, IsEmpty());
  EXPECT_THAT(Texts(result.warnings), ElementsAre(HasSubstr("EnvoyFilter default/d")));
  EXPECT_THAT(result.documents, SizeIs(1));
}

TEST(ParseTest, TakesIstiosAndKubernetesDocumentsUnchanged) {
  const ParseResult result = ParseYaml(R"(# As in the documentation.
apiVersion: security.istio.io/v1beta1
kind: AuthorizationPolicy
metadata:
  name: ingress-policy
  namespace: istio-system
spec:
  selector:
    matchLabels:
      app: istio-ingressgateway
  action: DENY
  rules:
  - from:
    - source:
        ipBlocks: ["123.120.247.0/24"]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: allow-nothing
  namespace: foo
spec:
  {}
---
apiVersion: networking.istio.io/v1alpha3
kind: Gateway
metadata:
  name: echo-gateway
  namespace: foo
spec:
  selector:
    istio: ingressgateway # use istio default controller
  servers:
  - port:
      number: 80
      name: http
      protocol: HTTP
    hosts:
    - "*"
---
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata:
  name: echo
  namespace: foo
spec:
  hosts:
  - "*"
  gateways:
  - echo-gateway
  http:
  - match:
    - uri:
        prefix: /headers
    route:
    - destination:
        host: echo
        port:
          number: 8000
---
apiVersion: v1
kind: Service
metadata:
  name: echo
  namespace: foo
  creationTimestamp: null
  resourceVersion: "12"
  uid: 0-1
  managedFields: [{manager: kubectl}]
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: "{}"
spec:
  clusterIP: 10.0.0.1
  clusterIPs: [10.0.0.1]
  internalTrafficPolicy: Cluster
  ports:
  - name: http
    port: 8000
    targetPort: 80
    protocol: TCP
  - {name: other, port: 81, targetPort: "8081"}
  selector: {app: echo}
  sessionAffinity: None
  publishNotReadyAddresses: true
  type: ClusterIP
status:
  loadBalancer: {}
)");
  EXPECT_THAT(Texts(result.faults), IsEmpty());
  EXPECT_THAT(Texts(result.warnings), IsEmpty());
  ASSERT_THAT(result.documents, SizeIs(5));
  const v1::Document& policy = result.documents[0].document;
  EXPECT_EQ(Key(policy), "IpPolicy/istio-system/ingress-policy");
  EXPECT_EQ(DisplayName(policy), "AuthorizationPolicy istio-system/ingress-policy");
  EXPECT_EQ(policy.ip_policy().action(), v1::IpPolicySpec::DENY);
  EXPECT_EQ(policy.ip_policy().rules(0).from(0).source().ip_blocks(0), "123.120.247.0/24");
  EXPECT_TRUE(result.documents[1].document.has_ip_policy());
  EXPECT_EQ(result.documents[2].document.gateway().servers(0).port().number(), 80u);
  EXPECT_EQ(result.documents[3].document.virtual_service().http(0).match(0).uri().prefix(),
            "/headers");
  const v1::Document& service = result.documents[4].document;
  EXPECT_EQ(service.service().ports(0).target_port(), "80");
  EXPECT_EQ(service.service().ports(1).target_port(), "8081");
  EXPECT_TRUE(service.metadata().annotations().empty());
}

TEST(ParseTest, WarnsOfHostBits) {
  const ParseResult result = ParseYaml(
      WithSpec("security.istio.io/v1", "AuthorizationPolicy",
               "  action: DENY\n  rules: [{from: [{source: {remoteIpBlocks: [2.2.2.2/24]}}]}]\n"));
  EXPECT_THAT(Texts(result.faults), IsEmpty());
  EXPECT_THAT(Texts(result.warnings),
              ElementsAre(HasSubstr("\"2.2.2.2/24\" means the whole range 2.2.2.0/24")));
}

TEST(ParseTest, UnderstandsJsonAndLists) {
  const ParseResult result = ParseYaml(
      "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"List\",\n\t\"items\": [\n"
      "\t\t{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {\"name\": \"a\"},\n"
      "\t\t \"spec\": {\"ports\": [{\"port\": 80, \"targetPort\": 8080}]}},\n"
      "\t\t{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {\"name\": \"b\"},\n"
      "\t\t \"spec\": {\"prts\": []}}\n\t]\n}\n");
  ASSERT_THAT(result.documents, SizeIs(1));
  EXPECT_EQ(result.documents[0].document.service().ports(0).target_port(), "8080");
  EXPECT_THAT(Texts(result.faults),
              ElementsAre("f.yaml:8:13: Service default/b: spec.prts: unknown field; did you mean "
                          "\"ports\"?"));
}

// As Python's json.dumps writes what lies beyond U+FFFF; YAML knows no surrogates.
TEST(ParseTest, UnderstandsSurrogatePairsInJson) {
  const auto annotation = [](const std::string& text) {
    const ParseResult result = ParseYaml(
        R"({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "annotations": {"k": )" +
        text + "}}}");
    if (result.documents.empty()) return "refused: " + FaultText(result.faults.at(0));
    return result.documents[0].document.metadata().annotations().at("k");
  };
  EXPECT_EQ(annotation(R"("\ud83d\ude80")"), "\U0001F680");
  EXPECT_EQ(annotation(R"("a\uD83D\uDE80\ud83d\ude80b")"), "a\U0001F680\U0001F680b");
  EXPECT_EQ(annotation(R"("\udbff\udfff")"), "\U0010FFFF");
  EXPECT_EQ(annotation(R"("\ud800\udc00")"), "\U00010000");
  // Escaped backslashes, and text in which a backslash is none.
  EXPECT_EQ(annotation(R"("\\ud83d\\ude80")"), R"(\ud83d\ude80)");
  EXPECT_EQ(annotation(R"("\\\ud83d\ude80")"), "\\\U0001F680");
  EXPECT_EQ(annotation(R"('\ud83d\ude80')"), R"(\ud83d\ude80)");
  EXPECT_EQ(annotation(R"(it's "\ud83d\ude80")"), R"(it's "\ud83d\ude80")");
  // Halves stay what they are: no character.
  for (const char* half :
       {R"("\ud83d")", R"("\ude80\ud83d")", R"("\ud83d \ude80")", R"("\ud83d\u0041")"}) {
    EXPECT_THAT(annotation(half), HasSubstr("refused")) << half;
  }
}

TEST(ParseTest, RefusesListsOfWhichDocumentsWouldVanish) {
  const std::string policy =
      "{apiVersion: whence.dev/v1, kind: IpPolicy, metadata: {name: p}, "
      "spec: {action: DENY, rules: [{}]}}";
  const std::string head = "apiVersion: v1\nkind: List\n";
  const std::vector<std::pair<std::string, std::string>> rows = {
      {head + "items: {a: " + policy + "}\n", "f.yaml:3:8: items: must be a list of documents"},
      {head + "items: " + policy + "\n", "f.yaml:3:8: items: must be a list of documents"},
      {head + "items:\n", "items: must be a list of documents"},
      {head + "items: p\n", "items: must be a list of documents"},
      {head + "metadata: {}\n", "items: is missing: a List of what?"},
      {head + "item: [" + policy + "]\nitems: []\n",
       "f.yaml:3:1: item: unknown field; did you mean \"items\"?"},
      {head + "spec: []\nitems: []\n",
       "spec: unknown field; known here: apiVersion, kind, metadata, items"},
      {head + "items: []\nitems: [" + policy + "]\n", "items: is given twice in one document"},
      {"kind: List\nitems: []\n", "apiVersion: must be v1 for a List"},
      {"apiVersion: v2\nkind: List\nitems: []\n", "apiVersion: must be v1 for a List"},
  };
  for (const auto& [text, fault] : rows) {
    EXPECT_THAT(Texts(ParseYaml(text).faults), ElementsAre(HasSubstr(fault))) << text;
  }
  const ParseResult good =
      ParseYaml(head + "metadata: {resourceVersion: \"\"}\nitems: [" + policy + "]\n");
  EXPECT_THAT(Texts(good.faults), IsEmpty());
  EXPECT_THAT(good.documents, SizeIs(1));
  EXPECT_THAT(Texts(ParseYaml(head + "items: []\n").faults), IsEmpty());
}

TEST(ParseTest, TakesBothFormsOfUpstreamSource) {
  for (const char* text : {"TRUSTED_CLIENT", "{source: TRUSTED_CLIENT}", "\"TRUSTED_CLIENT\""}) {
    const ParseResult result = ParseYaml(WithSpec("whence.dev/v1", "TrustTopology",
                                                  std::string("  upstreamSource: ") + text + "\n"));
    ASSERT_THAT(result.documents, SizeIs(1)) << text;
    EXPECT_EQ(result.documents[0].document.trust_topology().upstream_source().source(),
              v1::UpstreamSource::TRUSTED_CLIENT);
  }
}

TEST(ParseTest, ReadsTheFileOfAnIpSet) {
  const std::string text =
      WithSpec("whence.dev/v1", "IpSet", "  file: cdn.txt\n  cidrs: [1.2.3.4]\n");
  EXPECT_THAT(Texts(ParseYaml(text).faults),
              ElementsAre(HasSubstr("f.yaml:5:9: IpSet n/a: spec.file")));

  ParseOptions options;
  options.read_file = [](const std::string& path) -> std::optional<std::string> {
    if (path != "cdn.txt") return std::nullopt;
    return "# ours\n10.0.0.0/8\n\n 2001:db8::/32 # v6\r\nbad\n";
  };
  EXPECT_THAT(Texts(Parse("f", text, options).faults),
              ElementsAre(HasSubstr("cdn.txt:5: \"bad\": not an IP address or CIDR")));
  options.read_file = [](const std::string&) { return "10.0.0.0/8"; };
  const ParseResult result = Parse("f", text, options);
  ASSERT_THAT(result.documents, SizeIs(1));
  EXPECT_THAT(result.documents[0].document.ip_set().cidrs(), ElementsAre("1.2.3.4", "10.0.0.0/8"));
  EXPECT_TRUE(result.documents[0].document.ip_set().file().empty());
  options.read_file = [](const std::string&) { return std::nullopt; };
  EXPECT_THAT(Texts(Parse("f", text, options).faults), ElementsAre(HasSubstr("cannot be read")));
}

TEST(ParseTest, IgnoresEmptyDocuments) {
  for (const char* text : {"", "\n", "---\n", "# nothing\n---\n# here\n---\n"}) {
    const ParseResult result = ParseYaml(text);
    EXPECT_THAT(result.documents, IsEmpty()) << text;
    EXPECT_THAT(Texts(result.faults), IsEmpty()) << text;
  }
}

TEST(KindsTest, KnowsWhatPeopleType) {
  EXPECT_EQ(FindKindByAlias("banana"), nullptr);
  EXPECT_EQ(FindKindByAlias(""), nullptr);
  EXPECT_EQ(FindKindByAlias("SVC")->name, "Service");
  EXPECT_EQ(FindKindByAlias("authorizationpolicies")->key, "IpPolicy");
  EXPECT_EQ(FindKindByAlias("IpPolicy")->key, "IpPolicy");
  EXPECT_EQ(FindKind("ippolicy"), nullptr);
  for (const Kind& kind : AllKinds()) EXPECT_EQ(FindKindByAlias(kind.name), &kind);
}

// ---- Large sets ----

std::string ManyCidrs(int count, const std::string& before) {
  std::string lines;
  for (int i = 0; i < count; ++i) {
    absl::StrAppend(&lines, before, "- 10.", i / 250, ".", i % 250, ".0/24\n");
  }
  return lines;
}

std::string SetOf(const std::string& cidrs) {
  return "apiVersion: whence.dev/v1\nkind: IpSet\nmetadata: {name: a}\nspec:\n  cidrs:\n" + cidrs;
}

TEST(ParseTest, ALargeSetIsKeptPackedAndPrintedAsWritten) {
  const ParseResult result = Parse("a.yaml", SetOf(ManyCidrs(5000, "  ")), {});
  ASSERT_THAT(result.faults, ::testing::IsEmpty());
  ASSERT_EQ(result.documents.size(), 1u);
  const v1::IpSetSpec& spec = result.documents[0].document.ip_set();
  EXPECT_EQ(spec.cidrs_size(), 0);
  EXPECT_EQ(spec.packed().v4().size(), 5000u * 5);
  EXPECT_EQ(CountOf(spec), 5000u);
  for (const std::string& text :
       {ToYaml(result.documents[0].document), ToJson(result.documents[0].document)}) {
    const ParseResult again = Parse("b", text, {});
    ASSERT_EQ(again.documents.size(), 1u) << text.substr(0, 200);
    EXPECT_EQ(again.documents[0].document.SerializeAsString(),
              result.documents[0].document.SerializeAsString());
  }
}

TEST(ParseTest, ThePackedFormCannotBeWritten) {
  const ParseResult result = Parse(
      "a.yaml", "apiVersion: whence.dev/v1\nkind: IpSet\nmetadata: {name: a}\nspec: {packed: {}}\n",
      {});
  ASSERT_EQ(result.faults.size(), 1u);
  EXPECT_THAT(result.faults[0].message(), ::testing::HasSubstr("unknown field"));
}

TEST(ParseTest, FaultsInAndAroundALongListHaveTheirPlaces) {
  std::string cidrs = ManyCidrs(600, "  ") + "  - 10.0.0.0/33\n" + ManyCidrs(600, "  ") +
                      "  - 1.2.3.4/24  # host bits\n  wrong: 1\n";
  const ParseResult result = Parse("a.yaml", SetOf(cidrs), {});
  ASSERT_EQ(result.faults.size(), 2u);
  EXPECT_EQ(result.faults[0].line(), 5u + 600 + 1 + 600 + 2);  // decoding precedes checking
  EXPECT_EQ(result.faults[0].path(), "spec.wrong");
  EXPECT_EQ(result.faults[1].line(), 5u + 601);
  EXPECT_EQ(result.faults[1].column(), 5u);
  EXPECT_EQ(result.faults[1].path(), "spec.cidrs[600]");
  ASSERT_EQ(result.warnings.size(), 1u);
  EXPECT_EQ(result.warnings[0].line(), 5u + 1202);
  EXPECT_EQ(result.warnings[0].path(), "spec.cidrs[1201]");
}

// What looks like a long list need not be one: only YAML can say.
TEST(ParseTest, LongStretchesThatAreNoListsMeanWhatTheyMeanInYaml) {
  const std::string lines = ManyCidrs(300, "      ");
  struct Case {
    const char* name;
    std::string annotation;
  };
  const Case cases[] = {
      {"block scalar", "|\n" + lines},
      {"folded scalar", ">\n" + lines},
      {"plain scalar", "a\n" + lines},
      {"double quotes", "\"\n" + lines + "      \"\n"},
      {"single quotes", "'\n" + lines + "      '\n"},
  };
  for (const Case& test : cases) {
    const std::string text =
        "apiVersion: whence.dev/v1\nkind: IpSet\nmetadata:\n  name: a\n  annotations:\n    note: " +
        test.annotation + "\nspec: {cidrs: [10.0.0.0/8]}\n";
    const ParseResult result = Parse("a.yaml", text, {});
    ASSERT_THAT(result.faults, ::testing::IsEmpty()) << test.name;
    const auto& annotations = result.documents[0].document.metadata().annotations();
    EXPECT_THAT(annotations.at("note"), ::testing::HasSubstr("- 10.1.49.0/24")) << test.name;
    EXPECT_THAT(annotations.at("note"), ::testing::Not(::testing::HasSubstr("whence-list")));
  }
  // The last item goes on in the next line.
  const ParseResult longer = Parse("a.yaml", SetOf(ManyCidrs(300, "  ") + "      and more\n"), {});
  ASSERT_EQ(longer.faults.size(), 1u);
  EXPECT_THAT(longer.faults[0].message(), ::testing::HasSubstr("10.1.49.0/24 and more"));
  // A marker in the text itself is text.
  const ParseResult marker =
      Parse("a.yaml", SetOf(ManyCidrs(300, "  ") + "  - whence-list-0-\n"), {});
  ASSERT_EQ(marker.faults.size(), 1u);
  EXPECT_THAT(marker.faults[0].message(), ::testing::HasSubstr("\"whence-list-0-\""));
}

TEST(ParseTest, AListFileIsReadAsFeedsAre) {
  ParseOptions options;
  std::string feed = "# feed\r\n; another\n\n1.10.16.0/20 ; SBL256894\r\n  2001:db8::/32\t# v6\n";
  for (int i = 0; i < 1500; ++i) absl::StrAppend(&feed, "10.", i / 250, ".", i % 250, ".9/24\n");
  options.read_file = [&](const std::string&) { return feed; };
  const std::string document =
      "apiVersion: whence.dev/v1\nkind: IpSet\nmetadata: {name: a}\nspec: {file: f}\n";
  const ParseResult result = Parse("a.yaml", document, options);
  ASSERT_THAT(result.faults, ::testing::IsEmpty());
  EXPECT_EQ(CountOf(result.documents[0].document.ip_set()), 1502u);
  ASSERT_EQ(result.warnings.size(), 100u);
  EXPECT_THAT(result.warnings[0].message(), ::testing::HasSubstr("f:6: \"10.0.0.9/24\" means"));
  EXPECT_THAT(result.warnings[99].message(),
              ::testing::HasSubstr("and 1401 more lines have host bits set"));
  feed = std::string(300, '\n') + "no address\n";
  const ParseResult bad = Parse("a.yaml", document, options);
  ASSERT_EQ(bad.faults.size(), 1u);
  EXPECT_THAT(bad.faults[0].message(), ::testing::HasSubstr("f:301: \"no address\": not an IP"));
}

}  // namespace
}  // namespace whence::document
