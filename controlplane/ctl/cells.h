// The tables of agents, revisions and counts: headings, and the cells of a row. Nothing is escaped yet.
#ifndef WHENCE_CONTROLPLANE_CTL_CELLS_H_
#define WHENCE_CONTROLPLANE_CTL_CELLS_H_

#include <string>
#include <vector>

#include "whence/v1/admin.pb.h"

namespace whence::ctl {

std::vector<std::string> AgentHeadings();
std::vector<std::string> AgentCells(const v1::AgentState& agent);
// A line for each resource that it refused: why, and what it runs instead.
std::vector<std::string> Refusals(const v1::AgentState& agent);
// A line for each thing that it says of itself and that is not believed.
std::vector<std::string> Doubts(const v1::AgentState& agent);
// What the question mark behind an address means.
inline constexpr char kUnprovenNote[] =
    "?: the agent does not connect from that address, and its certificate does not name it: an "
    "endpoint, and no trusted hop";

std::vector<std::string> HistoryHeadings();
std::vector<std::string> HistoryCells(const v1::RevisionInfo& revision);

std::vector<std::string> TopHeadings(v1::TopQuery::By by);
std::vector<std::string> TopCells(v1::TopQuery::By by, const v1::TopRow& row);
// What stands below the table if `others` is not 0.
std::string OthersNote(const v1::TopResponse& response);

}  // namespace whence::ctl

#endif  // WHENCE_CONTROLPLANE_CTL_CELLS_H_
