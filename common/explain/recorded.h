// A recorded access, to be asked about again.
#ifndef WHENCE_COMMON_EXPLAIN_RECORDED_H_
#define WHENCE_COMMON_EXPLAIN_RECORDED_H_

#include <string>
#include <vector>

#include "whence/v1/admin.pb.h"

namespace whence::explain {

// An access as far as its record tells it.
struct Recorded {
  v1::ExplainRequest request;
  // What the record does not tell and the answer may depend on, for people.
  std::vector<std::string> caveats;
  // The access ended before anybody was asked who it is and whether it may enter (a malformed
  // head, a gap in the log): there is no answer to compare with. Why; empty: there is one.
  std::string not_judged;
};

// Pure.
Recorded FromRecord(const v1::LogRow& row);

// What the record says against what holds now: one line for each that differs; empty: the same.
std::vector<std::string> Differences(const v1::AccessRecord& record,
                                     const v1::ExplainResponse& now);

// "allow", "deny", "dry-run-deny"
std::string DecisionText(v1::Decision decision);

// 16 bytes as a record has them; empty if they are no address.
std::string AddressText(const std::string& bytes);

}  // namespace whence::explain

#endif  // WHENCE_COMMON_EXPLAIN_RECORDED_H_
