// Rules that read the access log.
#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/bundle/config_view.h"
#include "common/bundle/selection.h"
#include "common/document/document.h"
#include "common/explain/recorded.h"
#include "controlplane/insight/chart.h"

namespace whence::insight {
namespace {

using explain::AddressText;

constexpr char kApply[] = "whencectl apply -f -   # with the document";

std::string PeerOf(const v1::LogRow& row) { return AddressText(row.record().direct_peer()); }
std::string ClientOf(const v1::LogRow& row) { return AddressText(row.record().client_address()); }

void Advise(const v1::Document& document, v1::Finding* finding) {
  finding->set_document(document::ToYaml(document));
  finding->add_commands(kApply);
}

// The Service by which the world reaches the gateway; its own name if none is known.
std::pair<std::string, std::string> ServiceOf(const Chart& chart, const v1::AgentState& agent) {
  const std::map<std::string, std::string> labels(agent.labels().begin(), agent.labels().end());
  for (const auto& [name, document] : chart.patient().config.view->services()) {
    const auto& selector = document->service().selector();
    if (name.first == agent.namespace_() && !selector.empty() &&
        bundle::Selects(selector, labels)) {
      return name;
    }
  }
  return {agent.namespace_(), agent.name()};
}

// Rows by agent, of connected agents only: the others cannot be advised.
using ByAgent = std::map<std::string, Cases>;

}  // namespace

// A gateway's traffic comes from outside; nobody outside has a node's address. (At a sidecar, a
// node's address may be the kubelet with a health probe.)
void FindNodeAsClient(const Chart& chart, Findings* out) {
  ByAgent cases;
  for (const v1::LogRow& row : chart.patient().records) {
    const auto client = net::IpAddress::Parse(ClientOf(row));
    if (row.role() == "gateway" && client && chart.IsNode(*client)) {
      cases[row.agent()].Add(row, client->ToString());
    }
  }
  for (const auto& [id, seen] : cases) {
    const v1::AgentState* agent = chart.Agent(id);
    if (agent == nullptr) continue;
    v1::Finding finding = MakeFinding("client-is-node", v1::Finding::WARNING, id);
    finding.set_summary("clients from outside appear as one of the nodes");
    finding.set_cause(
        "the node that received the connection replaced its source address (SNAT), as a Service "
        "with externalTrafficPolicy Cluster makes it do");
    seen.Describe("of the client", &finding);
    const auto [space, name] = ServiceOf(chart, *agent);
    finding.set_remedy(
        "let only nodes with a gateway pod take the traffic (externalTrafficPolicy Local), or keep "
        "Cluster and run a node agent on every node");
    finding.add_commands(absl::StrCat("kubectl -n ", space, " patch service ", name,
                                      " -p '{\"spec\":{\"externalTrafficPolicy\":\"Local\"}}'"));
    out->push_back(std::move(finding));
  }
}

// Something was forwarded, and nobody believes it. One sender that speaks for several clients, or
// one of our own agents, is a proxy that was not declared; a stranger that invents a header is not.
void FindUntrustedForwarding(const Chart& chart, Findings* out) {
  std::map<std::pair<std::string, std::string>, std::set<std::string>> claims;
  const auto is_untrusted = [](const v1::LogRow& row) {
    const v1::AccessRecord& record = row.record();
    return !record.forwarded_for().empty() &&
           (record.client_reason() == "untrusted-peer" || record.client_reason() == "direct-peer");
  };
  for (const v1::LogRow& row : chart.patient().records) {
    if (is_untrusted(row)) claims[{row.agent(), PeerOf(row)}].insert(row.record().forwarded_for());
  }
  ByAgent cases;
  for (const v1::LogRow& row : chart.patient().records) {
    if (!is_untrusted(row)) continue;
    const std::string peer = PeerOf(row);
    if (claims[{row.agent(), peer}].size() > 1 || chart.IsMeshAgent(peer)) {
      cases[row.agent()].Add(row, peer);
    }
  }
  for (const auto& [id, seen] : cases) {
    const v1::AgentState* agent = chart.Agent(id);
    if (agent == nullptr) continue;
    v1::Finding finding = MakeFinding("forwarded-untrusted", v1::Finding::WARNING, id);
    finding.set_summary("X-Forwarded-For arrives from peers that are not trusted, and is not read");
    finding.set_cause(
        "these peers speak for several clients, so they are proxies, but no TrustTopology says "
        "that their word counts; each of them is taken for the client");
    seen.Describe("with X-Forwarded-For from", &finding);
    finding.set_remedy(
        "if these are your proxies, trust them; if they are not, leave it: nothing they claim is "
        "believed");
    Advise(chart.Trusting(*agent, seen.Senders()), &finding);
    out->push_back(std::move(finding));
  }
}

void FindShortChains(const Chart& chart, Findings* out) {
  ByAgent cases;
  std::map<std::string, std::map<size_t, uint64_t>> lengths;
  for (const v1::LogRow& row : chart.patient().records) {
    if (!absl::EndsWith(row.record().client_reason(), "-too-short")) continue;
    cases[row.agent()].Add(row, PeerOf(row));
    ++lengths[row.agent()][EntryCount(row.record().forwarded_for())];
  }
  for (const auto& [id, seen] : cases) {
    const v1::AgentState* agent = chart.Agent(id);
    if (agent == nullptr) continue;
    v1::Document topology = chart.Topology(*agent);
    v1::TrustTopologySpec* spec = topology.mutable_trust_topology();
    const auto usual =
        std::max_element(lengths[id].begin(), lengths[id].end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    const size_t counted = spec->num_trusted_proxies();
    // A sidecar's own peer is one hop more than a gateway counts.
    const size_t extra = agent->role() == v1::SIDECAR ? 1 : 0;
    const size_t fitting = usual->first > extra ? usual->first - extra : 0;
    v1::Finding finding = MakeFinding("chain-too-short", v1::Finding::WARNING, id);
    finding.set_summary(absl::StrCat("more proxies are counted (", counted,
                                     ") than there are entries in X-Forwarded-For (", usual->first,
                                     ")"));
    finding.set_cause(
        "numTrustedProxies is larger than the number of proxies in front, or connections come in "
        "past them; the nearest hop is taken for the client");
    seen.Describe("with too short a chain from", &finding);
    if (fitting < counted) {
      spec->set_num_trusted_proxies(static_cast<uint32_t>(fitting));
      finding.set_remedy("count the proxies that there are, or close the way past them");
      Advise(topology, &finding);
    } else {
      finding.set_remedy("make the trusted proxy in front add X-Forwarded-For");
    }
    out->push_back(std::move(finding));
  }
}

void FindProxyHeaders(const Chart& chart, Findings* out) {
  ByAgent missing, unexpected;
  for (const v1::LogRow& row : chart.patient().records) {
    if (HasFlag(row.record(), "proxy-header-missing")) missing[row.agent()].Add(row, PeerOf(row));
    if (HasFlag(row.record(), "proxy-header-unexpected")) {
      unexpected[row.agent()].Add(row, PeerOf(row));
    }
  }
  for (const auto& [id, seen] : missing) {
    const v1::AgentState* agent = chart.Agent(id);
    if (agent == nullptr) continue;
    v1::Finding finding = MakeFinding("proxy-header-missing", v1::Finding::ERROR, id);
    finding.set_summary("connections without the PROXY protocol header they must begin with");
    finding.set_cause("proxyProtocol.accept is REQUIRED, and these peers send none; all are reset");
    seen.Describe("refused from", &finding);
    finding.set_remedy(
        "let the load balancer send PROXY protocol; until it does, take connections without, too");
    v1::Document topology = chart.Topology(*agent);
    topology.mutable_trust_topology()->mutable_proxy_protocol()->set_accept(
        v1::ProxyProtocolSettings::OPTIONAL);
    Advise(topology, &finding);
    out->push_back(std::move(finding));
  }
  for (const auto& [id, seen] : unexpected) {
    const v1::AgentState* agent = chart.Agent(id);
    if (agent == nullptr) continue;
    v1::Finding finding = MakeFinding("proxy-header-unexpected", v1::Finding::ERROR, id);
    finding.set_summary("PROXY protocol headers from peers that may not send them");
    finding.set_cause(
        "proxyProtocol does not accept a header from these peers, so their connections are refused "
        "and the client they name is not read");
    seen.Describe("refused from", &finding);
    finding.set_remedy("if these are your load balancers, let them; else leave it as it is");
    v1::Document topology = chart.Topology(*agent);
    v1::ProxyProtocolSettings* settings =
        topology.mutable_trust_topology()->mutable_proxy_protocol();
    if (settings->accept() != v1::ProxyProtocolSettings::REQUIRED) {
      settings->set_accept(v1::ProxyProtocolSettings::OPTIONAL);
    }
    for (const std::string& peer : seen.Senders()) {
      const auto address = net::IpAddress::Parse(peer);
      if (address) settings->mutable_from()->add_cidrs(net::Cidr(*address).ToString());
    }
    Advise(topology, &finding);
    out->push_back(std::move(finding));
  }
}

// A client may send the same id again and again; only what each agent has once can be compared.
void FindDisagreement(const Chart& chart, Findings* out) {
  struct Sighting {
    const v1::LogRow* row = nullptr;
    int times = 0;
  };
  std::map<std::string, std::map<std::string, Sighting>> requests;
  for (const v1::LogRow& row : chart.patient().records) {
    if (row.record().request_id().empty()) continue;
    Sighting& sighting = requests[row.record().request_id()][row.agent()];
    sighting.row = &row;
    ++sighting.times;
  }
  std::map<std::pair<std::string, std::string>, Cases> cases;  // (who differs, from whom)
  for (const auto& [id, by_agent] : requests) {
    const v1::LogRow* outer = nullptr;
    for (const auto& [agent, sighting] : by_agent) {
      const bool is_edge = sighting.row->role() != "sidecar";
      if (sighting.times == 1 && is_edge) outer = sighting.row;
    }
    if (outer == nullptr) continue;
    for (const auto& [agent, sighting] : by_agent) {
      if (sighting.times != 1 || sighting.row == outer) continue;
      if (ClientOf(*sighting.row) == ClientOf(*outer)) continue;
      cases[{agent, outer->agent()}].Add(*sighting.row, PeerOf(*sighting.row));
    }
  }
  for (const auto& [pair, seen] : cases) {
    const auto& [id, edge] = pair;
    const v1::AgentState* agent = chart.Agent(id);
    if (agent == nullptr) continue;
    v1::Finding finding = MakeFinding("clients-disagree", v1::Finding::WARNING, id);
    finding.set_summary(absl::StrCat("it and ", edge, " name different clients for one request"));
    finding.set_cause(
        absl::StrCat("what stands between them is not trusted here, so that the verdict of ", edge,
                     " is not taken"));
    seen.Describe("with another client, through", &finding);
    finding.set_remedy("trust the hop in between");
    Advise(chart.Trusting(*agent, seen.Senders()), &finding);
    out->push_back(std::move(finding));
  }
}

void FindSpoofing(const Chart& chart, Findings* out) {
  ByAgent cases;
  for (const v1::LogRow& row : chart.patient().records) {
    const v1::AccessRecord& record = row.record();
    if (HasFlag(record, "spoofed-headers") && record.decision() != v1::DENY_DECISION) {
      cases[row.agent()].Add(row, PeerOf(row));
    }
  }
  for (const auto& [id, seen] : cases) {
    const v1::AgentState* agent = chart.Agent(id);
    if (agent == nullptr) continue;
    v1::Finding finding = MakeFinding("spoof-attempts", v1::Finding::NOTICE, id);
    finding.set_summary("requests claim an identity that only our own agents may give");
    finding.set_cause(
        "x-whence-client or x-envoy-* fields came from peers that are no gateway of the mesh; they "
        "were removed, and nothing was believed");
    seen.Describe("from", &finding);
    finding.set_remedy("to shut these peers out, deny them");
    v1::Document document;
    document.set_api_version("whence.dev/v1");
    document.set_kind("IpPolicy");
    document.mutable_metadata()->set_name(absl::StrCat(agent->name(), "-spoofers"));
    document.mutable_metadata()->set_namespace_(agent->namespace_());
    v1::IpPolicySpec* spec = document.mutable_ip_policy();
    SelectAgent(*agent, spec->mutable_selector()->mutable_match_labels());
    spec->set_action(v1::IpPolicySpec::DENY);
    v1::PolicySource* source = spec->add_rules()->add_from()->mutable_source();
    for (const std::string& peer : seen.Senders()) {
      const auto address = net::IpAddress::Parse(peer);
      if (address) source->add_ip_blocks(net::Cidr(*address).ToString());
    }
    Advise(document, &finding);
    out->push_back(std::move(finding));
  }
}

}  // namespace whence::insight
