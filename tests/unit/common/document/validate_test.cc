#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/common/document/helpers.h"

namespace whence::document {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Input {
  std::vector<ParsedDocument> changed;
  std::vector<v1::Document> whole;
};

Input Applied(const std::string& text) {
  Input input;
  ParseResult result = ParseYaml(text);
  EXPECT_THAT(Texts(result.faults), IsEmpty());
  input.changed = std::move(result.documents);
  for (const ParsedDocument& parsed : input.changed) input.whole.push_back(parsed.document);
  return input;
}

std::vector<std::string> FaultsOf(const std::string& text) {
  const Input input = Applied(text);
  return Texts(Validate(input.changed, input.whole).faults);
}

std::string Topology(const std::string& name, const std::string& space, const std::string& labels) {
  return "---\nkind: TrustTopology\napiVersion: whence.dev/v1\nmetadata: {name: " + name +
         ", namespace: " + space + "}\nspec: {selector: {matchLabels: {" + labels + "}}}\n";
}

TEST(ValidateTest, RefusesTopologiesThatTie) {
  EXPECT_THAT(
      FaultsOf(Topology("a", "n", "app: x") + Topology("b", "n", "app: x")),
      ElementsAre(HasSubstr("TrustTopology n/b: spec.selector: ties with TrustTopology n/a")));
  // A workload may bear both labels.
  EXPECT_THAT(FaultsOf(Topology("a", "n", "app: x") + Topology("b", "n", "tier: y")),
              ElementsAre(HasSubstr("f.yaml:10:8")));
  EXPECT_THAT(FaultsOf(Topology("a", "n", "") + Topology("b", "n", "")),
              ElementsAre(HasSubstr("ties")));
  // Never the same workload, or not equally specific, or of two namespaces.
  EXPECT_THAT(FaultsOf(Topology("a", "n", "app: x") + Topology("b", "n", "app: y")), IsEmpty());
  EXPECT_THAT(FaultsOf(Topology("a", "n", "app: x") + Topology("b", "n", "app: x, t: y")),
              IsEmpty());
  EXPECT_THAT(FaultsOf(Topology("a", "n", "app: x") + Topology("b", "istio-system", "app: x")),
              IsEmpty());
}

TEST(ValidateTest, ReportsATieAtTheDocumentThatChanges) {
  Input input = Applied(Topology("a", "n", "app: x") + Topology("b", "n", "app: x"));
  input.changed.pop_back();
  EXPECT_THAT(Texts(Validate(input.changed, input.whole).faults),
              ElementsAre(HasSubstr("f.yaml:5:8: TrustTopology n/a: spec.selector: ties with "
                                    "TrustTopology n/b")));
}

TEST(ValidateTest, RefusesReferencesToMissingIpSets) {
  const std::string text = R"(
kind: IpPolicy
apiVersion: whence.dev/v1
metadata: {name: p, namespace: n}
spec:
  rules:
  - from:
    - source: {ipSets: [cdn, cnd], notRemoteIpSets: [other/cdn]}
---
kind: TrustTopology
apiVersion: whence.dev/v1
metadata: {name: t, namespace: n}
spec: {trustedProxies: {ipSets: [x]}, proxyProtocol: {from: {ipSets: [n/cdn, y]}}}
---
kind: IpSet
apiVersion: whence.dev/v1
metadata: {name: cdn, namespace: n}
spec: {cidrs: [10.0.0.0/8]}
)";
  EXPECT_THAT(
      FaultsOf(text),
      ElementsAre(
          "f.yaml:8:30: IpPolicy n/p: spec.rules[0].from[0].source.ipSets[1]: there is no IpSet "
          "n/cnd; did you mean \"cdn\"?",
          HasSubstr("source.notRemoteIpSets[0]: there is no IpSet other/cdn"),
          HasSubstr("spec.trustedProxies.ipSets[0]: there is no IpSet n/x"),
          HasSubstr("spec.proxyProtocol.from.ipSets[1]: there is no IpSet n/y")));
  // A deletion changes nothing that could be pointed at.
  Input input = Applied(text);
  input.changed.clear();
  input.whole.pop_back();
  const auto faults = Validate(input.changed, input.whole).faults;
  ASSERT_EQ(faults.size(), 6u);
  EXPECT_EQ(faults[0].line(), 0u);
}

TEST(ValidateTest, RefusesASecondMeshAndADocumentTwice) {
  const std::string mesh = "---\nkind: Mesh\napiVersion: whence.dev/v1\nmetadata: {name: ";
  EXPECT_THAT(FaultsOf(mesh + "a}\n" + mesh + "b}\n"),
              ElementsAre(HasSubstr("Mesh default/b: there is a Mesh already, Mesh default/a")));
  // An AuthorizationPolicy and an IpPolicy of one name are one document.
  const std::string twice =
      "kind: IpPolicy\napiVersion: whence.dev/v1\nmetadata: {name: a}\n---\n"
      "kind: AuthorizationPolicy\napiVersion: security.istio.io/v1\nmetadata: {name: a}\n";
  EXPECT_THAT(FaultsOf(twice),
              ElementsAre(HasSubstr("f.yaml:5:1: AuthorizationPolicy default/a: metadata.name: is "
                                    "given twice in one change; the first is IpPolicy default/a at "
                                    "f.yaml:1")));
}

TEST(ValidateTest, RefusesAPortWithTwoProtocols) {
  const auto gateway = [](const std::string& name, const std::string& labels,
                          const std::string& protocol) {
    return "---\nkind: Gateway\napiVersion: networking.istio.io/v1\nmetadata: {name: " + name +
           "}\nspec: {selector: {" + labels +
           "}, servers: [{port: {number: 80, protocol: " + protocol + "}, hosts: [\"*\"]}]}\n";
  };
  EXPECT_THAT(FaultsOf(gateway("a", "x: y", "HTTP") + gateway("b", "z: w", "TCP")),
              ElementsAre(HasSubstr("port 80 is HTTP in Gateway default/a")));
  EXPECT_THAT(FaultsOf(gateway("a", "x: y", "HTTP") + gateway("b", "x: z", "TCP")), IsEmpty());
  EXPECT_THAT(FaultsOf(gateway("a", "x: y", "HTTP") + gateway("b", "x: y", "HTTP")), IsEmpty());
}

TEST(ValidateTest, WarnsOfGatewaysThatAreNotThereYet) {
  const Input input = Applied(
      "kind: VirtualService\napiVersion: networking.istio.io/v1\nmetadata: {name: v}\nspec: "
      "{hosts: "
      "[\"*\"], gateways: [g], http: [{route: [{destination: {host: a}}]}]}\n");
  const Findings findings = Validate(input.changed, input.whole);
  EXPECT_THAT(findings.faults, IsEmpty());
  EXPECT_THAT(Texts(findings.warnings),
              ElementsAre(HasSubstr("spec.gateways[0]: there is no Gateway default/g yet")));
  // Whoever changes something else need not hear of it.
  EXPECT_THAT(Validate({}, input.whole).warnings, IsEmpty());
}

}  // namespace
}  // namespace whence::document
