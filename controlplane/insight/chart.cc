#include "controlplane/insight/chart.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/strings.h"
#include "common/bundle/config_view.h"
#include "common/bundle/selection.h"

namespace whence::insight {
namespace {

constexpr size_t kMaxIds = 5;
constexpr size_t kMaxSenders = 5;

bundle::Workload ToWorkload(const v1::AgentState& agent) {
  bundle::Workload workload;
  workload.namespace_ = agent.namespace_();
  workload.name = agent.name();
  workload.labels.insert(agent.labels().begin(), agent.labels().end());
  workload.role = agent.role() == v1::GATEWAY ? trust::Role::kGateway
                  : agent.role() == v1::NODE  ? trust::Role::kNode
                                              : trust::Role::kSidecar;
  return workload;
}

}  // namespace

std::string Id(const v1::AgentState& agent) {
  return absl::StrCat(agent.namespace_(), "/", agent.name());
}

Chart::Chart(const Patient& patient) : patient_(patient) {
  for (const std::string& cidr : patient.config.view->mesh().node_cidrs()) {
    if (auto parsed = net::Cidr::Parse(cidr); parsed.ok()) node_cidrs_.push_back(*parsed);
  }
  for (const v1::AgentState& agent : patient.agents) {
    agents_[Id(agent)] = &agent;
    if (auto node = net::IpAddress::Parse(agent.node())) nodes_.insert(*node);
    if (agent.role() == v1::SIDECAR) continue;
    mesh_agents_.insert(agent.addresses().begin(), agent.addresses().end());
  }
}

const v1::AgentState* Chart::Agent(const std::string& id) const {
  auto found = agents_.find(id);
  return found == agents_.end() ? nullptr : found->second;
}

bool Chart::IsNode(const net::IpAddress& address) const {
  return nodes_.contains(address) ||
         std::any_of(node_cidrs_.begin(), node_cidrs_.end(),
                     [&](const net::Cidr& cidr) { return cidr.Contains(address); });
}

void SelectAgent(const v1::AgentState& agent,
                 google::protobuf::Map<std::string, std::string>* labels) {
  auto app = agent.labels().find("app");
  if (app != agent.labels().end()) {
    (*labels)["app"] = app->second;
  } else {
    labels->insert(agent.labels().begin(), agent.labels().end());
  }
}

v1::Document Chart::Topology(const v1::AgentState& agent) const {
  const v1::Document* present = bundle::TopologyFor(*patient_.config.view, ToWorkload(agent));
  if (present != nullptr) return *present;
  v1::Document document;
  document.set_api_version("whence.dev/v1");
  document.set_kind("TrustTopology");
  document.mutable_metadata()->set_name(agent.name());
  document.mutable_metadata()->set_namespace_(agent.namespace_());
  SelectAgent(agent, document.mutable_trust_topology()->mutable_selector()->mutable_match_labels());
  return document;
}

v1::Document Chart::Trusting(const v1::AgentState& agent,
                             const std::vector<std::string>& peers) const {
  v1::Document document = Topology(agent);
  v1::TrustTopologySpec* spec = document.mutable_trust_topology();
  for (const std::string& peer : peers) {
    if (IsMeshAgent(peer)) {
      spec->set_trust_mesh_gateways(true);
      continue;
    }
    spec->clear_num_trusted_proxies();  // either one or the other
    const auto address = net::IpAddress::Parse(peer);
    if (address) spec->mutable_trusted_proxies()->add_cidrs(net::Cidr(*address).ToString());
  }
  return document;
}

void Cases::Add(const v1::LogRow& row, const std::string& who) {
  ++count_;
  ++senders_[who];
  if (ids_.size() < kMaxIds) ids_.push_back(row.id());
}

std::vector<std::string> Cases::Senders() const {
  std::vector<std::pair<uint64_t, std::string>> sorted;
  for (const auto& [who, count] : senders_) sorted.emplace_back(count, who);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<std::string> names;
  for (const auto& [count, who] : sorted) {
    if (names.size() < kMaxSenders) names.push_back(who);
  }
  return names;
}

void Cases::Describe(std::string_view what, v1::Finding* finding) const {
  finding->set_record_count(count_);
  finding->mutable_records()->Assign(ids_.begin(), ids_.end());
  for (const std::string& who : Senders()) {
    const uint64_t count = senders_.at(who);
    finding->add_evidence(
        absl::StrCat(count, count == 1 ? " access " : " accesses ", ToAbsl(what), " ", who));
  }
  if (senders_.size() > kMaxSenders) {
    finding->add_evidence(absl::StrCat("and ", senders_.size() - kMaxSenders, " more"));
  }
}

v1::Finding MakeFinding(std::string_view rule, v1::Finding::Severity severity,
                        const std::string& workload) {
  v1::Finding finding;
  finding.set_rule(std::string(rule));
  finding.set_severity(severity);
  finding.set_workload(workload);
  return finding;
}

bool HasFlag(const v1::AccessRecord& record, std::string_view flag) {
  for (const absl::string_view one : absl::StrSplit(record.flags(), ',')) {
    if (ToStd(one) == flag) return true;
  }
  return false;
}

size_t EntryCount(const std::string& forwarded_for) {
  if (forwarded_for.empty()) return 0;
  return static_cast<size_t>(std::count(forwarded_for.begin(), forwarded_for.end(), ',')) + 1;
}

}  // namespace whence::insight
