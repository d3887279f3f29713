#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "tests/unit/common/document/helpers.h"

namespace whence::document {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(PrintTest, PrintsAsKubernetesWould) {
  const ParseResult result = ParseYaml(R"(
kind: IpPolicy
spec:
  mode: DRY_RUN
  rules:
  - to: [{operation: {ports: ["80"], paths: ["/a b", "/x*"]}}]
    from: [{source: {ipBlocks: [10.0.0.0/8, "::1"]}}, {source: {ipSets: [a]}}]
  - {}
  action: DENY
  selector: {matchLabels: {version: "1", app: web}}
metadata: {namespace: shop, name: p, annotations: {note: "line\nbreak \u001b"}}
apiVersion: whence.dev/v1
)");
  ASSERT_THAT(Texts(result.faults), IsEmpty());
  const v1::Document& document = result.documents[0].document;
  EXPECT_EQ(ToYaml(document), R"(apiVersion: whence.dev/v1
kind: IpPolicy
metadata:
  name: p
  namespace: shop
  annotations:
    note: "line\nbreak \u001b"
spec:
  selector:
    matchLabels:
      app: web
      version: "1"
  action: DENY
  rules:
  - from:
    - source:
        ipBlocks:
        - 10.0.0.0/8
        - "::1"
    - source:
        ipSets:
        - a
    to:
    - operation:
        ports:
        - "80"
        paths:
        - "/a b"
        - "/x*"
  - {}
  mode: DRY_RUN
)");
  EXPECT_EQ(ToJson(document).substr(0, 59),
            "{\n  \"apiVersion\": \"whence.dev/v1\",\n  \"kind\": \"IpPolicy\",\n  ");
}

TEST(PrintTest, ParsesBackToTheSameDocument) {
  const char* texts[] = {
      "kind: AuthorizationPolicy\napiVersion: security.istio.io/v1\nmetadata: {name: a}\nspec: {}",
      "kind: AuthorizationPolicy\napiVersion: security.istio.io/v1\nmetadata: {name: \"1\", "
      "labels: "
      "{a: \"true\", b: \"1.5\", c: \"null\", d: \"0x10\", e: \"\", f: \"on\", g: a.b, h: "
      "\"1e3\"}}",
      "kind: Mesh\napiVersion: whence.dev/v1\nmetadata: {name: a, annotations: {\"a/b\": \" x: y # "
      "z\", c: \"'\\\"\\\\\", d: \"- x\", e: \"ü ☃\", f: \"a\\tb\\u007f\", g: \"2030-01-01\"}}\n"
      "spec: {pathNormalization: NONE, logRetention: 7d}",
      "kind: TrustTopology\napiVersion: whence.dev/v1\nmetadata: {name: a}\nspec: "
      "{numTrustedProxies: 0, trustMeshGateways: false, upstreamSource: {source: TRUSTED_CLIENT, "
      "fallback: AGENT}, proxyProtocol: {send: OFF}, selector: {}, forwardedFor: REPLACE}",
      "kind: TrustTopology\napiVersion: whence.dev/v1\nmetadata: {name: a}\nspec: "
      "{upstreamSource: AGENT, trustedProxies: {workloads: [{matchLabels: {a: b}}]}}",
      "kind: IpSet\napiVersion: whence.dev/v1\nmetadata: {name: a}\nspec: {cidrs: [\"::1\", "
      "1.2.3.4, "
      "10.0.0.0/8]}",
      "kind: Gateway\napiVersion: networking.istio.io/v1\nmetadata: {name: a}\nspec: {selector: "
      "{a: "
      "b}, servers: [{port: {number: 80, protocol: HTTP, name: h}, hosts: [\"*\"]}]}",
      "kind: VirtualService\napiVersion: networking.istio.io/v1\nmetadata: {name: a}\nspec: "
      "{hosts: "
      "[\"*\"], gateways: [g], http: [{match: [{}, {uri: {exact: /}}], route: [{destination: "
      "{host: "
      "a, port: {number: 1}}}]}]}",
      "kind: Service\napiVersion: v1\nmetadata: {name: a}\nspec: {clusterIP: None, ports: [{port: "
      "80, "
      "targetPort: 8080, nodePort: 30000}]}",
  };
  for (const char* text : texts) {
    const ParseResult first = ParseYaml(text);
    ASSERT_THAT(Texts(first.faults), IsEmpty()) << text;
    for (const std::string& printed :
         {ToYaml(first.documents[0].document), ToJson(first.documents[0].document)}) {
      const ParseResult again = ParseYaml(printed);
      ASSERT_THAT(Texts(again.faults), IsEmpty()) << printed;
      ASSERT_THAT(again.documents, SizeIs(1)) << printed;
      EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(first.documents[0].document,
                                                                     again.documents[0].document))
          << printed;
    }
  }
}

}  // namespace
}  // namespace whence::document
