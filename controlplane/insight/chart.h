// What the doctor's rules share: the agents by name, and how a finding is put together.
#ifndef WHENCE_CONTROLPLANE_INSIGHT_CHART_H_
#define WHENCE_CONTROLPLANE_INSIGHT_CHART_H_

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/net/cidr.h"
#include "common/net/ip_address.h"
#include "controlplane/insight/doctor.h"

namespace whence::insight {

using Findings = std::vector<v1::Finding>;

// Borrows from the patient.
class Chart {
 public:
  explicit Chart(const Patient& patient);

  const Patient& patient() const { return patient_; }
  // Null: not connected now, so there is nothing to advise.
  const v1::AgentState* Agent(const std::string& id) const;
  // An address of a node: by the Mesh's nodeCidrs, or since agents say that they run on it.
  bool IsNode(const net::IpAddress& address) const;
  // Of a connected gateway or node agent.
  bool IsMeshAgent(const std::string& address) const { return mesh_agents_.contains(address); }

  // The topology that holds for the agent, to be changed and applied again: the present document,
  // or a new one that selects this workload.
  v1::Document Topology(const v1::AgentState& agent) const;
  // The same with `peers` trusted.
  v1::Document Trusting(const v1::AgentState& agent, const std::vector<std::string>& peers) const;

 private:
  const Patient& patient_;
  std::map<std::string, const v1::AgentState*> agents_;
  std::vector<net::Cidr> node_cidrs_;
  std::set<net::IpAddress> nodes_;
  std::set<std::string> mesh_agents_;
};

std::string Id(const v1::AgentState& agent);  // "namespace/name"

// "app=web" and its like, to select just this workload by.
void SelectAgent(const v1::AgentState& agent,
                 google::protobuf::Map<std::string, std::string>* labels);

// Records of one finding: how many, some of them, and who sent them.
class Cases {
 public:
  void Add(const v1::LogRow& row, const std::string& who);
  bool empty() const { return count_ == 0; }
  uint64_t count() const { return count_; }
  // Who sent the most first, at most five.
  std::vector<std::string> Senders() const;
  // Adds counts, ids and one line per sender.
  void Describe(std::string_view what, v1::Finding* finding) const;

 private:
  uint64_t count_ = 0;
  std::vector<int64_t> ids_;
  std::map<std::string, uint64_t> senders_;
};

v1::Finding MakeFinding(std::string_view rule, v1::Finding::Severity severity,
                        const std::string& workload);

bool HasFlag(const v1::AccessRecord& record, std::string_view flag);
size_t EntryCount(const std::string& forwarded_for);

// The rules; each adds to `out`.
void FindNodeAsClient(const Chart& chart, Findings* out);
void FindRedirect(const Chart& chart, Findings* out);
void FindUntrustedForwarding(const Chart& chart, Findings* out);
void FindShortChains(const Chart& chart, Findings* out);
void FindProxyHeaders(const Chart& chart, Findings* out);
void FindDisagreement(const Chart& chart, Findings* out);
void FindSpoofing(const Chart& chart, Findings* out);
void FindExcludedPorts(const Chart& chart, Findings* out);
void FindRefusals(const Chart& chart, Findings* out);
void FindLostAgents(const Chart& chart, Findings* out);

}  // namespace whence::insight

#endif  // WHENCE_CONTROLPLANE_INSIGHT_CHART_H_
