// What single documents must mean. One row, one fault.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/document/dry_run.h"
#include "tests/unit/common/document/helpers.h"

namespace whence::document {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

struct Row {
  const char* spec;
  const char* fault;
};

void ExpectFaults(const char* version, const char* kind, const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    const ParseResult result = ParseYaml(WithSpec(version, kind, row.spec));
    EXPECT_THAT(result.faults, SizeIs(1))
        << row.spec << ::testing::PrintToString(Texts(result.faults));
    if (result.faults.empty()) continue;
    EXPECT_THAT(FaultText(result.faults[0]), HasSubstr(row.fault)) << row.spec;
    EXPECT_NE(result.faults[0].line(), 0u) << row.spec;
  }
}

void ExpectGood(const char* version, const char* kind, const std::vector<const char*>& specs) {
  for (const char* spec : specs) {
    const ParseResult result = ParseYaml(WithSpec(version, kind, spec));
    EXPECT_THAT(Texts(result.faults), IsEmpty()) << spec;
    EXPECT_THAT(result.documents, SizeIs(1)) << spec;
  }
}

TEST(CheckPolicyTest, RefusesWhatCouldBeReadInTwoWays) {
  ExpectFaults(
      "whence.dev/v1", "IpPolicy",
      {
          {"  action: DENY\n", "spec.rules: DENY without rules never matches"},
          {"  action: DENY\n  rules: []\n", "DENY without rules never matches"},
          {"  rules: [{from: []}]\n", "spec.rules[0].from: is empty"},
          {"  rules: [{to: []}]\n", "spec.rules[0].to: is empty"},
          {"  rules: [{from: [{}]}]\n", "spec.rules[0].from[0].source: is empty"},
          {"  rules: [{from: [{source: {}}]}]\n", "from[0].source: is empty: name at least one"},
          {"  rules: [{from: [{source: {ipBlocks: []}}]}]\n", "source.ipBlocks: is empty"},
          {"  rules: [{to: [{operation: {}}]}]\n", "to[0].operation: is empty"},
          {"  rules: [{to: [{}]}]\n", "to[0].operation: is empty"},
          {"  rules: [{from: [{source: {ipBlocks: [1.2.3]}}]}]\n",
           "ipBlocks[0]: \"1.2.3\": not an IP address or CIDR"},
          {"  rules: [{from: [{source: {notRemoteIpBlocks: [\"::/0\", \"::/129\"]}}]}]\n",
           "notRemoteIpBlocks[1]: \"::/129\": prefix length must be 0..128"},
          {"  rules: [{from: [{source: {ipSets: [a/b/c]}}]}]\n", "must be \"name\" or"},
          {"  rules: [{from: [{source: {targetRefs: [a]}}]}]\n", "unknown field"},
          {"  rules: [{to: [{operation: {ports: [http]}}]}]\n", "\"http\" is no port"},
          {"  rules: [{to: [{operation: {notPorts: [\"65536\"]}}]}]\n", "\"65536\" is no port"},
          {"  rules: [{to: [{operation: {ports: [\"80-90\"]}}]}]\n", "\"80-90\" is no port"},
          {"  rules: [{to: [{operation: {hosts: [\"\"]}}]}]\n", "an empty string matches nothing"},
          {"  rules: [{to: [{operation: {paths: [\"/a/{**}/b/{*}\"]}}]}]\n",
           "{**} must be the last operator"},
          {"  rules: [{to: [{operation: {paths: [\"/a{*}\"]}}]}]\n", "must be a whole segment"},
          {"  rules: [{when: [{key: source.ip}]}]\n", "when[0]: needs values or notValues"},
          {"  rules: [{when: [{values: [a]}]}]\n", "when[0].key: is missing"},
          {"  rules: [{when: [{key: sorce.ip, values: [1.2.3.4]}]}]\n",
           "\"sorce.ip\" is no known key; did you mean \"source.ip\"?"},
          {"  rules: [{when: [{key: request.headers, values: [a]}]}]\n", "is no known key"},
          {"  rules: [{when: [{key: \"request.headers[a b]\", values: [a]}]}]\n",
           "\"a b\" is no header name"},
          {"  rules: [{when: [{key: \"request.headers[:path]\", values: [a]}]}]\n",
           "when[0].key: use operation.paths"},
          {"  rules: [{when: [{key: \"request.headers[:PATH]\", values: [a]}]}]\n",
           "when[0].key: use operation.paths"},
          {"  rules: [{when: [{key: \"request.headers[:scheme]\", values: [http]}]}]\n",
           "when[0].key: \":scheme\" is a pseudo-header that Whence does not act on yet; known are "
           ":authority and :method; remove it, or apply with --ignore-unsupported"},
          {"  rules: [{when: [{key: \"request.headers[]\", values: [a]}]}]\n", "is no header name"},
          {"  rules: [{when: [{key: connection.sni, values: [a]}]}]\n", "does not act on yet"},
          {"  rules: [{when: [{key: remote.ip, values: [a]}]}]\n", "not an IP address or CIDR"},
          {"  rules: [{when: [{key: destination.port, notValues: [a]}]}]\n", "is no port"},
          {"  rules: [{}]\n  action: AUDIT\n",
           "AUDIT is an Istio action that Whence does not act on"},
          {"  rules: [{}]\n  action: CUSTOM\n", "CUSTOM is an Istio action"},
          {"  expires: tomorrow\n", "spec.expires: \"tomorrow\" is no time"},
          {"  expires: \"2030-01-31\"\n", "is no time"},
          {"  mode: DRYRUN\n", "must be one of ENFORCE, DRY_RUN, not the string \"DRYRUN\"; did"},
          {"  selector: {matchLabels: {app: a b}}\n", "spec.selector.matchLabels.app: \"a b\""},
          {"  targetRefs: [{kind: Gateway}]\n",
           "is an Istio field that Whence does not act on yet"},
      });
  ExpectGood("whence.dev/v1", "IpPolicy",
             {"  {}\n", "  rules: [{}]\n  action: DENY\n", "  rules: []\n",
              "  expires: 2030-01-31T12:00:00Z\n  mode: DRY_RUN\n",
              "  expires: \"2030-01-31T12:00:00.5+02:00\"\n",
              "  rules: [{from: [{source: {ipSets: [a, b/c]}}]}]\n",
              "  rules: [{to: [{operation: {paths: [\"/a/{*}/b/{**}\", \"/x*\"]}}]}]\n",
              "  rules: [{when: [{key: \"request.headers[x-a]\", values: [\"*\"]}]}]\n",
              "  rules: [{when: [{key: \"request.headers[:method]\", values: [GET]}]}]\n",
              "  rules: [{when: [{key: \"request.headers[:Authority]\", values: [a.b]}]}]\n",
              "  rules: [{when: [{key: source.trustDomain, values: [a]}]}]\n"});
}

ParseResult WithDryRun(const std::string& value, const std::string& spec) {
  return ParseYaml(
      "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:\n  name: a\n"
      "  annotations:\n    istio.io/dry-run: \"" +
          value + "\"\nspec:\n" + spec,
      true);
}

TEST(CheckPolicyTest, ReadsTheDryRunAnnotationAsIstioDoes) {
  const std::string spec = "  action: DENY\n  rules: [{}]\n";
  for (const char* value :
       {"1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"}) {
    const ParseResult result = WithDryRun(value, spec);
    EXPECT_THAT(Texts(result.faults), IsEmpty()) << value;
    ASSERT_THAT(result.documents, SizeIs(1)) << value;
    const bool is_true = std::string_view("1tT").find(value[0]) != std::string_view::npos;
    EXPECT_EQ(IsDryRun(result.documents[0].document), is_true) << value;
  }
  for (const char* value : {"", "yes", "tRUE", "true ", "on", "2"}) {
    const ParseResult result = WithDryRun(value, spec);
    ASSERT_THAT(result.faults, SizeIs(1)) << value;
    EXPECT_THAT(FaultText(result.faults[0]),
                HasSubstr("6:23: AuthorizationPolicy default/a: "
                          "metadata.annotations.istio.io/dry-run: must be \"true\" or \"false\", "
                          "not \"" +
                          std::string(value) + "\""));
  }
  const ParseResult custom = WithDryRun("T", "  action: CUSTOM\n  rules: [{}]\n");
  ASSERT_THAT(custom.warnings, SizeIs(1));
  EXPECT_THAT(custom.warnings[0].message(), HasSubstr("but not enforced"));
}

TEST(CheckPolicyTest, SaysWhatBecomesOfWhatIsKeptAllTheSame) {
  const std::string sni = "  rules: [{when: [{key: connection.sni, values: [a]}]}]\n";
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"  action: CUSTOM\n  rules: [{}]\n",
       "; kept: denies whatever it matches, since there is no external authorizer"},
      {"  action: CUSTOM\n  mode: DRY_RUN\n  rules: [{}]\n",
       "; kept: logged as denying whatever it matches, but not enforced"},
      {"  action: AUDIT\n  rules: [{}]\n", "; kept: decides nothing"},
      {sni, "; kept: the rule never matches, and what no other ALLOW rule lets in is denied"},
      {"  rules: [{when: [{key: \"request.headers[:scheme]\", values: [http]}]}]\n",
       "; kept: the rule never matches, and what no other ALLOW rule lets in is denied"},
      {"  rules: [{when: [{key: connection.sni, values: [a], notValues: [b]}]}]\n",
       "; kept: the rule never matches, and what no other ALLOW rule lets in is denied"},
      {"  action: DENY\n  rules: [{when: [{key: connection.sni, notValues: [a]}]}]\n",
       "; kept: the condition always holds"},
  };
  for (const auto& [spec, consequence] : rows) {
    const ParseResult result = ParseYaml(WithSpec("whence.dev/v1", "IpPolicy", spec), true);
    EXPECT_THAT(Texts(result.faults), IsEmpty()) << spec;
    EXPECT_THAT(result.documents, SizeIs(1)) << spec;
    ASSERT_THAT(result.warnings, SizeIs(1)) << spec;
    EXPECT_THAT(result.warnings[0].message(), ::testing::EndsWith(consequence)) << spec;
  }
  // What the policy engine would refuse cannot be kept, and must not be called ignored.
  const ParseResult envoy = ParseYaml(
      WithSpec("whence.dev/v1", "IpPolicy",
               "  rules: [{when: [{key: \"experimental.envoy.filters.a[b]\", values: [c]}]}]\n"),
      true);
  EXPECT_THAT(Texts(envoy.faults), ::testing::ElementsAre(HasSubstr("remove it")));
  EXPECT_THAT(envoy.warnings, IsEmpty());
}

TEST(CheckPolicyTest, TrustDomainsAreAnIdentityLikeOthers) {
  const ParseResult result = ParseYaml(
      WithSpec("security.istio.io/v1", "AuthorizationPolicy",
               "  rules: [{from: [{source: {trustDomains: [a], notTrustDomains: [b]}}]}]\n"));
  EXPECT_THAT(Texts(result.faults), IsEmpty());
  EXPECT_THAT(Texts(result.warnings),
              ::testing::ElementsAre(HasSubstr("source.trustDomains: connections have no identity"),
                                     HasSubstr("source.notTrustDomains: connections have no")));
}

// Ignoring a condition must never let in more than the policy says.
TEST(CheckPolicyTest, RefusesConditionsThatWouldOpenThePolicyIfIgnored) {
  const char* const specs[] = {
      "  action: DENY\n  rules: [{when: [{key: \"request.headers[:scheme]\", values: [http]}]}]\n",
      "  action: DENY\n  rules: [{when: [{key: connection.sni, values: [a], notValues: [b]}]}]\n",
      "  action: CUSTOM\n  rules: [{when: [{key: connection.sni, values: [a]}]}]\n",
      "  rules: [{when: [{key: connection.sni, notValues: [a]}]}]\n",
      "  rules: [{when: [{key: \"request.headers[:scheme]\", notValues: [http]}]}]\n",
  };
  for (const char* spec : specs) {
    const ParseResult result = ParseYaml(WithSpec("whence.dev/v1", "IpPolicy", spec), true);
    EXPECT_THAT(Texts(result.faults),
                ::testing::ElementsAre(
                    HasSubstr("ignoring it would let in more than the policy says; remove it")))
        << spec;
    EXPECT_THAT(result.documents, IsEmpty()) << spec;
  }
}

TEST(CheckTopologyTest, RefusesTrustThatNobodyCanMean) {
  ExpectFaults(
      "whence.dev/v1", "TrustTopology",
      {
          {"  numTrustedProxies: 1\n  trustedProxies: {cidrs: [10.0.0.0/8]}\n",
           "spec.trustedProxies: cannot be given together with numTrustedProxies"},
          {"  numTrustedProxies: 0\n  trustedProxies: {cidrs: [10.0.0.0/8]}\n", "cannot be given"},
          {"  numTrustedProxies: 5000\n", "5000 hops are more than any request has"},
          {"  trustedProxies: {}\n", "spec.trustedProxies: names nobody"},
          {"  trustedProxies: {cidrs: []}\n", "names nobody"},
          {"  trustedProxies: {cidrs: [10.0.0.0/8, 10.0.0]}\n",
           "spec.trustedProxies.cidrs[1]: \"10.0.0\""},
          {"  trustedProxies: {workloads: [{}]}\n", "workloads[0]: selects every workload"},
          {"  trustedProxies: {ipSets: [\"A\"]}\n", "ipSets[0]: \"A\" must be"},
          {"  clientAddressFrom: X_FORWARDED_FR\n", "did you mean X_FORWARDED_FOR?"},
          {"  clientAddressFrom: forwarded\n", "did you mean FORWARDED?"},
          {"  clientAddressFrom: \"cf connecting\"\n", "is no header name"},
          {"  internalCidrs: [internal]\n", "spec.internalCidrs[0]: \"internal\""},
          {"  clientAddressFrom: x-whence-client\n",
           "\"x-whence-client\": x-whence-* is reserved for agents"},
          {"  clientAddressFrom: X-Whence-Foo\n", "reserved for agents"},
          {"  clientAddressFrom: Host\n", "\"Host\" names no client"},
          {"  clientAddressFrom: cookie\n", "names no client"},
          {"  clientAddressFrom: Connection\n", "names no client"},
          {"  clientAddressFrom: te\n", "names no client"},
          {"  clientAddressFrom: content-length\n", "names no client"},
          {"  clientAddressFrom: x-request-id\n", "names no client"},
          {"  clientAddressFrom: x-forwarded-proto\n", "names no client"},
          {"  clientAddressFrom: authorization\n", "names no client"},
          {"  clientAddressFrom: true_client_ip\n",
           "is never taken: a header under another spelling"},
          {"  proxyProtocol: {accept: OPTIONAL}\n", "spec.proxyProtocol.from: is missing"},
          {"  proxyProtocol: {accept: REQUIRED, from: {}}\n", "from: names nobody"},
      });
  ExpectGood("whence.dev/v1", "TrustTopology",
             {"  {}\n", "  numTrustedProxies: 0\n", "  clientAddressFrom: cf-connecting-ip\n",
              "  proxyProtocol: {accept: OFF, send: AUTO}\n",
              R"(  selector: {matchLabels: {app: istio-ingressgateway}}
  trustedProxies:
    cidrs: [10.0.0.0/8, 2001:db8::/32]
    ipSets: [cdn-ranges]
    workloads: [{matchLabels: {app: legacy-proxy}}]
  trustMeshGateways: true
  clientAddressFrom: X_FORWARDED_FOR
  forwardedFor: APPEND
  internalCidrs: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 127.0.0.0/8, fc00::/7, ::1/128]
  proxyProtocol:
    accept: OPTIONAL
    from: {cidrs: [10.128.0.0/16]}
    send: AUTO
  upstreamSource: DIRECT_PEER
)"});
}

TEST(CheckTopologyTest, WarnsOfTrustInEveryone) {
  struct {
    const char* cidrs;
    std::vector<const char*> warnings;
  } rows[] = {
      {"0.0.0.0/0", {"spec.trustedProxies.cidrs[0]: believes everyone"}},
      {"10.0.0.0/8, \"::/0\"", {"cidrs[1]: believes everyone"}},
      {"1.2.3.4/0", {"means the whole range", "cidrs[0]: believes everyone"}},
      {"\"::ffff:0.0.0.0/96\"", {"cidrs[0]: believes everyone"}},
      {"0.0.0.0/1, 128.0.0.0/1",
       {"spec.trustedProxies.cidrs: together these are every IPv4 address: believes everyone"}},
      {"128.0.0.0/2, 192.0.0.0/2, 10.0.0.0/8, 0.0.0.0/1", {"every IPv4 address"}},
      {"\"8000::/1\", \"::/2\", \"4000::/2\"", {"every IPv6 address"}},
      {"0.0.0.0/1, 128.0.0.0/2", {}},
      {"0.0.0.0/1, \"8000::/1\"", {}},
  };
  for (const auto& row : rows) {
    const ParseResult result =
        ParseYaml(WithSpec("whence.dev/v1", "TrustTopology",
                           std::string("  trustedProxies: {cidrs: [") + row.cidrs + "]}\n"));
    EXPECT_THAT(Texts(result.faults), IsEmpty()) << row.cidrs;
    ASSERT_THAT(Texts(result.warnings), SizeIs(row.warnings.size())) << row.cidrs;
    for (size_t i = 0; i < row.warnings.size(); ++i) {
      EXPECT_THAT(FaultText(result.warnings[i]), HasSubstr(row.warnings[i])) << row.cidrs;
    }
  }
}

TEST(CheckMeshTest, RefusesBadAmounts) {
  ExpectFaults(
      "whence.dev/v1", "Mesh",
      {
          {"  nodeCidrs: [a]\n", "spec.nodeCidrs[0]"},
          {"  logRetention: 7\n", "quote it"},
          {"  logRetention: 7 days\n", "\"7 days\" is no duration; expected such as 7d"},
          {"  logRetention: 0d\n", "is no duration"},
          {"  logMaxSize: lots\n", "\"lots\" is no size; expected such as 10GiB"},
          {"  rootNamespace: Root\n", "spec.rootNamespace"},
          {"  accessLog: {clientAddresses: HASH, hashKey: short}\n", "spec.accessLog.hashKey"},
          {"  accessLog: {clientAddresses: HASH}\n", "spec.accessLog.hashKey"},
          {"  accessLog: {hashKey: 0123456789abcdef0}\n", "must be HASH"},
          {"  accessLog: {ipv4Prefix: 24}\n", "must be TRUNCATE"},
          {"  accessLog: {clientAddresses: TRUNCATE, ipv4Prefix: 33}\n", "ipv4Prefix"},
          {"  accessLog: {clientAddresses: TRUNCATE, ipv6Prefix: 129}\n", "ipv6Prefix"},
          {"  accessLog: {clientAddresses: CUT}\n", "FULL, TRUNCATE, HASH"},
          {"  pathNormalization: NO_NORMALIZATION\n",
           "must be one of NONE, BASE, MERGE_SLASHES, DECODE_AND_MERGE_SLASHES"},
      });
  ExpectGood("whence.dev/v1", "Mesh",
             {"  accessLog: {keepQuery: true}\n",
              "  accessLog: {clientAddresses: TRUNCATE, ipv4Prefix: 16}\n",
              "  accessLog: {clientAddresses: HASH, hashKey: 00f1e2d3c4b5a697}\n",
              "  pathNormalization: NONE\n", "  {logRetention: 7d, logMaxSize: 10GiB}\n",
              "  {nodeCidrs: [10.128.0.0/16], podCidrs: [10.32.0.0/16, 2001:db8::/64]}\n"});
  ExpectFaults("whence.dev/v1", "IpSet", {{"  cidrs: [1.2.3.4, 1.2.3.400]\n", "spec.cidrs[1]"}});
}

TEST(CheckMeshTest, WarnsOfWhatIsOnlyRecorded) {
  const ParseResult result = ParseYaml(
      WithSpec("whence.dev/v1", "Mesh",
               "  nodeCidrs: [10.128.0.0/16]\n  podCidrs: [10.32.0.0/16]\n"
               "  serviceCidrs: [10.40.0.0/16]\n  logRetention: 7d\n  logMaxSize: 1GiB\n"));
  EXPECT_THAT(Texts(result.faults), IsEmpty());
  EXPECT_THAT(Texts(result.warnings),
              ::testing::ElementsAre(HasSubstr("spec.podCidrs: recorded; nothing acts on it yet"),
                                     HasSubstr("spec.serviceCidrs: recorded")));
}

TEST(CheckGatewayTest, RefusesWhatCannotListen) {
  ExpectFaults(
      "networking.istio.io/v1", "Gateway",
      {
          {"  servers: [{port: {number: 80, protocol: HTTP}, hosts: [\"*\"]}]\n",
           "spec.selector: is missing"},
          {"  selector: {a: b}\n", "spec.servers: is missing"},
          {"  selector: {a: b}\n  servers: [{port: {protocol: HTTP}, hosts: [\"*\"]}]\n",
           "port.number: 0 is no port"},
          {"  selector: {a: b}\n  servers: [{port: {number: 65536, protocol: HTTP}, hosts: [a]}]\n",
           "65536 is no port"},
          {"  selector: {a: b}\n  servers: [{port: {number: 80}, hosts: [a]}]\n",
           "port.protocol: is missing"},
          {"  selector: {a: b}\n  servers: [{port: {number: 80, protocol: HTP}, hosts: [a]}]\n",
           "must be HTTP or TCP, not \"HTP\"; did you mean HTTP?"},
          {"  selector: {a: b}\n  servers: [{port: {number: 443, protocol: HTTPS}, hosts: [a]}]\n",
           "HTTPS is an Istio protocol that Whence does not act on yet"},
          {"  selector: {a: b}\n  servers: [{port: {number: 80, protocol: HTTP}}]\n",
           "hosts: is missing"},
          {"  selector: {a: b}\n  servers: [{port: {number: 80, protocol: HTTP}, hosts: [a*]}]\n",
           "\"a*\" is no host"},
          {"  selector: {a: b}\n  servers: [{port: {number: 80, protocol: HTTP}, hosts: [A/b]}]\n",
           "hosts[0]: \"A\" must be"},
          {"  selector: {a: b}\n  servers: [{port: {number: 80, protocol: HTTP}, hosts: [a], "
           "tls: {}}]\n",
           "servers[0].tls: is an Istio field"},
          {"  selector: {a: b}\n  servers:\n  - {port: {number: 80, protocol: HTTP}, hosts: [a]}\n"
           "  - {port: {number: 80, protocol: TCP}, hosts: [b]}\n",
           "servers[1].port.protocol: port 80 is HTTP in an earlier server"},
      });
  ExpectGood("networking.istio.io/v1beta1", "Gateway",
             {"  selector: {a: b}\n  servers: [{port: {number: 80, protocol: HTTP, name: x}, "
              "hosts: [\"*\", \"ns/*.example.com\", \"./a\", \"*/b.c\"]}]\n"});
}

TEST(CheckGatewayTest, ProtocolsIgnoreCase) {
  const ParseResult result = ParseYaml(
      WithSpec(
          "networking.istio.io/v1", "Gateway",
          "  selector: {a: b}\n  servers:\n  - {port: {number: 80, protocol: http}, hosts: [a]}\n"
          "  - {port: {number: 80, protocol: HTTP}, hosts: [b]}\n"
          "  - {port: {number: 81, protocol: Tcp}, hosts: [c]}\n"
          "  - {port: {number: 443, protocol: https}, hosts: [c]}\n"),
      true);
  EXPECT_THAT(Texts(result.faults), IsEmpty());
  EXPECT_THAT(Texts(result.warnings), ::testing::ElementsAre(HasSubstr("nothing listens for")));
  ASSERT_THAT(result.documents, SizeIs(1));
  const v1::GatewaySpec& spec = result.documents[0].document.gateway();
  EXPECT_EQ(spec.servers(0).port().protocol(), "HTTP");  // as the rest of Whence knows it
  EXPECT_EQ(spec.servers(2).port().protocol(), "TCP");
}

TEST(CheckVirtualServiceTest, RefusesWhatCannotRoute) {
  const char* kKind = "VirtualService";
  ExpectFaults(
      "networking.istio.io/v1", kKind,
      {
          {"  gateways: [g]\n  http: [{route: [{destination: {host: a}}]}]\n",
           "spec.hosts: is missing"},
          {"  hosts: [\"*\"]\n  http: [{route: [{destination: {host: a}}]}]\n",
           "spec.gateways: is missing, which in Istio means"},
          {"  hosts: [\"*\"]\n  gateways: [mesh]\n  http: [{route: [{destination: {host: a}}]}]\n",
           "\"mesh\" means the sidecars of clients"},
          {"  hosts: [\"*\"]\n  gateways: [g]\n", "spec: has no routes"},
          {"  hosts: [a b]\n  gateways: [g]\n  http: [{route: [{destination: {host: a}}]}]\n",
           "spec.hosts[0]: \"a b\" is no host"},
          {"  hosts: [a]\n  gateways: [g]\n  http: [{}]\n", "http[0].route: is missing"},
          {"  hosts: [a]\n  gateways: [g]\n  http: [{redirect: {uri: /}, route: [{destination: "
           "{host: a}}]}]\n",
           "http[0].redirect: only one of route, redirect and directResponse"},
          {"  hosts: [a]\n  gateways: [g]\n  http: [{route: [{}]}]\n", "destination.host: is miss"},
          {"  hosts: [a]\n  gateways: [g]\n  http: [{route: [{destination: {host: \"*.a\"}}]}]\n",
           "a destination cannot be a wildcard"},
          {"  hosts: [a]\n  gateways: [g]\n  http: [{route: [{destination: {host: a, port: "
           "{number: 0}}}]}]\n",
           "port.number: 0 is no port"},
          {"  hosts: [a]\n  gateways: [g]\n  http: [{route: [{destination: {host: 10.0.0.1}}]}]\n",
           "an address has no declared ports"},
          {"  hosts: [a]\n  gateways: [g]\n  http: [{route: [{destination: {host: a}}, "
           "{destination: {host: b}}]}]\n",
           "route[0].weight: is missing: of several destinations each has a weight"},
          {"  hosts: [a]\n  gateways: [g]\n  http: [{match: [{uri: {}}], route: [{destination: "
           "{host: a}}]}]\n",
           "match[0].uri: needs exact, prefix or regex"},
          {"  hosts: [a]\n  gateways: [g]\n  http: [{match: [{uri: {prefix: a}}], route: "
           "[{destination: {host: a}}]}]\n",
           "must begin with \"/\""},
          {"  hosts: [a]\n  gateways: [g]\n  http: [{match: [{uri: {regex: \"(\"}}], route: "
           "[{destination: {host: a}}]}]\n",
           "uri.regex: is no regular expression (RE2): missing )"},
          {"  hosts: [a]\n  gateways: [g]\n  tcp: [{route: [{destination: {host: a}, headers: "
           "{}}]}]\n",
           "tcp[0].route[0].headers: TCP has no headers"},
          {"  hosts: [a]\n  gateways: [g]\n  tcp: [{match: [{sourceCidrs: [x]}], route: "
           "[{destination: {host: a}}]}]\n",
           "tcp[0].match[0].sourceCidrs[0]"},
          {"  hosts: [a]\n  gateways: [g]\n  http: [{match: [{uri: {exact: /a, prefix: /b}}], "
           "route: [{destination: {host: a}}]}]\n",
           "uri.prefix: only one of these can be given"},
          {"  hosts: [a]\n  gateways: [g]\n  tcp: [{match: [{port: 70000}], route: "
           "[{destination: {host: a}}]}]\n",
           "tcp[0].match[0].port: 70000 is no port"},
      });
  ExpectGood("networking.istio.io/v1", kKind,
             {"  hosts: [\"*\"]\n  gateways: [ns/g]\n  tcp: [{route: [{destination: {host: "
              "a.b.svc.cluster.local, port: {number: 9000}}}]}]\n"});
}

// Each row is what stands in one http route beside `match` or `route`.
std::string HttpRoute(const std::string& fields) {
  return "  hosts: [a]\n  gateways: [g]\n  http:\n  - {" + fields + "}\n";
}
const char* const kTo = ", route: [{destination: {host: a}}]";

void ExpectRouteFaults(const std::vector<std::pair<std::string, std::string>>& rows) {
  for (const auto& [fields, fault] : rows) {
    const ParseResult result =
        ParseYaml(WithSpec("networking.istio.io/v1beta1", "VirtualService", HttpRoute(fields)));
    EXPECT_THAT(Texts(result.faults), ::testing::ElementsAre(HasSubstr(fault))) << fields;
  }
}

TEST(CheckHttpRouteTest, RefusesMatchesThatNobodyCanMean) {
  const std::string deep(1025, 'a');
  const auto match = [](const std::string& fields) { return "match: [{" + fields + "}]" + kTo; };
  ExpectRouteFaults({
      {match("uri: {regex: \"" + deep + "\"}"),
       "uri.regex: an expression of 1025 bytes is too long"},
      {match("uri: {regex: \"\"}"), "uri.regex: an empty expression"},
      {match("method: {}"), "method: needs exact, prefix or regex"},
      {match("scheme: {regex: \"*\"}"), "scheme.regex: is no regular expression"},
      {match("authority: {exact: a, regex: b}"), "only one of these can be given"},
      {match("headers: {\":path\": {exact: /}}"), "is no header; give uri, scheme, method"},
      {match("headers: {method: {exact: GET}}"), "headers.method: is no header"},
      {match("headers: {\"a b\": {exact: c}}"), "is no header name"},
      {match("headers: {x: {regex: \"[\"}}"), "headers.x.regex: is no regular expression"},
      {match("headers: {x: y}"), "headers.x: must be a mapping"},
      {match("headers: [x]"), "headers: must be a mapping of names to mappings"},
      {match("withoutHeaders: {x: {regex: \"[\"}}"), "withoutHeaders.x.regex"},
      {match("queryParams: {x: {regex: \"[\"}}"), "queryParams.x.regex"},
      {match("port: 70000"), "match[0].port: 70000 is no port"},
      {match("gateways: [mesh]"), "\"mesh\" means the sidecars"},
      {match("gateways: [\"A b\"]"), "match[0].gateways[0]"},
      {match("sourceCidrs: [10.0.0.0/33]"), "sourceCidrs[0]: \"10.0.0.0/33\""},
      {match("sourceLabels: {a: b}"), "sourceLabels: is an Istio field"},
  });
}

TEST(CheckHttpRouteTest, RefusesActionsThatCannotBe) {
  ExpectRouteFaults({
      {"name: x", "http[0].route: is missing"},
      {"redirect: {}", "redirect: leads back to where it came from"},
      {"redirect: {uri: x}", "redirect.uri: \"x\" must begin with"},
      {"redirect: {uri: \"/a b\"}", "holds a character that a path cannot have"},
      {"redirect: {uri: \"/%PREFIX()%\"}", "holds a placeholder"},
      {"redirect: {scheme: ftp}", "must be http or https, not \"ftp\""},
      {"redirect: {authority: \"a/b\"}", "is no host with or without a port"},
      {"redirect: {port: 0}", "redirect.port: 0 is no port"},
      {"redirect: {port: 80, derivePort: FROM_REQUEST_PORT}", "only one of these"},
      {"redirect: {uri: /, redirectCode: 304}", "must be 301, 302, 303, 307 or 308, not 304"},
      {"redirect: {uri: /}, rewrite: {uri: /}", "rewrite: needs a route"},
      {"redirect: {uri: /}, timeout: 1s", "timeout: needs a route"},
      {"directResponse: {}", "status: must be from 200 to 599, not 0"},
      {"directResponse: {status: 200, body: {bytes: aGk=}}", "body.bytes: is an Istio field"},
      {"directResponse: {status: 200, body: {string: \"" + std::string(65537, 'x') + "\"}}",
       "is 65537 bytes long"},
      {"directResponse: {status: 200}, redirect: {uri: /}", "only one of route, redirect"},
      {std::string("rewrite: {}") + kTo, "rewrite: changes nothing"},
      {std::string("rewrite: {uri: x}") + kTo, "must begin with"},
      {std::string("rewrite: {uri: \"/x?y\"}") + kTo, "the query stays as it came"},
      {std::string("rewrite: {uri: /, uriRegexRewrite: {match: a, rewrite: b}}") + kTo,
       "cannot be given together with uri"},
      {std::string("rewrite: {uriRegexRewrite: {match: \"(\", rewrite: b}}") + kTo,
       "match: is no regular expression"},
      {std::string("rewrite: {uriRegexRewrite: {match: a, rewrite: \"\\\\1\"}}") + kTo,
       "rewrite: "},
      {std::string("timeout: 5") + kTo, "timeout: must be a string"},
      {std::string("timeout: 5 seconds") + kTo, "\"5 seconds\" is no duration"},
      {std::string("timeout: -5s") + kTo, "is no duration"},
      {std::string("retries: {attempts: 101}") + kTo, "101 is too many"},
      {std::string("retries: {attempts: 1, perTryTimeout: 0s}") + kTo, "would end every try"},
      {std::string("retries: {attempts: 1, retryOn: \"5xx,often\"}") + kTo,
       "\"often\" is no reason"},
      {std::string("retries: {attempts: 1, backoff: 1s}") + kTo, "backoff: is an Istio field"},
      {std::string("mirror: {host: b}") + kTo, "mirror: is an Istio field"},
      {std::string("fault: {}") + kTo, "fault: is an Istio field"},
  });
}

TEST(CheckHttpRouteTest, RefusesEditsOfWhatNamesTheClient) {
  const auto edit = [](const std::string& what) { return "headers: {" + what + "}" + kTo; };
  ExpectRouteFaults({
      {edit("request: {set: {X-Forwarded-For: 1.2.3.4}}"), "speaks of the client"},
      {edit("request: {add: {x-whence-client: 1.2.3.4}}"), "speaks of the client"},
      {edit("request: {remove: [x-envoy-external-address]}"), "remove[0]: speaks of the client"},
      {edit("request: {set: {x-real-ip: a}}"), "speaks of the client"},
      {edit("request: {set: {forwarded: a}}"), "speaks of the client"},
      {edit("request: {set: {x_forwarded_for: a}}"), "under another spelling"},
      {edit("response: {set: {x-whence-client: a}}"), "speaks of the client"},
      {edit("request: {set: {Host: a}}"), "rewrite.authority"},
      {edit("request: {set: {\":authority\": a}}"), "rewrite.authority"},
      {edit("request: {remove: [content-length]}"), "belongs to the message's framing"},
      {edit("response: {set: {transfer-encoding: chunked}}"), "belongs to the message's framing"},
      {edit("response: {add: {connection: close}}"), "belongs to the message's framing"},
      {edit("request: {set: {\"a b\": c}}"), "is no header name"},
      {edit("request: {set: {a: \"b\\r\\nc: d\"}}"), "holds a control character"},
      {edit("request: {set: {a: \"%DOWNSTREAM_REMOTE_ADDRESS%\"}}"), "one of Envoy's placeholders"},
      {"route: [{destination: {host: a}, headers: {request: {set: {x-real-ip: a}}}}]",
       "route[0].headers.request.set.x-real-ip: speaks of the client"},
  });
}

TEST(CheckHttpRouteTest, TakesIstiosDocumentsAsTheyAre) {
  for (const std::string& fields : std::vector<std::string>{
           std::string("match: [{uri: {regex: \"/v[0-9]+/.*\"}, method: {exact: GET}, headers: {a: "
                       "{prefix: b}, c: {}, d: {regex: \"*\"}}, withoutHeaders: {e: {}}, "
                       "queryParams: {q: {exact: \"1\"}}, ignoreUriCase: true, scheme: {exact: "
                       "https}, authority: {prefix: a}, port: 80, gateways: [g, x/y], sourceCidrs: "
                       "[10.0.0.0/8, \"2001:db8::/32\"]}]") +
               kTo,
           "route: [{destination: {host: a}, weight: 90}, {destination: {host: b}, weight: 10, "
           "headers: {response: {add: {x: \"100%%\"}}}}]",
           "redirect: {uri: /x, authority: a.b:8080, redirectCode: 308}",
           "redirect: {scheme: https, port: 8443}", "redirect: {derivePort: FROM_REQUEST_PORT}",
           "directResponse: {status: 503, body: {string: \"closed\"}}, headers: {response: {set: "
           "{x-envoy-a: b}}}",
           std::string(
               "rewrite: {uri: /, authority: b}, timeout: 1.5s, retries: {attempts: 3, "
               "perTryTimeout: 500ms, retryOn: \"connect-failure,refused-stream,unavailable,"
               "cancelled,503\"}") +
               kTo,
           std::string("rewrite: {uriRegexRewrite: {match: \"^/a/(.*)$\", rewrite: "
                       "\"/b/\\\\1\"}}") +
               kTo,
           std::string("headers: {request: {set: {x-request-id: a, x: y}, add: {z: w}, remove: "
                       "[cookie]}, response: {remove: [server]}}") +
               kTo}) {
    const ParseResult result =
        ParseYaml(WithSpec("networking.istio.io/v1", "VirtualService", HttpRoute(fields)));
    EXPECT_THAT(Texts(result.faults), IsEmpty()) << fields;
  }
}

TEST(CheckDestinationRuleTest, RefusesWhatCannotBalance) {
  const char* kVersion = "networking.istio.io/v1";
  ExpectFaults(
      kVersion, "DestinationRule",
      {
          {"  subsets: []\n", "spec.host: is missing"},
          {"  host: a b\n", "spec.host: \"a b\" is no host"},
          {"  host: a\n  trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}\n",
           "loadBalancer.simple: PASSTHROUGH means the address that the client aimed at"},
          {"  host: a\n  trafficPolicy: {loadBalancer: {simple: FASTEST}}\n", "must be one of"},
          {"  host: a\n  trafficPolicy: {loadBalancer: {simple: RANDOM, consistentHash: "
           "{useSourceIp: true}}}\n",
           "consistentHash: only one of these can be given"},
          {"  host: a\n  trafficPolicy: {loadBalancer: {consistentHash: {}}}\n",
           "consistentHash: needs httpHeaderName, httpCookie, useSourceIp"},
          {"  host: a\n  trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: false}}}\n",
           "useSourceIp: must be true"},
          {"  host: a\n  trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: a b}}}\n",
           "httpHeaderName: \"a b\" is no header name"},
          {"  host: a\n  trafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {name: "
           "\"a=b\", ttl: 0s}}}}\n",
           "httpCookie.name: \"a=b\" cannot be the name"},
          {"  host: a\n  trafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {name: a, "
           "path: \"/; Secure\"}}}}\n",
           "httpCookie.path: holds a character"},
          {"  host: a\n  trafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {name: a, "
           "ttl: "
           "soon}}}}\n",
           "httpCookie.ttl: \"soon\" is no duration"},
          {"  host: a\n  trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true, "
           "maglev: "
           "{tableSize: 65536}}}}\n",
           "tableSize: 65536 is no prime"},
          {"  host: a\n  trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true, "
           "ringHash: {}}}}\n",
           "ringHash: is an Istio field"},
          {"  host: a\n  trafficPolicy: {connectionPool: {tcp: {maxConnectionDuration: 1s}}}\n",
           "tcp.maxConnectionDuration: is an Istio field"},
          {"  host: a\n  trafficPolicy: {connectionPool: {tcp: {tcpKeepalive: {time: 500ms}}}}\n",
           "tcpKeepalive.time: must be from 1s to 32767s"},
          {"  host: a\n  trafficPolicy: {connectionPool: {tcp: {tcpKeepalive: {interval: x}}}}\n",
           "tcpKeepalive.interval: "},
          {"  host: a\n  trafficPolicy: {connectionPool: {tcp: {tcpKeepalive: {probes: 128}}}}\n",
           "tcpKeepalive.probes: 128 is more than 127"},
          {"  host: a\n  trafficPolicy: {connectionPool: {tcp: {connectTimeout: 0s}}}\n",
           "connectTimeout: must be more than nothing"},
          {"  host: a\n  trafficPolicy: {outlierDetection: {maxEjectionPercent: 101}}\n",
           "maxEjectionPercent: 101 is more than 100"},
          {"  host: a\n  trafficPolicy: {outlierDetection: {baseEjectionTime: x}}\n",
           "baseEjectionTime: \"x\" is no duration"},
          {"  host: a\n  trafficPolicy: {outlierDetection: {minHealthPercent: 1}}\n",
           "minHealthPercent: is an Istio field"},
          {"  host: a\n  trafficPolicy: {tls: {mode: SIMPLE}}\n", "tls: is an Istio field"},
          {"  host: a\n  trafficPolicy: {portLevelSettings: [{port: {number: 0}}]}\n",
           "portLevelSettings[0].port.number: 0 is no port"},
          {"  host: a\n  trafficPolicy: {portLevelSettings: [{port: {number: 1}}, {port: {number: "
           "1}}]}\n",
           "port 1 is given twice"},
          {"  host: a\n  subsets: [{labels: {v: a}}]\n", "subsets[0].name"},
          {"  host: a\n  subsets: [{name: v1}, {name: v1}]\n", "subset \"v1\" is given twice"},
          {"  host: a\n  subsets: [{name: v1, labels: {v: a b}}]\n", "subsets[0].labels.v"},
          {"  host: a\n  exportTo: [\".\"]\n", "exportTo: is an Istio field"},
      });
  ExpectGood(
      kVersion, "DestinationRule",
      {"  host: a.b.svc.cluster.local\n  trafficPolicy:\n    loadBalancer: {consistentHash: "
       "{httpCookie: {name: user, path: /, ttl: 0s}, maglev: {tableSize: 251}}}\n    "
       "connectionPool: {tcp: {connectTimeout: 30ms, maxConnections: 100, tcpKeepalive: {time: "
       "7200s, interval: 75s}}, http: {http1MaxPendingRequests: 1, maxRequestsPerConnection: 10, "
       "idleTimeout: 1h}}\n    outlierDetection: {consecutive5xxErrors: 0, "
       "consecutiveGatewayErrors: 5, interval: 10s, baseEjectionTime: 3m, "
       "maxEjectionPercent: 100}\n  subsets: [{name: v1, labels: {version: v1}, "
       "trafficPolicy: {loadBalancer: {simple: LEAST_REQUEST}}}]\n",
       "  host: \"*.b\"\n  trafficPolicy: {portLevelSettings: [{port: {number: 80}, "
       "loadBalancer: {simple: RANDOM}}]}\n"});
}

TEST(CheckServiceEntryTest, RefusesWhatCannotBeReached) {
  const char* kVersion = "networking.istio.io/v1beta1";
  ExpectFaults(
      kVersion, "ServiceEntry",
      {
          {"  ports: [{number: 80}]\n  resolution: DNS\n", "spec.hosts: is missing"},
          {"  hosts: [a b]\n  ports: [{number: 80}]\n  resolution: DNS\n", "spec.hosts[0]"},
          {"  hosts: [a.b]\n  resolution: DNS\n", "spec.ports: is missing"},
          {"  hosts: [a.b]\n  ports: [{number: 0}]\n  resolution: DNS\n", "number: 0 is no port"},
          {"  hosts: [a.b]\n  ports: [{number: 1}, {number: 1}]\n  resolution: DNS\n",
           "port 1 is given twice"},
          {"  hosts: [a.b]\n  ports: [{number: 80, protocol: BOGUS}]\n  resolution: DNS\n",
           "ports[0].protocol: must be one of HTTP, HTTPS, "},
          {"  hosts: [a.b]\n  ports: [{number: 80, protocol: HTP}]\n  resolution: DNS\n",
           "not \"HTP\"; did you mean HTTP?"},
          {"  hosts: [a.b]\n  ports: [{number: 80, name: x}, {number: 81, name: x}]\n  resolution: "
           "DNS\n",
           "ports[1].name: \"x\" is given twice"},
          {"  hosts: [a.b]\n  ports: [{number: 80}]\n", "spec.resolution: NONE, which is also"},
          {"  hosts: [a.b]\n  ports: [{number: 80}]\n  resolution: STATIC\n",
           "spec.endpoints: is missing"},
          {"  hosts: [\"*.b\"]\n  ports: [{number: 80}]\n  resolution: DNS\n",
           "hosts[0]: a wildcard cannot be asked of DNS"},
          {"  hosts: [a.b]\n  ports: [{number: 80}]\n  resolution: STATIC\n  endpoints: "
           "[{address: c.d}]\n",
           "endpoints[0].address: \"c.d\" is no IP address; names need resolution: DNS"},
          {"  hosts: [a.b]\n  ports: [{number: 80}]\n  resolution: STATIC\n  endpoints: [{}]\n",
           "endpoints[0].address: is missing"},
          {"  hosts: [a.b]\n  ports: [{number: 80, name: http}]\n  resolution: STATIC\n  "
           "endpoints: [{address: 1.2.3.4, ports: {htp: 81}}]\n",
           "ports.htp: spec.ports has no port named"},
          {"  hosts: [a.b]\n  ports: [{number: 80, name: http}]\n  resolution: STATIC\n  "
           "endpoints: [{address: 1.2.3.4, ports: {http: \"81\"}}]\n",
           "ports.http: must be a number; write 81 without quotes"},
          {"  hosts: [a.b]\n  ports: [{number: 80}]\n  resolution: DNS\n  addresses: [1.2.3.4]\n",
           "addresses: is an Istio field"},
          {"  hosts: [a.b]\n  ports: [{number: 80}]\n  resolution: STATIC\n  endpoints: [{address: "
           "1.1.1.1, weight: 100000000}, {address: 1.1.1.2, weight: 1}]\n",
           "spec.endpoints: the weights sum up to 100000001; at most 67108863"},
          // Without a weight an endpoint counts as 1.
          {"  hosts: [a.b]\n  ports: [{number: 80}]\n  resolution: DNS\n  endpoints: [{address: "
           "c.d, weight: 67108863}, {address: e.f}]\n",
           "spec.endpoints: the weights sum up to 67108864; at most 67108863"},
      });
  ExpectGood(
      kVersion, "ServiceEntry",
      {"  hosts: [a.b]\n  ports: [{number: 80, protocol: HTTP, name: http}]\n  resolution: "
       "DNS\n  location: MESH_EXTERNAL\n",
       "  hosts: [a.b]\n  ports: [{number: 80, protocol: grpc}, {number: 81, protocol: Tcp}]\n"
       "  resolution: DNS\n",
       "  hosts: [\"*.b\"]\n  ports: [{number: 80, name: http, targetPort: 8080}]\n  "
       "resolution: STATIC\n  endpoints: [{address: \"2001:db8::1\", ports: {http: 81}, "
       "weight: 3, labels: {a: b}}]\n",
       "  hosts: [a.b]\n  ports: [{number: 80}]\n  resolution: STATIC\n  endpoints: "
       "[{address: 1.1.1.1, weight: 67108862}, {address: 1.1.1.2}]\n"});
}

TEST(CheckServiceTest, RefusesPortsThatAreNone) {
  ExpectFaults("v1", "Service",
               {
                   {"  ports: [{port: 0}]\n", "spec.ports[0].port: 0 is no port"},
                   {"  ports: [{port: 80, targetPort: http}]\n", "port names are known to"},
                   {"  ports: [{port: 80, targetPort: 0}]\n", "must be a number from 1"},
                   {"  ports: [{port: 80, protocol: TPC}]\n", "must be TCP, not \"TPC\""},
                   {"  ports: [{port: 80}, {port: 80}]\n", "port 80 is given twice"},
                   {"  ports: [{port: 80, nodePort: 99999}]\n",
                    "spec.ports[0].nodePort: 99999 is no port; expected 1 to 65535"},
                   {"  type: ExternalName\n", "ExternalName is a type"},
                   {"  type: Bogus\n", "spec.type: must be one of ClusterIP, NodePort, "},
                   {"  type: Nodeport\n", "did you mean NodePort?"},
                   {"  clusterIP: notanip\n", "spec.clusterIP: \"notanip\" is no IP address"},
                   {"  clusterIPs: [10.0.0.1, x]\n", "spec.clusterIPs[1]: \"x\" is no IP address"},
                   {"  externalTrafficPolicy: Lokal\n",
                    "must be one of Cluster, Local, not \"Lokal\"; did you mean Local?"},
                   {"  internalTrafficPolicy: local\n", "did you mean Local?"},
                   {"  ipFamilies: [IPv5]\n", "spec.ipFamilies[0]: must be one of IPv4, IPv6"},
                   {"  ipFamilyPolicy: DualStack\n", "must be one of SingleStack, "},
                   {"  sessionAffinity: Cookie\n", "must be one of None, ClientIP"},
                   {"  selector: {app: [a]}\n", "must be a string, not a list"},
               });
  ExpectGood("v1", "Service",
             {"  ports: [{port: 53, protocol: TCP}, {port: 53, protocol: UDP}]\n", "  {}\n",
              "  ports: [{port: 80, nodePort: 0}, {port: 81, nodePort: 65535}]\n",
              "  type: LoadBalancer\n  clusterIP: None\n  clusterIPs: [None]\n"
              "  externalTrafficPolicy: Local\n  internalTrafficPolicy: Cluster\n"
              "  ipFamilies: [IPv6, IPv4]\n  ipFamilyPolicy: PreferDualStack\n"
              "  sessionAffinity: ClientIP\n",
              "  type: \"\"\n  clusterIP: \"\"\n", "  clusterIP: \"2001:db8::1\"\n",
              "  type:\n  clusterIP:\n  selector:\n  ports:\n"});
}

TEST(CheckServiceTest, ANamedTargetPortIsNoFaultIfAsked) {
  const auto spec = [](const char* target) {
    return WithSpec("v1", "Service",
                    std::string("  ports: [{port: 80, targetPort: ") + target + "}]\n");
  };
  const ParseResult result = ParseYaml(spec("http-web"), true);
  EXPECT_THAT(Texts(result.faults), IsEmpty());
  EXPECT_THAT(result.documents, SizeIs(1));
  ASSERT_THAT(result.warnings, SizeIs(1));
  EXPECT_THAT(result.warnings[0].message(),
              ::testing::EndsWith("; kept: the port has no endpoints"));
  for (const char* target : {"0", "65536", "a_b", "-a", "a-", "\"\\U0001F680\""}) {
    EXPECT_THAT(ParseYaml(spec(target), true).faults, SizeIs(1)) << target;
  }
}

}  // namespace
}  // namespace whence::document
