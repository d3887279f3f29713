#include "common/bundle/gateway_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/wire/snapshot_decoder.h"
#include "tests/unit/common/bundle/helpers.h"

namespace whence::bundle {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// "80 http a.b / -> cluster" per route, so that whole results compare as text.
std::vector<std::string> Lines(const v1::WorkloadBundle& bundle) {
  std::vector<std::string> lines;
  for (const v1::ListenerResource& listener : bundle.listeners()) {
    const std::string port = std::to_string(listener.port());
    if (listener.protocol() == v1::TCP) lines.push_back(port + " tcp -> " + listener.cluster());
    if (listener.protocol() == v1::HTTP && listener.virtual_hosts().empty()) {
      lines.push_back(port + " http nothing");
    }
    for (const v1::VirtualHost& host : listener.virtual_hosts()) {
      for (const v1::RouteResource& route : host.routes()) {
        lines.push_back(port + " http " + host.domains(0) + " " +
                        (route.has_exact() ? "=" + route.exact() : route.prefix()) + " -> " +
                        route.cluster());
      }
    }
  }
  return lines;
}

std::vector<std::string> Endpoints(const v1::WorkloadBundle& bundle, const std::string& cluster) {
  std::vector<std::string> lines;
  for (const v1::ClusterResource& resource : bundle.clusters()) {
    if (resource.name() != cluster) continue;
    for (const v1::EndpointResource& endpoint : resource.endpoints()) {
      lines.push_back(endpoint.address() + " " + std::to_string(endpoint.port()) + " " +
                      endpoint.workload() + (endpoint.has_sidecar() ? " sidecar" : ""));
    }
  }
  return lines;
}

std::string Gateway(const std::string& meta, const std::string& servers) {
  return "---\nkind: Gateway\napiVersion: networking.istio.io/v1\nmetadata: {" + meta +
         "}\nspec: {selector: {istio: ingressgateway}, servers: [" + servers + "]}\n";
}

std::string VirtualService(const std::string& meta, const std::string& spec) {
  return "---\nkind: VirtualService\napiVersion: networking.istio.io/v1\nmetadata: {" + meta +
         "}\nspec: {" + spec + "}\n";
}

std::string Service(const std::string& meta, const std::string& spec) {
  return "---\nkind: Service\napiVersion: v1\nmetadata: {" + meta + "}\nspec: {" + spec + "}\n";
}

std::string To(const std::string& host, int port) {
  return "route: [{destination: {host: " + host + ", port: {number: " + std::to_string(port) +
         "}}}]";
}

const char* kHttp80 = "{port: {number: 80, protocol: HTTP}, hosts: [\"*\"]}";

Workload GatewayWorkload() {
  return MakeWorkload("istio-system", "gw", {{"istio", "ingressgateway"}}, {"10.0.0.9"},
                      trust::Role::kGateway);
}

v1::WorkloadBundle BuildGateway(const std::string& yaml, std::vector<Workload> inventory = {}) {
  const ConfigView view(Documents(yaml));
  inventory.push_back(GatewayWorkload());
  return Build(view, inventory, GatewayWorkload());
}

TEST(GatewayBuilderTest, IntersectsHosts) {
  struct {
    const char *a, *b;
    std::optional<std::string> want;
  } rows[] = {
      {"a.com", "b.com", std::nullopt},
      {"*.a.com", "a.com", std::nullopt},
      {"*.a.com", "xa.com", std::nullopt},
      {"*.a.com", "*.b.com", std::nullopt},
      {"a.com", "x.a.com", std::nullopt},
      {"*", "*", "*"},
      {"*", "A.com", "a.com"},
      {"*.a.com", "*", "*.a.com"},
      {"*.a.com", "x.A.com", "x.a.com"},
      {"x.y.a.com", "*.a.com", "x.y.a.com"},
      {"*.x.a.com", "*.a.com", "*.x.a.com"},
      {"*.a.com", "*.a.com", "*.a.com"},
      {"*.aa.com", "*.a.com", std::nullopt},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(Intersection(row.a, row.b), row.want) << row.a << " " << row.b;
    EXPECT_EQ(Intersection(row.b, row.a), row.want) << row.b << " " << row.a;
  }
}

TEST(GatewayBuilderTest, BindsWhatBelongsTogetherOnly) {
  const std::string route = ", http: [{" + To("echo", 80) + "}]";
  const std::string yaml =
      Gateway("name: g, namespace: shop", kHttp80) +
      VirtualService("name: other-gateway, namespace: shop",
                     "hosts: [a.com], gateways: [h]" + route) +
      VirtualService("name: other-space, namespace: blog",
                     "hosts: [b.com], gateways: [g]" + route) +
      VirtualService("name: qualified, namespace: blog",
                     "hosts: [c.com], gateways: [h, shop/g]" + route) +
      VirtualService("name: short, namespace: shop", "hosts: [d.com], gateways: [g]" + route);
  EXPECT_THAT(Lines(BuildGateway(yaml)),
              ElementsAre("80 http c.com / -> echo.blog:80", "80 http d.com / -> echo.shop:80"));
  // A sidecar, or a gateway with other labels, has no part in it.
  const ConfigView view(Documents(yaml));
  Workload other = GatewayWorkload();
  other.labels = {{"istio", "egress"}};
  EXPECT_THAT(Lines(Build(view, {}, other)), IsEmpty());
  other = GatewayWorkload();
  other.role = trust::Role::kSidecar;
  EXPECT_THAT(Lines(Build(view, {}, other)), IsEmpty());
}

TEST(GatewayBuilderTest, ServersLimitHostsAndNamespaces) {
  const std::string route = ", gateways: [shop/g], http: [{" + To("echo", 80) + "}]";
  EXPECT_THAT(
      Lines(BuildGateway(
          Gateway("name: g, namespace: shop",
                  "{port: {number: 80, protocol: HTTP}, hosts: [\"./*.a.com\", \"blog/b.com\", "
                  "\"*/c.com\"]}") +
          VirtualService("name: own, namespace: shop", "hosts: [\"*\"]" + route) +
          VirtualService("name: blog, namespace: blog", "hosts: [x.a.com, b.com, d.com]" + route))),
      ElementsAre("80 http *.a.com / -> echo.shop:80", "80 http b.com / -> echo.blog:80",
                  "80 http c.com / -> echo.shop:80"));
}

TEST(GatewayBuilderTest, RoutesInOrder) {
  EXPECT_THAT(
      Lines(BuildGateway(
          Gateway("name: g", kHttp80) +
          VirtualService("name: b",
                         "hosts: [\"*\"], gateways: [g], http: [{" + To("last", 80) + "}]") +
          VirtualService("name: a",
                         "hosts: [\"*\"], gateways: [g], http: [{match: [{uri: {exact: "
                         "/x}}, {uri: {prefix: /y}}, {}], " +
                             To("a.b.svc.cluster.local", 1) + "}, {" + To("c.d", 2) + "}]"))),
      ElementsAre("80 http * =/x -> a.b.svc.cluster.local:1",
                  "80 http * /y -> a.b.svc.cluster.local:1",
                  "80 http * / -> a.b.svc.cluster.local:1", "80 http * / -> last.default:80"));
}

TEST(GatewayBuilderTest, WhatTakesEverythingComesLast) {
  // "a" stands before "b" by name, but must not shut it out; what is behind it in "a" is.
  EXPECT_THAT(
      Lines(BuildGateway(
          Gateway("name: g", kHttp80) +
          VirtualService("name: a", "hosts: [\"*\"], gateways: [g], http: [{" + To("all", 80) +
                                        "}, {match: [{uri: {prefix: /never}}], " + To("x", 1) +
                                        "}]") +
          VirtualService(
              "name: b",
              "hosts: [\"*\"], gateways: [g], http: [{match: [{uri: {prefix: /}, method: "
              "{exact: PUT}}], " +
                  To("put", 1) + "}, {match: [{uri: {prefix: /b}}], " + To("b", 1) + "}]"))),
      ElementsAre("80 http * / -> put.default:1", "80 http * /b -> b.default:1",
                  "80 http * / -> all.default:80"));
}

TEST(GatewayBuilderTest, DecidesPortsAndGatewaysOfMatches) {
  const std::string yaml =
      Gateway("name: g, namespace: shop",
              "{port: {number: 80, protocol: HTTP}, hosts: [\"*\"]}, {port: {number: 81, protocol: "
              "HTTP}, hosts: [\"*\"]}") +
      Gateway("name: h, namespace: shop", kHttp80) +
      VirtualService("name: v, namespace: shop",
                     "hosts: [\"*\"], gateways: [g, h], http: ["
                     "{match: [{port: 81, uri: {prefix: /p}}], " +
                         To("p", 1) +
                         "}, "
                         "{match: [{gateways: [h], uri: {prefix: /h}}], " +
                         To("h", 1) +
                         "}, "
                         "{match: [{gateways: [shop/g], port: 81}], " +
                         To("g", 1) + "}]");
  const v1::WorkloadBundle bundle = BuildGateway(yaml);
  EXPECT_THAT(Lines(bundle), ElementsAre("80 http * /h -> h.shop:1", "81 http * /p -> p.shop:1",
                                         "81 http * / -> g.shop:1"));
  for (const auto& listener : bundle.listeners()) {
    for (const auto& route : listener.virtual_hosts(0).routes()) {
      EXPECT_FALSE(route.has_conditions()) << route.ShortDebugString();
    }
  }
}

TEST(GatewayBuilderTest, SharesTcpAndLooksAtItsClients) {
  const v1::WorkloadBundle bundle = BuildGateway(
      Gateway("name: g", "{port: {number: 9000, protocol: TCP}, hosts: [\"*\"]}") +
      VirtualService("name: v",
                     "hosts: [\"*\"], gateways: [g], tcp: ["
                     "{match: [{port: 1}], " +
                         To("never", 1) +
                         "}, "
                         "{match: [{sourceCidrs: [10.0.0.0/8]}], " +
                         To("inside", 1) +
                         "}, "
                         "{route: [{destination: {host: a, port: {number: 1}}, weight: 3}, "
                         "{destination: {host: b, port: {number: 1}}, weight: 1}]}, "
                         "{" +
                         To("late", 1) + "}]"));
  ASSERT_EQ(bundle.listeners_size(), 1);
  const v1::ListenerResource& listener = bundle.listeners(0);
  EXPECT_EQ(listener.cluster(), "");
  ASSERT_EQ(listener.tcp_routes_size(), 2);
  EXPECT_EQ(listener.tcp_routes(0).source_cidrs(0), "10.0.0.0/8");
  EXPECT_EQ(listener.tcp_routes(0).clusters(0).cluster(), "inside.default:1");
  EXPECT_EQ(listener.tcp_routes(1).clusters(0).weight(), 3u);
  EXPECT_EQ(listener.tcp_routes(1).clusters(1).cluster(), "b.default:1");
}

TEST(GatewayBuilderTest, ServicesGiveLiveEndpoints) {
  const std::vector<Workload> inventory = {
      MakeWorkload("shop", "web-2", {{"app", "web"}}, {"10.0.0.2", "2001:db8::2"}),
      MakeWorkload("shop", "web-1", {{"app", "web"}}, {"2001:db8::1", "10.0.0.1"}),
      MakeWorkload("blog", "web-3", {{"app", "web"}}, {"10.0.0.3"}),
      MakeWorkload("shop", "db", {{"app", "db"}}, {"10.0.0.4"}),
      MakeWorkload("shop", "node", {{"app", "web"}}, {"10.0.0.5"}, trust::Role::kNode),
      MakeWorkload("shop", "bare", {{"app", "web"}}, {}),
  };
  const auto build = [&](const std::string& service, const std::string& destination) {
    return BuildGateway(
        Gateway("name: g, namespace: shop", kHttp80) + service +
            VirtualService("name: v, namespace: shop",
                           "hosts: [\"*\"], gateways: [g], http: [{" + destination + "}]"),
        inventory);
  };
  const std::string web = Service("name: web, namespace: shop",
                                  "selector: {app: web}, ports: [{port: 80, targetPort: 8080}]");
  // The workload's primary address only; of its namespace; no node agent.
  for (const char* host : {"web", "web.shop", "web.shop.svc", "Web.shop.svc.cluster.local"}) {
    EXPECT_THAT(
        Endpoints(build(web, To(host, 80)), "web.shop.svc.cluster.local:80"),
        ElementsAre("2001:db8::1 8080 shop/web-1 sidecar", "10.0.0.2 8080 shop/web-2 sidecar"))
        << host;
  }
  const std::string dual = Service("name: web, namespace: shop",
                                   "selector: {app: web}, ipFamilies: [IPv4], ports: [{port: 80}]");
  EXPECT_THAT(Endpoints(build(dual, "route: [{destination: {host: web}}]"),
                        "web.shop.svc.cluster.local:80"),
              ElementsAre("10.0.0.1 80 shop/web-1 sidecar", "10.0.0.2 80 shop/web-2 sidecar"));
  // No Service, another port, no selector: a cluster without endpoints, which answers 503.
  EXPECT_THAT(Endpoints(build("", To("web", 80)), "web.shop:80"), IsEmpty());
  EXPECT_THAT(Lines(build(web, To("web", 81))),
              ElementsAre("80 http * / -> web.shop.svc.cluster.local:81"));
  EXPECT_THAT(Endpoints(build(web, To("web", 81)), "web.shop.svc.cluster.local:81"), IsEmpty());
  EXPECT_THAT(
      Endpoints(build(Service("name: web, namespace: shop", "ports: [{port: 80}]"), To("web", 80)),
                "web.shop.svc.cluster.local:80"),
      IsEmpty());
  EXPECT_THAT(Endpoints(build(web, To("web.blog", 80)), "web.blog:80"), IsEmpty());
  // A port that only Kubernetes can find; it is not the Service's own.
  EXPECT_THAT(
      Endpoints(build(Service("name: web, namespace: shop",
                              "selector: {app: web}, ports: [{port: 80, targetPort: 3scale}]"),
                      To("web", 80)),
                "web.shop.svc.cluster.local:80"),
      IsEmpty());
  // An address is its own endpoint.
  EXPECT_THAT(Endpoints(build("", To("192.0.2.1", 81)), "192.0.2.1:81"),
              ElementsAre("192.0.2.1 81 "));
  // If it is a workload's, our verdict must reach its sidecar, whatever the route calls it.
  EXPECT_THAT(Endpoints(build("", To("10.0.0.4", 81)), "10.0.0.4:81"),
              ElementsAre("10.0.0.4 81 shop/db sidecar"));
  EXPECT_THAT(Endpoints(build("", To("10.0.0.5", 81)), "10.0.0.5:81"), ElementsAre("10.0.0.5 81 "));
}

std::string Document(const std::string& kind, const std::string& meta, const std::string& spec) {
  return "---\nkind: " + kind + "\napiVersion: networking.istio.io/v1\nmetadata: {" + meta +
         "}\nspec: {" + spec + "}\n";
}

// The one cluster that a route to `destination` leads to.
v1::ClusterResource ClusterFor(const std::string& documents, const std::string& destination,
                               const std::vector<Workload>& inventory = {}) {
  const v1::WorkloadBundle bundle = BuildGateway(
      Gateway("name: g, namespace: shop", kHttp80) + documents +
          VirtualService("name: v, namespace: shop",
                         "hosts: [\"*\"], gateways: [g], http: [{route: [{destination: {" +
                             destination + "}}]}]"),
      inventory);
  EXPECT_EQ(bundle.clusters_size(), 1);
  return bundle.clusters_size() == 1 ? bundle.clusters(0) : v1::ClusterResource();
}

TEST(GatewayBuilderTest, SubsetsPickByLabels) {
  const std::vector<Workload> inventory = {
      MakeWorkload("shop", "a", {{"app", "web"}, {"version", "v1"}}, {"10.0.0.1"}),
      MakeWorkload("shop", "b", {{"app", "web"}, {"version", "v2"}}, {"10.0.0.2"})};
  const std::string documents =
      Service("name: web, namespace: shop", "selector: {app: web}, ports: [{port: 80}]") +
      Document("DestinationRule", "name: web, namespace: shop",
               "host: web, trafficPolicy: {loadBalancer: {simple: RANDOM}, outlierDetection: "
               "{interval: 1s}, portLevelSettings: [{port: {number: 80}, connectionPool: {tcp: "
               "{connectTimeout: 1s}}}, {port: {number: 81}, loadBalancer: {simple: "
               "LEAST_REQUEST}}]}, subsets: [{name: v2, labels: {version: v2}, trafficPolicy: "
               "{loadBalancer: {consistentHash: {useSourceIp: true}}}}]");
  const auto whole = ClusterFor(documents, "host: web.shop", inventory);
  EXPECT_EQ(whole.endpoints_size(), 2);
  EXPECT_EQ(whole.load_balancer().simple(), v1::LoadBalancer::RANDOM);
  EXPECT_EQ(whole.connection_pool().tcp().connect_timeout(), "1s");
  const auto subset = ClusterFor(documents, "host: web, subset: v2", inventory);
  EXPECT_EQ(subset.name(), "web.shop.svc.cluster.local:80|v2");
  ASSERT_EQ(subset.endpoints_size(), 1);
  EXPECT_EQ(subset.endpoints(0).address(), "10.0.0.2");
  EXPECT_TRUE(subset.load_balancer().consistent_hash().use_source_ip());
  EXPECT_TRUE(subset.has_outlier_detection()) << "what the subset does not say, its host does";
  EXPECT_EQ(ClusterFor(documents, "host: web, subset: v3", inventory).endpoints_size(), 0);
}

TEST(GatewayBuilderTest, ChoosesTheNearestDestinationRule) {
  const auto rule = [](const std::string& space, const std::string& host, int requests) {
    return Document("DestinationRule",
                    "name: r" + std::to_string(requests) + ", namespace: " + space,
                    "host: \"" + host +
                        "\", trafficPolicy: {connectionPool: {http: {maxRequestsPerConnection: " +
                        std::to_string(requests) + "}}}");
  };
  const auto chosen = [&](const std::string& rules, const std::string& host) {
    return ClusterFor(rules, "host: " + host + ", port: {number: 80}")
        .connection_pool()
        .http()
        .max_requests_per_connection();
  };
  // A short name is of the rule's own namespace.
  EXPECT_EQ(chosen(rule("blog", "web", 1), "web"), 0u);
  EXPECT_EQ(chosen(rule("blog", "web", 1), "web.blog"), 1u);
  EXPECT_EQ(chosen(rule("shop", "web.shop.svc", 1), "web"), 1u);
  // The longest host, then the gateway's own namespace (here also the root) before the host's.
  EXPECT_EQ(chosen(rule("shop", "*.example.com", 1) + rule("shop", "api.example.com", 2) +
                       rule("shop", "*", 3),
                   "api.example.com"),
            2u);
  EXPECT_EQ(chosen(rule("shop", "*.example.com", 1) + rule("shop", "*", 3), "api.example.com"), 1u);
  EXPECT_EQ(chosen(rule("shop", "*.example.com", 1), "example.com"), 0u);
  EXPECT_EQ(chosen(rule("blog", "web.shop", 1) + rule("shop", "web", 2), "web"), 2u);
  EXPECT_EQ(chosen(rule("istio-system", "web.shop", 1) + rule("shop", "web", 2), "web"), 1u);
}

TEST(GatewayBuilderTest, ServiceEntriesGiveAddressesAndNames) {
  const auto lines = [](const v1::ClusterResource& cluster) {
    std::vector<std::string> out = {cluster.name()};
    for (const auto& one : cluster.endpoints()) {
      out.push_back(one.address() + " " + std::to_string(one.port()) + " x" +
                    std::to_string(one.weight()));
    }
    for (const auto& one : cluster.dns()) {
      out.push_back(one.host() + "? " + std::to_string(one.port()) + " x" +
                    std::to_string(one.weight()) + (one.first_only() ? " first" : ""));
    }
    return out;
  };
  const std::string fixed = Document(
      "ServiceEntry", "name: e",
      "hosts: [\"*.fix.ed\"], ports: [{number: 80, name: http, targetPort: 8080}, {number: 81, "
      "name: other}], resolution: STATIC, endpoints: [{address: 192.0.2.1, weight: 3}, {address: "
      "\"2001:db8::1\", ports: {http: 9}, labels: {v: a}}]");
  EXPECT_THAT(lines(ClusterFor(fixed, "host: A.fix.ed, port: {number: 80}")),
              ElementsAre("a.fix.ed:80", "192.0.2.1 8080 x3", "2001:db8::1 9 x0"));
  EXPECT_THAT(lines(ClusterFor(fixed, "host: a.fix.ed, port: {number: 82}")),
              ElementsAre("a.fix.ed:82"));
  EXPECT_THAT(lines(ClusterFor(fixed + Document("DestinationRule", "name: d, namespace: shop",
                                                "host: \"*.fix.ed\", subsets: [{name: a, labels: "
                                                "{v: a}}]"),
                               "host: a.fix.ed, port: {number: 81}, subset: a")),
              ElementsAre("a.fix.ed:81|a", "2001:db8::1 81 x0"));
  const std::string dns =
      Document("ServiceEntry", "name: e",
               "hosts: [a.dns], ports: [{number: 80}], resolution: DNS_ROUND_ROBIN");
  EXPECT_THAT(lines(ClusterFor(dns, "host: a.dns")), ElementsAre("a.dns:80", "a.dns? 80 x0 first"));
  // Without any document the name itself is asked for; a Service without selector by its full name.
  EXPECT_THAT(lines(ClusterFor("", "host: api.example.com, port: {number: 443}")),
              ElementsAre("api.example.com:443", "api.example.com? 443 x0"));
  EXPECT_THAT(lines(ClusterFor("", "host: db, port: {number: 5432}")),
              ElementsAre("db.shop:5432", "db.shop.svc.cluster.local? 5432 x0"));
  EXPECT_THAT(lines(ClusterFor("", "host: api.example.com")), ElementsAre("api.example.com:0"));
  EXPECT_THAT(
      lines(ClusterFor(Service("name: db, namespace: shop", "ports: [{port: 5432}]"), "host: db")),
      ElementsAre("db.shop.svc.cluster.local:5432", "db.shop.svc.cluster.local? 5432 x0"));
}

TEST(GatewayBuilderTest, LongTimeoutsAreCutAndNotWrapped) {
  const std::pair<const char*, uint32_t> rows[] = {
      {"0s", 0},
      {"1.5s", 1500},
      {"4294967295ms", 4'294'967'295},
      {"4294968s", 4'294'967'295},  // 704 ms beyond 2^32
      {"8760h", 4'294'967'295},
  };
  for (const auto& [timeout, want] : rows) {
    const v1::WorkloadBundle bundle = BuildGateway(
        Gateway("name: g", kHttp80) +
        VirtualService("name: v", "hosts: [a.com], gateways: [g], http: [{timeout: " +
                                      std::string(timeout) + ", " + To("echo", 80) + "}]"));
    EXPECT_EQ(bundle.listeners(0).virtual_hosts(0).routes(0).timeout_ms(), want) << timeout;
  }
}

// What apply lets through and the agent refuses would keep every later policy from it.
TEST(GatewayBuilderTest, AnAgentTakesWhatDocumentsMayHoldAtMost) {
  const v1::WorkloadBundle bundle = BuildGateway(
      Gateway("name: g, namespace: shop", kHttp80) +
      VirtualService("name: v, namespace: shop",
                     "hosts: [\"*\"], gateways: [g], http: [{timeout: 8760h, retries: {attempts: "
                     "100, perTryTimeout: 8760h}, route: [{destination: {host: a.b}, weight: "
                     "4294967294}, {destination: {host: a.b, subset: x}, weight: 1}]}]") +
      Document("ServiceEntry", "name: e, namespace: shop",
               "hosts: [a.b], ports: [{number: 65535}], resolution: STATIC, endpoints: [{address: "
               "192.0.2.1, weight: 67108862}, {address: 192.0.2.2}]") +
      Document("DestinationRule", "name: d, namespace: shop",
               "host: a.b, trafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {name: c, "
               "ttl: 8760h}, maglev: {tableSize: 5000011}}}, connectionPool: {tcp: "
               "{connectTimeout: 8760h, tcpKeepalive: {probes: 127, time: 32767s, interval: "
               "32767s}}, http: {idleTimeout: 8760h}}, outlierDetection: {interval: 8760h, "
               "baseEjectionTime: 8760h, maxEjectionPercent: 100}}"));
  const auto snapshot = wire::Decode(bundle, "v", {});
  ASSERT_TRUE(snapshot.ok()) << snapshot.status().ToString();
  ASSERT_EQ((*snapshot)->clusters.size(), 2u);
  EXPECT_EQ((*snapshot)->clusters[0].endpoints.size(), 2u);
}

TEST(GatewayBuilderTest, ListensWhereTheServiceLeads) {
  const std::string service =
      Service("name: ingress, namespace: istio-system",
              "selector: {istio: ingressgateway}, ports: [{port: 80, targetPort: 8080}]");
  EXPECT_THAT(Lines(BuildGateway(Gateway("name: g", kHttp80) + service)),
              ElementsAre("8080 http nothing"));
  EXPECT_THAT(Lines(BuildGateway(Gateway("name: g",
                                         "{port: {number: 80, targetPort: 8081, protocol: HTTP}, "
                                         "hosts: [\"*\"]}") +
                                 service)),
              ElementsAre("8081 http nothing"));
  EXPECT_THAT(Lines(BuildGateway(Gateway("name: g", kHttp80))), ElementsAre("80 http nothing"));
  const std::string named =
      Service("name: ingress, namespace: istio-system",
              "selector: {istio: ingressgateway}, ports: [{port: 80, targetPort: http}]");
  EXPECT_THAT(Lines(BuildGateway(Gateway("name: g", kHttp80) + named)),
              ElementsAre("80 http nothing"));
}

TEST(GatewayBuilderTest, RelaysTcpByPort) {
  const std::string gateway = Gateway("name: g",
                                      "{port: {number: 5432, protocol: TCP}, hosts: [\"*\"]}, "
                                      "{port: {number: 9000, protocol: TCP}, "
                                      "hosts: [\"*\"]}");
  EXPECT_THAT(Lines(BuildGateway(gateway)), ElementsAre("5432 tcp -> ", "9000 tcp -> "));
  EXPECT_THAT(Lines(BuildGateway(
                  gateway + VirtualService("name: v",
                                           "hosts: [\"*\"], gateways: [g], tcp: [{match: [{port: "
                                           "5432}], " +
                                               To("db", 5432) + "}, {" + To("rest", 1) + "}]"))),
              ElementsAre("5432 tcp -> db.default:5432", "9000 tcp -> rest.default:1"));
}

TEST(GatewayBuilderTest, ServersOfOnePortShareAListener) {
  EXPECT_THAT(
      Lines(BuildGateway(
          Gateway("name: g",
                  "{port: {number: 80, protocol: HTTP}, hosts: [a.com]}, {port: {number: "
                  "80, protocol: HTTP}, hosts: [b.com, \"*.com\"]}") +
          Gateway("name: h", kHttp80) +
          VirtualService("name: v", "hosts: [a.com, b.com], gateways: [g, h], http: [{" +
                                        To("echo", 80) + "}]"))),
      ElementsAre("80 http a.com / -> echo.default:80", "80 http b.com / -> echo.default:80"));
}

}  // namespace
}  // namespace whence::bundle
