#include "controlplane/ctl/cells.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "controlplane/ctl/log_line.h"
#include "controlplane/ctl/print.h"
#include "controlplane/ctl/text.h"

namespace whence::ctl {
namespace {

constexpr int kShownChanges = 2;

std::string NameOf(const v1::AgentState& agent) { return agent.namespace_() + "/" + agent.name(); }

// One that nothing proves has a question mark.
std::string AddressesOf(const v1::AgentState& agent) {
  const auto& unproven = agent.unproven_addresses();
  std::string text;
  for (const std::string& address : agent.addresses()) {
    text += (text.empty() ? "" : ",") + address;
    if (std::find(unproven.begin(), unproven.end(), address) != unproven.end()) text += "?";
  }
  return text;
}

bool HasRefused(const v1::AgentState& agent) {
  return std::any_of(
      agent.resources().begin(), agent.resources().end(),
      [](const v1::ResourceState& state) { return !state.refused_version().empty(); });
}

std::string StateName(const v1::AgentState& agent) {
  if (HasRefused(agent)) return "refused";
  return agent.lag_us() > 0 ? "waiting" : "ok";
}

std::string ChangesText(const v1::RevisionInfo& revision) {
  std::string text;
  for (int i = 0; i < std::min(revision.changes_size(), kShownChanges); ++i) {
    const v1::Change& change = revision.changes(i);
    text += (text.empty() ? "" : ", ") + ChangeText(change);
  }
  const int more = revision.changes_size() - kShownChanges;
  return more > 0 ? text + ", and " + std::to_string(more) + " more" : text;
}

std::string AddressOrNone(const v1::TopRow& row) {
  std::string address = AddressText(row.address());
  return address.empty() ? "none" : address;
}

}  // namespace

std::vector<std::string> AgentHeadings() {
  return {"AGENT", "ROLE", "ADDRESSES", "NODE", "INTERCEPTION",
          "ACKED", "SENT", "STATE",     "LAG",  "VERSION"};
}

std::vector<std::string> AgentCells(const v1::AgentState& agent) {
  return {NameOf(agent),
          RoleName(agent.role()),
          AddressesOf(agent),
          agent.node(),
          agent.interception(),
          std::to_string(agent.acked_revision()),
          std::to_string(agent.sent_revision()),
          StateName(agent),
          agent.lag_us() > 0 ? SpanText(agent.lag_us()) : "",
          agent.version()};
}

std::vector<std::string> Refusals(const v1::AgentState& agent) {
  std::vector<std::string> lines;
  for (const v1::ResourceState& state : agent.resources()) {
    if (state.refused_version().empty()) continue;
    lines.push_back(absl::StrCat(NameOf(agent), " refused ", state.type(), " ", state.name(),
                                 " version ", state.refused_version(), " and runs ",
                                 state.acked_version().empty() ? "none" : state.acked_version(),
                                 ": ", state.error()));
  }
  return lines;
}

std::vector<std::string> Doubts(const v1::AgentState& agent) {
  std::vector<std::string> lines;
  for (const std::string& caveat : agent.caveats()) lines.push_back(NameOf(agent) + ": " + caveat);
  return lines;
}

std::vector<std::string> HistoryHeadings() {
  return {"REVISION", "TIME", "AUTHOR", "MESSAGE", "CHANGES"};
}

std::vector<std::string> HistoryCells(const v1::RevisionInfo& revision) {
  return {std::to_string(revision.revision()), TimeText(revision.time_us()).substr(0, 19) + "Z",
          AuthorText(revision.author(), revision.author_verified()),
          revision.message().empty() ? "-" : revision.message(), ChangesText(revision)};
}

std::vector<std::string> TopHeadings(v1::TopQuery::By by) {
  switch (by) {
    case v1::TopQuery::DENIED:
      return {"CLIENT", "DENIED", "POLICY", "WORKLOAD", "LAST"};
    case v1::TopQuery::WORKLOADS:
      return {"WORKLOAD", "ACCESSES", "DENIED", "BYTES IN", "BYTES OUT", "LAST"};
    case v1::TopQuery::PEERS:
      return {"PEER", "ACCESSES", "DENIED", "BYTES IN", "BYTES OUT", "LAST"};
    default:
      return {"CLIENT", "ACCESSES", "DENIED", "BYTES IN", "BYTES OUT", "LAST"};
  }
}

std::vector<std::string> TopCells(v1::TopQuery::By by, const v1::TopRow& row) {
  if (by == v1::TopQuery::DENIED) {
    return {AddressOrNone(row), std::to_string(row.denied()), row.policy(), row.workload(),
            TimeText(row.last_us())};
  }
  return {by == v1::TopQuery::WORKLOADS ? row.workload() : AddressOrNone(row),
          std::to_string(row.accesses()),
          std::to_string(row.denied()),
          std::to_string(row.bytes_in()),
          std::to_string(row.bytes_out()),
          TimeText(row.last_us())};
}

std::string OthersNote(const v1::TopResponse& response) {
  return absl::StrCat("too many to count apart: ", response.others(), " of ", response.total(),
                      " accesses are in no row; ask for a shorter time");
}

}  // namespace whence::ctl
