// Where is the client's address lost, and what would mend it?
//
// Pure rules over what the control plane knows: the configuration, the agents, and recent access
// records. Each finding says what was seen (with records to look at), why, and exactly what to do:
// commands, or a document for `whencectl apply -f -` that is the present one with the change in it.
//
// A rule that cries wolf is worse than none, so each looks for what an ordinary mesh does not do:
// a health probe from a node, a stranger's invented header at a gateway that ignores it, a client
// that reuses a request id must not make a healthy mesh look ill.
#ifndef WHENCE_CONTROLPLANE_INSIGHT_DOCTOR_H_
#define WHENCE_CONTROLPLANE_INSIGHT_DOCTOR_H_

#include <string>
#include <vector>

#include "common/bundle/inventory.h"
#include "controlplane/model/config_state.h"
#include "whence/v1/admin.pb.h"

namespace whence::insight {

struct Patient {
  const model::ConfigState& config;
  std::vector<v1::AgentState> agents;       // connected
  std::vector<bundle::Workload> workloads;  // theirs, as bundles are built for them
  std::vector<std::string> lost;  // "namespace/name": the stream broke, and nobody came back
  std::vector<v1::LogRow> records;
};

// The worst first. Empty: healthy.
std::vector<v1::Finding> Examine(const Patient& patient);

// Every rule's name, in the order in which they are looked at.
std::vector<std::string> RuleNames();

}  // namespace whence::insight

#endif  // WHENCE_CONTROLPLANE_INSIGHT_DOCTOR_H_
