#include "common/inject/injector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/inject/plan.h"
#include "tests/unit/common/inject/helpers.h"

namespace whence::inject {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kDeployment[] = R"(# The shop's front.
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}   # ours
spec:
  replicas: 2
  template:
    metadata:
      labels:
        app: web

    spec:
      # one container
      containers:
        - name: web
          image: "web:1"
          ports:
            - {name: http, containerPort: 8080}
          livenessProbe:
            httpGet:
              path: /live  # cheap
              port: http
            periodSeconds: 5
          readinessProbe: {tcpSocket: {port: 8080}, timeoutSeconds: 3}
          startupProbe:
            exec: {command: [true]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}}
)";

std::vector<std::string> Names(const Json& list) {
  std::vector<std::string> names;
  for (const Json& item : list) names.push_back(item["name"]);
  return names;
}

TEST(InjectorTest, AddsRulesAgentAndNothingElse) {
  const Result result = Inject(kDeployment, {});
  ASSERT_THAT(result.faults, IsEmpty());
  EXPECT_EQ(result.changed, 1);
  const Json pod = Documents(result.text)[0]["spec"]["template"]["spec"];
  EXPECT_THAT(Names(pod["initContainers"]), ElementsAre("whence-init", "whence-agent"));
  EXPECT_THAT(Names(pod["containers"]), ElementsAre("web"));
  const Json& init = pod["initContainers"][0];
  const Json& agent = pod["initContainers"][1];
  EXPECT_EQ(init["securityContext"]["capabilities"].dump(),
            R"({"drop":["ALL"],"add":["NET_ADMIN"]})");
  EXPECT_EQ(agent["securityContext"]["capabilities"].dump(),
            R"({"drop":["ALL"],"add":["NET_RAW"]})");
  EXPECT_EQ(agent["securityContext"]["readOnlyRootFilesystem"], true);
  EXPECT_EQ(agent["restartPolicy"], "Always");
  EXPECT_EQ(init["args"].dump(),
            R"(["intercept","install","--mode","tproxy","--on-exit","block"])");
  EXPECT_THAT(Names(pod["securityContext"]["sysctls"]),
              ElementsAre("net.ipv4.tcp_fwmark_accept", "net.ipv4.fwmark_reflect",
                          "net.ipv6.fwmark_reflect"));
  // What was written stays as it was.
  for (const char* line :
       {"# The shop's front.", "{name: web, namespace: shop}   # ours", "      # one container",
        "            - {name: http, containerPort: 8080}"}) {
    EXPECT_THAT(result.text, HasSubstr(line));
  }
  EXPECT_EQ(Documents(result.text)[1].dump(), Documents(kDeployment)[1].dump());
}

TEST(InjectorTest, HasTheKubeletAskTheAgent) {
  const Result result = Inject(kDeployment, {});
  const Json pod = Documents(result.text)[0]["spec"]["template"]["spec"];
  const Json& web = pod["containers"][0];
  EXPECT_EQ(web["livenessProbe"].dump(),
            R"({"httpGet":{"path":"/app-health/web/livez","port":15021},"periodSeconds":5})");
  EXPECT_EQ(web["readinessProbe"].dump(),
            R"({"httpGet":{"path":"/app-health/web/readyz","port":15021},"timeoutSeconds":3})");
  EXPECT_EQ(web["startupProbe"].dump(), R"({"exec":{"command":[true]}})");
  Json table;
  for (const Json& variable : pod["initContainers"][1]["env"]) {
    if (variable["name"] == "WHENCE_APP_PROBES") {
      table = Json::parse(variable["value"].get<std::string>());
    }
  }
  EXPECT_EQ(
      table.dump(),
      R"({"/app-health/web/livez":{"httpGet":{"path":"/live","port":8080},"timeoutSeconds":1},)"
      R"("/app-health/web/readyz":{"tcpSocket":{"port":8080},"timeoutSeconds":3}})");
}

// Block style, flow style and JSON; with and without what injection needs.
std::vector<std::string> Manifests() {
  return {
      kDeployment,
      "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspec:\n  containers:\n  - image: x\n    "
      "name: a\n",
      "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  annotations:\n    b: c\nspec:\n"
      "  volumes:\n  - name: v\n    emptyDir: {}\n  initContainers:\n  - name: first\n    image: "
      "y\n"
      "  securityContext:\n    runAsUser: 5\n    sysctls:\n    - {name: net.ipv4.fwmark_reflect, "
      "value: '1'}\n"
      "  containers:\n  - name: a\n    livenessProbe:\n      initialDelaySeconds: 3\n      grpc:\n"
      "        port: 5000\n      timeoutSeconds: 2\n",
      R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"a","readinessProbe":{"tcpSocket":{"port":1}}}]}})"
      "\n",
      "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: c}\nspec:\n  jobTemplate:\n    spec:\n"
      "      template:\n        spec:\n          restartPolicy: Never\n          containers: "
      "[{name: c}]\n",
      "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: a}\n"
      "  spec: {containers: [{name: a}], initContainers: []}\n- kind: ConfigMap\n  data: {a: b}\n"
      "- kind: StatefulSet\n  metadata: {name: s}\n  spec:\n    template:\n      metadata:\n"
      "        annotations: {}\n      spec:\n        containers:\n        - name: s\n",
  };
}

TEST(InjectorTest, InjectingTwiceIsInjectingOnce) {
  for (const std::string& text : Manifests()) {
    for (const bool native : {true, false}) {
      Settings settings;
      settings.native_sidecar = native;
      const Result once = Inject(text, settings);
      ASSERT_THAT(once.faults, IsEmpty()) << text;
      EXPECT_GE(once.changed, 1) << text;
      const Result twice = Inject(once.text, settings);
      ASSERT_THAT(twice.faults, IsEmpty()) << once.text;
      EXPECT_EQ(twice.text, once.text);
      EXPECT_EQ(twice.changed, 0);
    }
  }
}

TEST(InjectorTest, UninjectGivesBackTheOriginalToTheByte) {
  for (const std::string& text : Manifests()) {
    for (const bool native : {true, false}) {
      Settings settings;
      settings.native_sidecar = native;
      const Result injected = Inject(text, settings);
      ASSERT_THAT(injected.faults, IsEmpty()) << text;
      const Result back = Uninject(injected.text);
      ASSERT_THAT(back.faults, IsEmpty()) << injected.text;
      EXPECT_EQ(back.text, text);
      EXPECT_EQ(Uninject(text).text, text);
    }
  }
}

// As `kubectl get -o json` would: the text is another, the object is the same.
TEST(InjectorTest, UninjectsWhatAClusterGaveBack) {
  for (const std::string& text : Manifests()) {
    const Result injected = Inject(text, {});
    std::string json;
    for (const Json& document : Documents(injected.text)) json += "---\n" + document.dump(2) + "\n";
    const Result back = Uninject(json);
    ASSERT_THAT(back.faults, IsEmpty()) << json;
    const std::vector<Json> want = Documents(text), have = Documents(back.text);
    ASSERT_EQ(have.size(), want.size());
    for (size_t i = 0; i < want.size(); ++i) EXPECT_EQ(have[i].dump(), want[i].dump());
  }
}

TEST(InjectorTest, OtherSettingsReplaceTheOldOnes) {
  Settings settings;
  const Result old = Inject(kDeployment, settings);
  settings.mode = "redirect";
  settings.native_sidecar = false;
  settings.certs_secret = "";
  const Result now = Inject(old.text, settings);
  EXPECT_EQ(now.text, Inject(kDeployment, settings).text);
  const Json pod = Documents(now.text)[0]["spec"]["template"]["spec"];
  EXPECT_THAT(Names(pod["containers"]), ElementsAre("whence-agent", "web"));
  EXPECT_THAT(Names(pod["volumes"]), ElementsAre("whence-state"));
  EXPECT_FALSE(pod.contains("securityContext"));
}

TEST(InjectorTest, KeepsWhatAnAuthorAddedSince) {
  std::string text = Inject(kDeployment, {}).text;
  const size_t at = text.find("      volumes:\n") + sizeof("      volumes:\n") - 1;
  ASSERT_NE(at, std::string::npos);
  text.insert(at, "      - name: mine\n        emptyDir: {}\n");
  const Result back = Uninject(text);
  ASSERT_THAT(back.faults, IsEmpty());
  EXPECT_THAT(Names(Documents(back.text)[0]["spec"]["template"]["spec"]["volumes"]),
              ElementsAre("mine"));
}

TEST(InjectorTest, LeavesAloneWhatMustBeLeftAlone) {
  for (const char* text :
       {"kind: Pod\nmetadata: {name: a}\nspec: {hostNetwork: true, containers: [{name: a}]}\n",
        "kind: Pod\nmetadata: {name: a, labels: {whence.dev/inject: 'false'}}\nspec: {containers: "
        "[{name: a}]}\n"}) {
    const Result result = Inject(text, {});
    EXPECT_EQ(result.text, text);
    EXPECT_THAT(result.notes, ElementsAre(HasSubstr("Pod a: left alone")));
    EXPECT_THAT(result.faults, IsEmpty());
  }
}

TEST(InjectorTest, NamesEveryFault) {
  const Result result = Inject(
      "kind: Pod\nmetadata: {name: a}\nspec: {}\n---\nkind: Pod\nmetadata: {name: b}\n"
      "spec: {containers: [{name: whence-agent}]}\n---\nkind: Pod\n"
      "metadata: {name: c, annotations: {whence.dev/status: what}}\nspec: {containers: [{name: "
      "c}]}\n",
      {});
  EXPECT_THAT(result.faults,
              ElementsAre(HasSubstr("Pod a: spec.containers"),
                          HasSubstr("Pod b: spec.containers has a container named"),
                          HasSubstr("Pod c: metadata.annotations.whence.dev/status")));
  EXPECT_THAT(Inject("kind: [\n", {}).faults, ElementsAre(HasSubstr("not valid YAML")));
}

TEST(InjectorTest, TurnsIstiosGatewayTopologyIntoADocument) {
  const Result result = Inject(
      "kind: Deployment\nmetadata: {name: edge, namespace: web}\nspec:\n  template:\n    "
      "metadata:\n"
      "      labels: {app: edge}\n      annotations:\n"
      "        proxy.istio.io/config: '{\"gatewayTopology\": {\"numTrustedProxies\": 2}}'\n"
      "    spec:\n      containers: [{name: edge}]\n",
      {});
  ASSERT_EQ(result.trust_topologies.size(), 1U);
  EXPECT_EQ(
      result.trust_topologies[0].dump(),
      R"({"apiVersion":"whence.dev/v1","kind":"TrustTopology","metadata":{"name":"edge",)"
      R"("namespace":"web"},"spec":{"selector":{"matchLabels":{"app":"edge"}},"numTrustedProxies":2}})");
}

TEST(InjectorTest, NamesAProbeWhosePortIsNotDeclared) {
  const char* text =
      "kind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - name: a\n    livenessProbe: "
      "{httpGet: {port: web}}\n";
  const Result result = Inject(text, {});
  EXPECT_THAT(result.warnings, ElementsAre(HasSubstr("a/livenessProbe")));
  EXPECT_THAT(result.text, HasSubstr("livenessProbe: {httpGet: {port: web}}"));
}

}  // namespace
}  // namespace whence::inject
