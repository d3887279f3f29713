#include "common/bundle/bundle_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "common/proxy_protocol/handover.h"
#include "common/wire/snapshot_decoder.h"
#include "tests/unit/common/bundle/helpers.h"

namespace whence::bundle {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string Policy(const std::string& space, const std::string& name, const std::string& spec) {
  return "---\nkind: IpPolicy\napiVersion: whence.dev/v1\nmetadata: {name: " + name +
         ", namespace: " + space + "}\nspec: {" + spec + "}\n";
}

std::string Topology(const std::string& space, const std::string& name, const std::string& spec) {
  return "---\nkind: TrustTopology\napiVersion: whence.dev/v1\nmetadata: {name: " + name +
         ", namespace: " + space + "}\nspec: {" + spec + "}\n";
}

std::vector<std::string> PolicyNames(const v1::WorkloadBundle& bundle) {
  std::vector<std::string> names;
  for (const auto& policy : bundle.policies()) {
    names.push_back(policy.namespace_() + "/" + policy.name());
  }
  return names;
}

TEST(BundleTest, TakesThePoliciesThatSelectTheWorkload) {
  const ConfigView view(
      Documents(Policy("shop", "z-all", "") + Policy("istio-system", "root", "") +
                Policy("other", "elsewhere", "") +
                Policy("shop", "app", "selector: {matchLabels: {app: web}}") +
                Policy("shop", "two", "selector: {matchLabels: {app: web, tier: front}}") +
                Policy("shop", "not-mine", "selector: {matchLabels: {app: db}}") +
                Policy("shop", "too-many", "selector: {matchLabels: {app: web, zone: a}}") +
                Policy("istio-system", "root-not-mine", "selector: {matchLabels: {app: istio}}")));
  const Workload web = MakeWorkload("shop", "web-1", {{"app", "web"}, {"tier", "front"}}, {});
  EXPECT_THAT(PolicyNames(Build(view, {}, web)),
              ElementsAre("istio-system/root", "shop/app", "shop/two", "shop/z-all"));
  const Workload root = MakeWorkload("istio-system", "gw", {{"app", "istio"}}, {});
  EXPECT_THAT(PolicyNames(Build(view, {}, root)),
              ElementsAre("istio-system/root", "istio-system/root-not-mine"));
}

TEST(BundleTest, MeshNamesTheRootNamespace) {
  const ConfigView view(Documents(
      Policy("istio-system", "old", "") + Policy("central", "new", "") +
      "---\nkind: Mesh\napiVersion: whence.dev/v1\nmetadata: {name: m}\nspec: {rootNamespace: "
      "central, pathNormalization: BASE, nodeCidrs: [10.128.0.0/16]}\n"));
  const v1::WorkloadBundle bundle = Build(view, {}, MakeWorkload("shop", "web", {}, {}));
  EXPECT_THAT(PolicyNames(bundle), ElementsAre("central/new"));
  EXPECT_EQ(bundle.mesh().path_normalization(), v1::BASE);
  EXPECT_THAT(bundle.mesh().node_cidrs(), ElementsAre("10.128.0.0/16"));
}

TEST(BundleTest, MarksDryRuns) {
  const ConfigView view(Documents(
      Policy("n", "a", "mode: DRY_RUN") + Policy("n", "b", "") +
      "---\nkind: AuthorizationPolicy\napiVersion: security.istio.io/v1\nmetadata: {name: c, "
      "namespace: n, annotations: {istio.io/dry-run: \"true\"}}\n"
      "---\nkind: AuthorizationPolicy\napiVersion: security.istio.io/v1\nmetadata: {name: d, "
      "namespace: n, annotations: {istio.io/dry-run: \"false\"}}\n"
      "---\nkind: AuthorizationPolicy\napiVersion: security.istio.io/v1\nmetadata: {name: e, "
      "namespace: n, annotations: {istio.io/dry-run: \"T\"}}\n"));
  std::vector<bool> dry;
  const v1::WorkloadBundle bundle = Build(view, {}, MakeWorkload("n", "w", {}, {}));
  for (const auto& policy : bundle.policies()) dry.push_back(policy.dry_run());
  EXPECT_THAT(dry, ElementsAre(true, false, true, false, true));
}

TEST(BundleTest, TakesTheMostSpecificTopology) {
  const ConfigView view(Documents(
      Topology("istio-system", "mesh", "") + Topology("shop", "all", "") +
      Topology("shop", "web", "selector: {matchLabels: {app: web}}") +
      Topology("istio-system", "two", "selector: {matchLabels: {app: web, tier: front}}") +
      Topology("other", "x", "selector: {matchLabels: {app: web, tier: front, a: b}}")));
  struct {
    const char* space;
    std::map<std::string, std::string> labels;
    const char* want;
  } rows[] = {
      {"shop", {}, "shop/all"},  // its own namespace before the root
      {"other", {}, "istio-system/mesh"},
      {"shop", {{"app", "db"}}, "shop/all"},
      {"shop", {{"app", "web"}}, "shop/web"},
      {"shop", {{"app", "web"}, {"tier", "front"}, {"a", "b"}}, "istio-system/two"},
      {"other", {{"app", "web"}, {"tier", "front"}, {"a", "b"}}, "other/x"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(Build(view, {}, MakeWorkload(row.space, "w", row.labels, {})).trust().source(),
              row.want);
  }
  EXPECT_EQ(Build(ConfigView(), {}, MakeWorkload("n", "w", {}, {})).trust().source(), "");
}

TEST(BundleTest, NamesMeshGatewaysToThoseWhoTrustThem) {
  const Workload gateway =
      MakeWorkload("istio-system", "gw", {}, {"10.0.0.9", "2001:db8::9"}, trust::Role::kGateway);
  const Workload node = MakeWorkload("kube", "node", {}, {"10.128.0.2"}, trust::Role::kNode);
  const Workload web = MakeWorkload("shop", "web", {{"app", "web"}}, {"10.0.0.1"});
  const std::vector<Workload> inventory = {web, node, gateway};
  const ConfigView none;
  EXPECT_THAT(Build(none, inventory, web).trust().mesh_gateways(),
              ElementsAre("10.0.0.9", "10.128.0.2", "2001:db8::9"));
  EXPECT_THAT(Build(none, inventory, gateway).trust().mesh_gateways(), IsEmpty());

  const ConfigView off(Documents(Topology("shop", "t", "trustMeshGateways: false")));
  EXPECT_THAT(Build(off, inventory, web).trust().mesh_gateways(), IsEmpty());
  // Not itself.
  const ConfigView on(Documents(Topology("istio-system", "t", "trustMeshGateways: true")));
  EXPECT_THAT(Build(on, inventory, gateway).trust().mesh_gateways(), ElementsAre("10.128.0.2"));
}

// "31380 -> name of cluster: its endpoints", one line a node port.
std::vector<std::string> NodePorts(const v1::WorkloadBundle& bundle) {
  std::vector<std::string> lines;
  for (const v1::ListenerResource& listener : bundle.listeners()) {
    EXPECT_EQ(listener.protocol(), v1::TCP);
    std::string line = std::to_string(listener.port()) + " -> " + listener.cluster();
    for (const v1::ClusterResource& cluster : bundle.clusters()) {
      if (cluster.name() != listener.cluster()) continue;
      for (const v1::EndpointResource& endpoint : cluster.endpoints()) {
        EXPECT_FALSE(endpoint.handover_key().empty());
        line += " " + endpoint.address() + ":" + std::to_string(endpoint.port());
      }
    }
    lines.push_back(line);
  }
  return lines;
}

std::string GatewayService(const std::string& name, const std::string& spec) {
  return "---\nkind: Service\napiVersion: v1\nmetadata: {name: " + name +
         ", namespace: edge}\nspec: {" + spec + "}\n";
}

TEST(BundleTest, ANodeAgentTakesTheNodePortsOfGatewaysAndNoOthers) {
  const std::string gateway =
      "---\nkind: Gateway\napiVersion: networking.istio.io/v1\nmetadata: {name: g, namespace: "
      "edge}\nspec: {selector: {app: gw}, servers: [{port: {number: 80, name: http, protocol: "
      "HTTP}, "
      "hosts: ['*']}, {port: {number: 9000, name: tcp, protocol: TCP}, hosts: ['*']}]}\n";
  const std::string ports =
      "ports: [{name: http, port: 80, targetPort: 8080, nodePort: 31380}, {name: tcp, port: 9000, "
      "nodePort: 31400}, {name: ssh, port: 22, nodePort: 31022}, {name: inner, port: 81}]";
  const std::string selector = ", selector: {app: gw}, ";
  const Workload node = MakeWorkload("kube", "node", {}, {"10.128.0.2"}, trust::Role::kNode);
  const std::vector<Workload> inventory = {
      node,
      MakeWorkload("edge", "gw1", {{"app", "gw"}}, {"10.0.0.9", "fd00::9"}, trust::Role::kGateway),
      MakeWorkload("edge", "gw2", {{"app", "gw"}}, {"10.0.0.8"}, trust::Role::kGateway),
      // Not a gateway, not of that namespace, not selected.
      MakeWorkload("edge", "web", {{"app", "gw"}}, {"10.0.0.1"}),
      MakeWorkload("other", "gw3", {{"app", "gw"}}, {"10.0.0.7"}, trust::Role::kGateway),
      MakeWorkload("edge", "gw4", {{"app", "x"}}, {"10.0.0.6"}, trust::Role::kGateway)};
  const auto build = [&](const std::string& documents, const std::vector<Workload>& workloads) {
    const ConfigView view(Documents(documents));
    return NodePorts(Build(view, workloads, node, "secret"));
  };
  const std::string taken = GatewayService("gw", "type: LoadBalancer" + selector + ports);
  EXPECT_THAT(build(gateway + taken, inventory),
              ElementsAre("31380 -> gw.edge.svc.cluster.local:80 10.0.0.9:8080 10.0.0.8:8080",
                          "31400 -> gw.edge.svc.cluster.local:9000 10.0.0.9:9000 10.0.0.8:9000"));
  EXPECT_THAT(build(gateway + taken, {node}), IsEmpty());
  EXPECT_THAT(build(taken, inventory), IsEmpty());  // no Gateway has them listen
  for (const char* left_alone :
       {"type: ClusterIP", "type: LoadBalancer, externalTrafficPolicy: Local",
        "type: NodePort, sessionAffinity: ClientIP"}) {
    EXPECT_THAT(build(gateway + GatewayService("gw", left_alone + selector + ports), inventory),
                IsEmpty())
        << left_alone;
  }
  // One port, two Services: the first in order.
  EXPECT_THAT(build(gateway + taken +
                        GatewayService("a", "type: NodePort" + selector +
                                                "ports: [{port: 9000, nodePort: 31380}]"),
                    inventory),
              ElementsAre("31380 -> a.edge.svc.cluster.local:9000 10.0.0.9:9000 10.0.0.8:9000",
                          "31400 -> gw.edge.svc.cluster.local:9000 10.0.0.9:9000 10.0.0.8:9000"));
  // The gateway is told whose hand-over to take; a sidecar knows node agents as agents of the mesh.
  const ConfigView view(Documents(gateway + taken));
  EXPECT_THAT(Build(view, inventory, inventory[1]).trust().node_agents(),
              ElementsAre("10.128.0.2"));
  EXPECT_THAT(Build(view, inventory, inventory[3]).trust().node_agents(), IsEmpty());
}

// To whom a gateway says who the client is: where it would reach the application, it says nothing.
TEST(BundleTest, AHandOverGoesWhereAnAgentTakesItAndBelieves) {
  const std::string documents =
      "kind: Gateway\napiVersion: networking.istio.io/v1\nmetadata: {name: g, namespace: edge}\n"
      "spec: {selector: {app: gw}, servers: [{port: {number: 80, name: a, protocol: TCP}, hosts: "
      "['*']}]}\n---\nkind: VirtualService\napiVersion: networking.istio.io/v1\nmetadata: {name: "
      "v, "
      "namespace: shop}\nspec: {hosts: ['*'], gateways: [edge/g], tcp: [{route: [{destination: "
      "{host: HOST, port: {number: 90}}}]}]}\n---\nkind: Service\napiVersion: v1\nmetadata: {name: "
      "web, namespace: shop}\nspec: {selector: {app: web}, ports: [{port: 90, targetPort: 9090}]}\n"
      "---\nkind: ServiceEntry\napiVersion: networking.istio.io/v1\nmetadata: {name: e, namespace: "
      "shop}\nspec: {hosts: [web.entry], ports: [{number: 90, name: tcp}], resolution: STATIC, "
      "endpoints: [{address: 10.0.0.1}]}\n";
  const Workload gateway =
      MakeWorkload("edge", "gw", {{"app", "gw"}}, {"10.0.0.9"}, trust::Role::kGateway);
  Workload web = MakeWorkload("shop", "web", {{"app", "web"}}, {"10.0.0.1"});
  const auto endpoint = [&](const std::string& host, const std::string& more = "") {
    std::string text = documents;
    text.replace(text.find("HOST"), 4, host);
    const ConfigView view(Documents(text + more));
    return Build(view, {web, gateway}, gateway, "secret").clusters(0).endpoints(0);
  };
  for (const char* host : {"web", "'10.0.0.1'", "web.entry"}) {
    const uint16_t port = host == std::string("web") ? 9090 : 90;
    web.excluded_ports = {15020};
    EXPECT_TRUE(endpoint(host).has_sidecar());
    const proxy_protocol::HandoverKey key = proxy_protocol::DeriveKey("secret", "shop/web");
    EXPECT_EQ(endpoint(host).handover_key(), std::string(key.begin(), key.end()));
    const auto expect_nothing = [&](const v1::EndpointResource& told) {
      EXPECT_FALSE(told.has_sidecar()) << host;
      EXPECT_EQ(told.handover_key(), "") << host;
    };
    web.excluded_ports = {15020, port};
    expect_nothing(endpoint(host));
    web.excluded_ports = {};
    web.included_ports = {443};
    expect_nothing(endpoint(host));
    web.included_ports = {443, port};
    EXPECT_TRUE(endpoint(host).has_sidecar());
    expect_nothing(endpoint(host, "---\n" + Topology("shop", "t", "trustMeshGateways: false")));
    web.included_ports = {};
  }
  // Its own key, and nobody else's.
  const ConfigView none;
  EXPECT_EQ(Build(none, {web, gateway}, web, "secret").handover_key(),
            Build(none, {}, web, "secret").handover_key());
  EXPECT_NE(Build(none, {web, gateway}, web, "secret").handover_key(),
            Build(none, {web, gateway}, gateway, "secret").handover_key());
  EXPECT_EQ(Build(none, {web, gateway}, web).handover_key(), "");
}

TEST(BundleTest, PoliciesForEverybodyAreNotForNodes) {
  const std::string policy =
      "---\nkind: IpPolicy\napiVersion: whence.dev/v1\nmetadata: {name: p, namespace: istio-system}"
      "\nspec: {";
  const Workload node =
      MakeWorkload("kube", "node", {{"app", "node"}}, {"10.128.0.2"}, trust::Role::kNode);
  const ConfigView all(Documents(policy + "action: DENY, rules: [{}]}\n"));
  EXPECT_EQ(Build(all, {}, node).policies_size(), 0);
  const ConfigView named(
      Documents(policy + "selector: {matchLabels: {app: node}}, action: DENY, rules: [{}]}\n"));
  EXPECT_EQ(Build(named, {}, node).policies_size(), 1);
}

TEST(BundleTest, ResolvesTrustedWorkloadsToLiveAddresses) {
  const std::vector<Workload> inventory = {
      MakeWorkload("shop", "p2", {{"app", "proxy"}}, {"10.0.0.7", "10.0.0.6"}),
      MakeWorkload("shop", "p1", {{"app", "proxy"}, {"x", "y"}}, {"10.0.0.5"}),
      MakeWorkload("shop", "web", {{"app", "web"}}, {"10.0.0.1"}),
      // The same labels in a namespace of somebody else: anybody can set labels.
      MakeWorkload("evil", "p", {{"app", "proxy"}}, {"10.0.0.66"}),
  };
  const std::string spec =
      "trustedProxies: {workloads: [{matchLabels: {app: proxy}}], cidrs: [192.0.2.0/24]}, "
      "proxyProtocol: {accept: OPTIONAL, from: {workloads: [{matchLabels: {x: y}}]}}";
  const ConfigView view(Documents(Topology("shop", "t", spec)));
  const v1::TrustResource trust = Build(view, inventory, inventory[2]).trust();
  EXPECT_THAT(trust.trusted_workloads(), ElementsAre("10.0.0.5", "10.0.0.6", "10.0.0.7"));
  EXPECT_THAT(trust.spec().proxy_protocol().from().cidrs(), ElementsAre("10.0.0.5/32"));

  const ConfigView root(Documents(Topology("istio-system", "t", spec)));
  EXPECT_THAT(Build(root, inventory, inventory[2]).trust().trusted_workloads(), SizeIs(4));
}

// `workload` as an agent with a certificate that names `labels`, connected from its first address.
Workload Certified(Workload workload, std::map<std::string, std::string> labels) {
  workload.certified_labels = std::move(labels);
  workload.unproven_addresses.assign(workload.addresses.begin() + 1, workload.addresses.end());
  return workload;
}

TEST(BundleTest, TrustsWorkloadsForWhatIsProvenOfThemOnly) {
  const std::map<std::string, std::string> proxy = {{"app", "proxy"}};
  const std::vector<Workload> inventory = {
      Certified(MakeWorkload("shop", "evil", proxy, {"10.0.0.66"}), {}),
      Certified(MakeWorkload("shop", "p1", proxy, {"10.0.0.5", "10.0.0.67"}), proxy),
      MakeWorkload("shop", "local", proxy, {"10.0.0.6", "10.0.0.7"}),
      MakeWorkload("shop", "web", {{"app", "web"}}, {"10.0.0.1"}),
  };
  const ConfigView view(Documents(Topology(
      "shop", "t",
      "trustedProxies: {workloads: [{matchLabels: {app: proxy}}]}, "
      "proxyProtocol: {accept: OPTIONAL, from: {workloads: [{matchLabels: {app: proxy}}]}}")));
  const v1::TrustResource trust = Build(view, inventory, inventory[3]).trust();
  EXPECT_THAT(trust.trusted_workloads(), ElementsAre("10.0.0.5", "10.0.0.6", "10.0.0.7"));
  EXPECT_THAT(trust.spec().proxy_protocol().from().cidrs(),
              ElementsAre("10.0.0.5/32", "10.0.0.6/32", "10.0.0.7/32"));
  const auto distrust = [&](size_t i) {
    std::string text;
    for (const Distrust& one : DistrustedBy(view, inventory[i])) {
      text += one.topology + (one.is_of_labels ? " labels" : " addresses");
    }
    return text;
  };
  EXPECT_EQ(distrust(0), "shop/t labels");
  EXPECT_EQ(distrust(1), "shop/t addresses");
  EXPECT_EQ(distrust(2), "");
  EXPECT_EQ(distrust(3), "");
}

TEST(BundleTest, UnprovenAddressesAreEndpointsLikeOthers) {
  const std::vector<Workload> inventory = {
      Certified(MakeWorkload("shop", "web", {{"app", "web"}}, {"10.0.0.1", "10.0.0.2"}), {}),
      MakeWorkload("edge", "gw", {{"app", "gw"}}, {"10.0.1.1"}, trust::Role::kGateway)};
  const ConfigView view(Documents(
      "kind: Service\napiVersion: v1\nmetadata: {name: web, namespace: shop}\n"
      "spec: {selector: {app: web}, ports: [{port: 80}]}\n---\n"
      "kind: Gateway\napiVersion: networking.istio.io/v1\nmetadata: {name: g, namespace: edge}\n"
      "spec: {selector: {app: gw}, servers: [{port: {number: 80, name: t, protocol: TCP}, hosts: "
      "['*']}]}\n"
      "---\nkind: VirtualService\napiVersion: networking.istio.io/v1\n"
      "metadata: {name: v, namespace: edge}\nspec: {hosts: ['*'], gateways: [g], tcp: [{route: "
      "[{destination: {host: web.shop.svc.cluster.local, port: {number: 80}}}]}]}\n"));
  const v1::WorkloadBundle bundle = Build(view, inventory, inventory[1]);
  ASSERT_EQ(bundle.clusters_size(), 1);
  ASSERT_EQ(bundle.clusters(0).endpoints_size(), 2);
  EXPECT_EQ(bundle.clusters(0).endpoints(1).address(), "10.0.0.2");
}

TEST(BundleTest, SaysWhichGatewaysOnlyClaimTheirAddress) {
  const std::vector<Workload> inventory = {
      Certified(MakeWorkload("edge", "a", {}, {"10.0.1.1", "2001:db8::1"}, trust::Role::kGateway),
                {}),
      Certified(MakeWorkload("edge", "b", {}, {"10.0.1.2", "10.0.1.1"}, trust::Role::kGateway), {}),
      MakeWorkload("shop", "web", {}, {"10.0.0.1"})};
  const v1::TrustResource trust =
      Build(ConfigView(std::vector<v1::Document>{}), inventory, inventory[2]).trust();
  EXPECT_THAT(trust.mesh_gateways(), ElementsAre("10.0.1.1", "10.0.1.2", "2001:db8::1"));
  EXPECT_THAT(trust.unproven_gateways(), ElementsAre("2001:db8::1"));
}

TEST(BundleTest, NamesTheIpSetsThatAreNeeded) {
  const ConfigView view(Documents(
      Topology("shop", "t",
               "trustedProxies: {ipSets: [cdn]}, proxyProtocol: {from: {ipSets: "
               "[istio-system/lb]}}") +
      Policy("istio-system", "p",
             "rules: [{from: [{source: {ipSets: [bad], notIpSets: [shop/cdn]}}, {source: "
             "{remoteIpSets: [other/x], notRemoteIpSets: [y]}}]}]") +
      "---\nkind: IpSet\napiVersion: whence.dev/v1\nmetadata: {name: cdn, namespace: shop}\nspec: "
      "{cidrs: [10.1.0.0/16, \"::1\", 10.1.0.0/16]}\n"));
  const v1::WorkloadBundle bundle = Build(view, {}, MakeWorkload("shop", "web", {}, {}));
  EXPECT_THAT(bundle.ip_sets(), ElementsAre("istio-system/bad", "istio-system/lb", "istio-system/y",
                                            "other/x", "shop/cdn"));
  // Written out, since the agent does not know whose document it was.
  EXPECT_THAT(bundle.trust().spec().trusted_proxies().ip_sets(), ElementsAre("shop/cdn"));
  EXPECT_THAT(bundle.policies(0).spec().rules(0).from(0).source().ip_sets(),
              ElementsAre("istio-system/bad"));

  const std::vector<v1::IpSetResource> sets = BuildIpSets(view);
  ASSERT_THAT(sets, SizeIs(1));
  EXPECT_EQ(sets[0].name(), "shop/cdn");
  EXPECT_EQ(sets[0].v4().size(), 5u);
  EXPECT_EQ(sets[0].v6().size(), 17u);
}

TEST(BundleTest, DeclaresPortsThatServicesAgreeOn) {
  const auto service = [](const std::string& name, const std::string& spec) {
    return "---\nkind: Service\napiVersion: v1\nmetadata: {name: " + name +
           ", namespace: shop}\nspec: {" + spec + "}\n";
  };
  const ConfigView view(Documents(
      service("a",
              "selector: {app: web}, ports: [{name: http-main, port: 80, targetPort: 8080}, {name: "
              "x, port: 81}, {name: tcp, port: 82}, {name: http, port: 83, protocol: UDP}, {name: "
              "tcp-db, port: 84, appProtocol: http}, {name: http, port: 86}, {name: http-x, port: "
              "90, targetPort: web}]") +
      service("b", "selector: {app: web}, ports: [{name: tcp-y, port: 86}]") +
      service("c", "selector: {app: db}, ports: [{name: http, port: 87}]") +
      service("d", "ports: [{name: http, port: 88}]")));
  const Workload web = MakeWorkload("shop", "web", {{"app", "web"}}, {});
  std::vector<std::pair<uint32_t, int>> ports;
  const v1::WorkloadBundle bundle = Build(view, {}, web);
  for (const auto& port : bundle.ports()) ports.emplace_back(port.port(), port.protocol());
  EXPECT_THAT(ports, ElementsAre(std::pair(82u, int{v1::TCP}), std::pair(84u, int{v1::HTTP}),
                                 std::pair(8080u, int{v1::HTTP})));
  EXPECT_THAT(Build(view, {}, MakeWorkload("other", "web", {{"app", "web"}}, {})).ports(),
              IsEmpty());
}

TEST(BundleTest, EqualStateGivesEqualBytes) {
  std::vector<v1::Document> documents =
      Documents(Policy("n", "a", "") + Policy("n", "b", "") + Policy("istio-system", "c", "") +
                Topology("n", "t", "trustedProxies: {workloads: [{matchLabels: {a: b}}]}"));
  std::vector<Workload> inventory = {
      MakeWorkload("n", "x", {{"a", "b"}, {"c", "d"}, {"e", "f"}}, {"10.0.0.1"}),
      MakeWorkload("n", "y", {{"a", "b"}}, {"10.0.0.2"}),
      MakeWorkload("n", "g", {}, {"10.0.0.3"}, trust::Role::kGateway)};
  const Workload self = inventory[0];
  const ConfigView first(documents);
  std::string version = ResourceVersion(Build(first, inventory, self));
  EXPECT_THAT(version, SizeIs(16));
  std::reverse(documents.begin(), documents.end());
  std::reverse(inventory.begin(), inventory.end());
  const ConfigView second(documents);
  EXPECT_EQ(ResourceVersion(Build(second, inventory, self)), version);
  // And a different one when anything that concerns the workload changes.
  inventory[0].addresses = {*net::IpAddress::Parse("10.0.0.4")};
  EXPECT_NE(ResourceVersion(Build(second, inventory, self)), version);
}

TEST(BundleTest, VersionsAreStableOverTime) {
  // A version is stored by agents and compared after upgrades: changing how it is made re-sends
  // everything once.
  v1::IpSetResource set;
  set.set_name("n/a");
  EXPECT_EQ(ResourceVersion(set), "a9211e9ea160289f");
}

TEST(BundleTest, DecodesToASnapshot) {
  const ConfigView view(Documents(
      Topology("n", "t", "trustedProxies: {cidrs: [10.0.0.0/8]}, upstreamSource: TRUSTED_CLIENT") +
      Policy("n", "p", "action: DENY, rules: [{from: [{source: {ipSets: [s]}}]}]") +
      "---\nkind: IpSet\napiVersion: whence.dev/v1\nmetadata: {name: s, namespace: n}\nspec: "
      "{cidrs: [10.1.0.0/16]}\n"));
  wire::IpSetMap sets;
  for (const v1::IpSetResource& set : BuildIpSets(view)) {
    sets[set.name()] = wire::DecodeIpSet(set).value();
  }
  const auto snapshot = wire::Decode(Build(view, {}, MakeWorkload("n", "w", {}, {})), "v", sets);
  ASSERT_TRUE(snapshot.ok()) << snapshot.status().ToString();
  EXPECT_EQ((*snapshot)->topology.source, "n/t");
  EXPECT_EQ((*snapshot)->policies->size(), 1u);
}

}  // namespace
}  // namespace whence::bundle
