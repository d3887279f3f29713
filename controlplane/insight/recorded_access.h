// Recorded accesses, judged again: under another configuration, or under two for their difference.
#ifndef WHENCE_CONTROLPLANE_INSIGHT_RECORDED_ACCESS_H_
#define WHENCE_CONTROLPLANE_INSIGHT_RECORDED_ACCESS_H_

#include <map>
#include <string>
#include <unordered_map>

#include "common/base/clock.h"
#include "controlplane/admin/explain_access.h"
#include "whence/v1/admin.pb.h"

namespace whence::insight {

// Pure.
v1::RecordExplanation ExplainRecorded(admin::AccessExplainer& explainer, const v1::LogRow& row,
                                      WallTime now);

// What a change means for recorded traffic. Both configurations judge every record by the agent's
// own code; what they agree on is no news, whatever was decided at the time.
//
// Thread-compatible. Much traffic repeats itself, and what differs only in time is judged once.
class Forecast {
 public:
  // Both must outlive *this.
  Forecast(admin::AccessExplainer& before, admin::AccessExplainer& after, WallTime now)
      : before_(before), after_(after), now_(now) {}

  void Add(const v1::LogRow& row);
  // Counts and groups; the rest of the response is the caller's.
  v1::ForecastResponse Finish() const;

 private:
  // One kind of access, and what becomes of it.
  struct Verdict {
    bool judged = false;
    bool changes = false;
    v1::ForecastGroup group;
  };
  Verdict Judge(const v1::LogRow& row);

  admin::AccessExplainer& before_;
  admin::AccessExplainer& after_;
  const WallTime now_;
  v1::ForecastResponse totals_;
  std::unordered_map<std::string, Verdict> verdicts_;  // by all that a verdict depends on
  std::map<std::string, v1::ForecastGroup> groups_;    // by what people would group by
  std::map<std::string, uint64_t> caveats_;
};

}  // namespace whence::insight

#endif  // WHENCE_CONTROLPLANE_INSIGHT_RECORDED_ACCESS_H_
