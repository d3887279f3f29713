#include "tests/lab/article.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "tests/lab/documents.h"

namespace whence::lab {
namespace {

const char* NameOf(Family family) { return family == Family::kIpv4 ? "ipv4" : "ipv6"; }

std::string Describe(const Seen& seen) {
  std::string text = "peer " + seen.peer;
  for (const char* name :
       {"x-forwarded-for", "x-envoy-external-address", "x-envoy-internal", "x-whence-client"}) {
    if (seen.Has(name)) absl::StrAppend(&text, ", ", name, " ", seen.Header(name));
  }
  return text;
}

// The application's view; an answer that is not the application's is described by itself.
std::string Describe(const absl::StatusOr<HttpAnswer>& answer) {
  if (!answer.ok()) return std::string(answer.status().message());
  if (const auto seen = ParseSeen(*answer); seen.ok()) return Describe(*seen);
  return absl::StrCat(answer->status, " ", answer->body);
}

std::string Describe(const std::vector<LogRow>& rows) {
  std::string text;
  for (const LogRow& row : rows) {
    if (!text.empty()) text += "; ";
    absl::StrAppend(&text, row.role, ": client ", row.client, " (", row.reason, "), peer ",
                    row.peer, ", ");
    if (row.status != 0) absl::StrAppend(&text, row.status, " ");
    text += row.decision;
    if (!row.policy.empty()) absl::StrAppend(&text, " by ", row.policy);
  }
  return text;
}

// One request of a row: from where, to where, with which headers.
struct Access {
  const Host& from;
  std::string address;
  uint16_t port;
  Headers headers;
};

class Runner {
 public:
  Runner(const Lab& lab, Mesh& mesh, const std::function<void(const ArticleRow&)>& tell)
      : lab_(lab), mesh_(mesh), tell_(tell) {}

  std::vector<ArticleRow> Run() {
    Prepare(mesh_.Intercept(Interception::kRedirect));
    NodeHidesTheClient();
    LocalPolicyShowsIt();
    Prepare(mesh_.Intercept(Interception::kTproxy));
    PodToPod(3, "pod to pod, TPROXY sidecar");
    Prepare(mesh_.Intercept(Interception::kRedirect));
    PodToPod(4, "pod to pod, REDIRECT sidecar");
    TwoTrustedProxies();
    Prepare(mesh_.Intercept(Interception::kTproxy));
    if (broken_.ok()) Prepare(mesh_.Apply(kClientIsThePeer));
    TcpThroughTheGateway(6, "TCP through the gateway, TPROXY sidecar, TRUSTED_CLIENT");
    DeniedClient();
    DeniedPeer();
    NodeAgentsKeepTheClient();
    HttpThroughTheGateway();
    TcpThroughTheGateway(10, "row 2 with TPROXY sidecar, TRUSTED_CLIENT: TCP");
    if (broken_.ok()) Prepare(mesh_.Delete("TrustTopology", "default", "echo"));
    return std::move(rows_);
  }

 private:
  // From the first step that failed on, no row can be run; each then says why.
  void Prepare(const absl::Status& status) { broken_.Update(status); }

  void Finish(ArticleRow row, const Access& access, size_t records) {
    // The path names the row in the access log.
    const std::string path = absl::StrCat("/row-", row.row, "-", NameOf(row.family));
    if (broken_.ok()) {
      row.seen = Describe(Ask(lab_.Space(access.from.name), access.address, access.port,
                              {.target = path, .headers = access.headers}));
      const auto logs = mesh_.Logs(path, records);
      row.log = logs.ok() ? Describe(*logs) : std::string(logs.status().message());
    } else {
      row.seen = absl::StrCat("not run: ", broken_.message());
    }
    tell_(row);
    rows_.push_back(std::move(row));
  }

  static Access FromOutside(Family family, Headers headers = {}) {
    return {kClient, kLoadBalancer.address(family), 80, std::move(headers)};
  }

  // What gateway and sidecar write of an allowed request from outside.
  static std::string LogOfBoth(const std::string& client, const std::string& reason,
                               const std::string& peer, Family family = Family::kIpv4) {
    return absl::StrCat("gateway: client ", client, " (", reason, "), peer ", peer,
                        ", 200 allow; sidecar: client ", client, " (gateway-verdict), peer ",
                        kGateway.address(family), ", 200 allow");
  }

  void NodeHidesTheClient() {
    Prepare(SetTrafficPolicy(lab_, TrafficPolicy::kCluster));
    ArticleRow row = {1, Family::kIpv4,
                      "outside client, node SNATs (policy Cluster), REDIRECT sidecar"};
    row.expected =
        absl::StrCat("peer 127.0.0.6, x-forwarded-for ", kNode54.v4, ", x-envoy-internal true");
    row.expected_log = LogOfBoth(kNode54.v4, "direct-peer", kNode54.v4);
    Finish(row, FromOutside(Family::kIpv4), 2);
    Prepare(SetTrafficPolicy(lab_, TrafficPolicy::kLocal));
  }

  void LocalPolicyShowsIt() {
    ArticleRow row = {2, Family::kIpv4, "outside client, policy Local, REDIRECT sidecar"};
    row.expected = absl::StrCat("peer 127.0.0.6, x-forwarded-for ", kClient.v4,
                                ", x-envoy-external-address ", kClient.v4);
    row.expected_log = LogOfBoth(kClient.v4, "direct-peer", kClient.v4);
    Finish(row, FromOutside(Family::kIpv4), 2);
  }

  void PodToPod(int number, const std::string& what) {
    for (const Family family : {Family::kIpv4, Family::kIpv6}) {
      ArticleRow row = {number, family, what};
      const std::string client = kSleep.address(family);
      const std::string loopback = family == Family::kIpv4 ? "127.0.0.6" : "::6";
      row.expected = "peer " + (number == 3 ? client : loopback);
      row.expected_log =
          absl::StrCat("sidecar: client ", client, " (direct-peer), peer ", client, ", 200 allow");
      Finish(row, {kSleep, kEcho.address(family), 8080, {}}, 1);
    }
  }

  void TwoTrustedProxies() {
    if (broken_.ok()) Prepare(mesh_.Apply(kTwoTrustedProxies));
    ArticleRow row = {5, Family::kIpv4, "X-Forwarded-For of three, numTrustedProxies 2"};
    row.expected = absl::StrCat("peer 127.0.0.6, x-forwarded-for 1.1.1.1,2.2.2.2,3.3.3.3,",
                                kClient.v4, ", x-envoy-external-address 2.2.2.2");
    row.expected_log = LogOfBoth("2.2.2.2", "xff-hop-2", kClient.v4);
    Finish(row, FromOutside(Family::kIpv4, {{"X-Forwarded-For", "1.1.1.1,2.2.2.2,3.3.3.3"}}), 2);
    if (broken_.ok()) Prepare(mesh_.Delete("TrustTopology", "istio-system", "edge"));
  }

  void DeniedClient() {
    if (broken_.ok()) Prepare(mesh_.Apply(absl::StrCat(kTwoTrustedProxies, "---", kDenyClient)));
    for (const Family family : {Family::kIpv4, Family::kIpv6}) {
      ArticleRow row = {7, family, "DENY remoteIpBlocks of the trusted client, at the gateway"};
      const bool v4 = family == Family::kIpv4;
      row.expected = "403 RBAC: access denied";
      row.expected_log = absl::StrCat("gateway: client ", v4 ? "2.2.2.2" : "2001:db8:2222::2",
                                      " (xff-hop-2), peer ", kClient.address(family),
                                      ", 403 deny by istio-system/deny-client");
      Finish(row,
             FromOutside(family, {{"X-Forwarded-For",
                                   v4 ? "1.1.1.1,2.2.2.2,3.3.3.3"
                                      : "2001:db8:1111::1,2001:db8:2222::2,2001:db8:3333::3"}}),
             1);
    }
    if (broken_.ok()) Prepare(mesh_.Delete("AuthorizationPolicy", "istio-system", "deny-client"));
    if (broken_.ok()) Prepare(mesh_.Delete("TrustTopology", "istio-system", "edge"));
  }

  void DeniedPeer() {
    if (broken_.ok()) Prepare(mesh_.Apply(kDenyPeer));
    ArticleRow row = {8, Family::kIpv4, "DENY ipBlocks of the direct peer, at the gateway"};
    row.expected = "403 RBAC: access denied";
    row.expected_log = absl::StrCat("gateway: client ", kClient.v4, " (direct-peer), peer ",
                                    kClient.v4, ", 403 deny by istio-system/deny-peer");
    Finish(row, FromOutside(Family::kIpv4), 1);
    if (broken_.ok()) Prepare(mesh_.Delete("AuthorizationPolicy", "istio-system", "deny-peer"));
  }

  // Row 1 over again, the long way round, through nodes that would hide the client.
  void NodeAgentsKeepTheClient() {
    Prepare(SetTrafficPolicy(lab_, TrafficPolicy::kCluster));
    if (broken_.ok()) Prepare(mesh_.StartNodeAgents());
    for (const Family family : {Family::kIpv4, Family::kIpv6}) {
      const std::string client = kClient.address(family);
      ArticleRow row = {9, family, "row 1 with a node agent, policy Cluster: HTTP"};
      row.expected = SeenByHttp(client);
      row.expected_log = LogOfBoth(client, "proxy-protocol", kNode54.address(family), family);
      Finish(row, FromOutside(family), 2);
    }
    for (const Family family : {Family::kIpv4, Family::kIpv6}) {
      const std::string client = kClient.address(family);
      ArticleRow row = {9, family, "row 1 with a node agent, policy Cluster: TCP"};
      row.expected = "peer " + client;
      row.expected_log =
          absl::StrCat("gateway: client ", client, " (proxy-protocol), peer ",
                       kNode54.address(family), ", allow; node: client ", client,
                       " (direct-peer), peer ", client, ", allow; sidecar: client ", client,
                       " (proxy-protocol), peer ", kGateway.address(family), ", allow");
      FinishTcp(row, 3);
    }
    mesh_.KillNodeAgents();
    Prepare(SetTrafficPolicy(lab_, TrafficPolicy::kLocal));
  }

  static std::string SeenByHttp(const std::string& client) {
    return absl::StrCat("peer ", client, ", x-forwarded-for ", client,
                        ", x-envoy-external-address ", client);
  }

  // No header can carry the client here, and the application speaks no PROXY protocol.
  void TcpThroughTheGateway(int number, const std::string& what) {
    for (const Family family : {Family::kIpv4, Family::kIpv6}) {
      const std::string client = kClient.address(family);
      ArticleRow row = {number, family, what};
      row.expected = "peer " + client;
      row.expected_log = absl::StrCat(
          "gateway: client ", client, " (direct-peer), peer ", client, ", allow; sidecar: client ",
          client, " (proxy-protocol), peer ", kGateway.address(family), ", allow");
      FinishTcp(row, 2);
    }
  }

  void FinishTcp(ArticleRow row, size_t records) {
    // One address has connected before, in an earlier row: the records of now are those after.
    const std::string client = kClient.address(row.family);
    if (broken_.ok()) {
      const std::string since = mesh_.Now();
      row.seen = AskForPeer(kLoadBalancer.address(row.family), 9000);
      const auto logs = mesh_.TcpLogs(client, "9000,31400", since, records);
      row.log = logs.ok() ? Describe(*logs) : std::string(logs.status().message());
    } else {
      row.seen = absl::StrCat("not run: ", broken_.message());
    }
    tell_(row);
    rows_.push_back(std::move(row));
  }

  // The same for HTTP: not only a header names the client, the socket does.
  void HttpThroughTheGateway() {
    for (const Family family : {Family::kIpv4, Family::kIpv6}) {
      const std::string client = kClient.address(family);
      ArticleRow row = {10, family, "row 2 with TPROXY sidecar, TRUSTED_CLIENT: HTTP"};
      row.expected = SeenByHttp(client);
      row.expected_log = LogOfBoth(client, "direct-peer", client, family);
      Finish(row, FromOutside(family), 2);
    }
  }

  // The echo server's first words: "peer ADDRESS PORT".
  std::string AskForPeer(const std::string& address, uint16_t port) {
    auto connection = HttpConnection::Open(lab_.Space(kClient.name), address, port);
    if (!connection.ok()) return std::string(connection.status().message());
    const auto line = connection->ReadLine();
    if (!line.ok()) return std::string(line.status().message());
    return line->substr(0, line->rfind(' '));
  }

  const Lab& lab_;
  Mesh& mesh_;
  const std::function<void(const ArticleRow&)>& tell_;
  absl::Status broken_;
  std::vector<ArticleRow> rows_;
};

}  // namespace

std::vector<ArticleRow> RunArticle(const Lab& lab, Mesh& mesh,
                                   const std::function<void(const ArticleRow&)>& tell) {
  return Runner(lab, mesh, tell).Run();
}

std::string ToText(const ArticleRow& row) {
  std::string text =
      absl::StrCat(row.pass() ? "pass" : "FAIL", "  row ", row.row, " ", NameOf(row.family), ": ",
                   row.what, "\n      seen      ", row.seen);
  absl::StrAppend(&text, "\n      expected  ", row.expected, "\n      log       ", row.log, "\n");
  if (row.log != row.expected_log) {
    absl::StrAppend(&text, "      should be ", row.expected_log, "\n");
  }
  return text;
}

std::string ToJson(const std::vector<ArticleRow>& rows) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const ArticleRow& row : rows) {
    list.push_back({{"row", row.row},
                    {"family", NameOf(row.family)},
                    {"what", row.what},
                    {"expected", row.expected},
                    {"seen", row.seen},
                    {"expectedLog", row.expected_log},
                    {"log", row.log},
                    {"pass", row.pass()}});
  }
  return list.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace whence::lab
