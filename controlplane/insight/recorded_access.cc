#include "controlplane/insight/recorded_access.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/explain/recorded.h"

namespace whence::insight {
namespace {

constexpr size_t kMaxGroups = 100;
constexpr char kHeadersCaveat[] =
    "a policy of this workload looks at request headers, which are not recorded";

// Everything of a record that an answer depends on.
std::string KeyOf(const v1::LogRow& row, const v1::ExplainRequest& request) {
  const v1::AccessRecord& record = row.record();
  return absl::StrJoin(
      {row.agent(), record.direct_peer(), record.client_address(), record.client_reason(),
       record.forwarded_for(), record.method(), record.host(), record.path(), record.protocol(),
       record.flags(), request.destination(), absl::StrCat(request.port())},
      absl::string_view("\0", 1));
}

}  // namespace

v1::RecordExplanation ExplainRecorded(admin::AccessExplainer& explainer, const v1::LogRow& row,
                                      WallTime now) {
  v1::RecordExplanation out;
  *out.mutable_record() = row;
  const explain::Recorded recorded = explain::FromRecord(row);
  out.set_not_judged(recorded.not_judged);
  out.mutable_caveats()->Assign(recorded.caveats.begin(), recorded.caveats.end());
  if (row.record().dropped() > 0) return out;
  absl::StatusOr<v1::ExplainResponse> answer = explainer.Explain(recorded.request, now);
  if (!answer.ok()) {
    out.set_not_judged(std::string(answer.status().message()));
    return out;
  }
  if (explainer.LooksAtHeaders(recorded.request)) out.add_caveats(kHeadersCaveat);
  *out.mutable_now() = *std::move(answer);
  if (!recorded.not_judged.empty()) return out;
  const std::vector<std::string> differences = explain::Differences(row.record(), out.now());
  out.mutable_differences()->Assign(differences.begin(), differences.end());
  out.set_same(differences.empty());
  return out;
}

Forecast::Verdict Forecast::Judge(const v1::LogRow& row) {
  Verdict verdict;
  const explain::Recorded recorded = explain::FromRecord(row);
  if (!recorded.not_judged.empty()) return verdict;
  absl::StatusOr<v1::ExplainResponse> before = before_.Explain(recorded.request, now_);
  absl::StatusOr<v1::ExplainResponse> after = after_.Explain(recorded.request, now_);
  if (!before.ok() || !after.ok()) {
    ++caveats_[std::string((before.ok() ? after : before).status().message())];
    return verdict;
  }
  for (const std::string& caveat : recorded.caveats) ++caveats_[caveat];
  if (after_.LooksAtHeaders(recorded.request)) ++caveats_[kHeadersCaveat];
  verdict.judged = true;
  verdict.changes = before->decision() != after->decision() ||
                    before->trusted_client() != after->trusted_client();
  v1::ForecastGroup& group = verdict.group;
  group.set_workload(row.agent());
  group.set_client(after->trusted_client());
  group.set_client_before(before->trusted_client());
  group.set_before(before->decision());
  group.set_after(after->decision());
  group.set_policy(after->deciding_policy().empty() ? before->deciding_policy()
                                                    : after->deciding_policy());
  group.set_why(after->decision_reason());
  return verdict;
}

void Forecast::Add(const v1::LogRow& row) {
  if (row.record().dropped() > 0) return;
  totals_.set_accesses(totals_.accesses() + 1);
  totals_.set_oldest_us(row.record().time_us());
  const std::string key = KeyOf(row, explain::FromRecord(row).request);
  auto [found, is_new] = verdicts_.try_emplace(key);
  if (is_new) found->second = Judge(row);
  const Verdict& verdict = found->second;
  if (!verdict.judged) totals_.set_not_judged(totals_.not_judged() + 1);
  if (!verdict.changes) return;
  const bool was_denied = verdict.group.before() == v1::DENY_DECISION;
  const bool is_denied = verdict.group.after() == v1::DENY_DECISION;
  if (is_denied && !was_denied) {
    totals_.set_newly_denied(totals_.newly_denied() + 1);
  } else if (was_denied && !is_denied) {
    totals_.set_newly_allowed(totals_.newly_allowed() + 1);
  } else if (verdict.group.client() != verdict.group.client_before()) {
    totals_.set_other_client(totals_.other_client() + 1);
  }
  const v1::ForecastGroup& kind = verdict.group;
  v1::ForecastGroup& group =
      groups_[absl::StrCat(kind.workload(), " ", kind.client(), " ", kind.client_before(), " ",
                           kind.before(), kind.after(), " ", kind.policy())];
  if (group.accesses() == 0) {
    group = kind;
    *group.mutable_example() = row;
  }
  group.set_accesses(group.accesses() + 1);
}

v1::ForecastResponse Forecast::Finish() const {
  v1::ForecastResponse response = totals_;
  std::vector<const v1::ForecastGroup*> sorted;
  for (const auto& [key, group] : groups_) sorted.push_back(&group);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto* a, const auto* b) { return a->accesses() > b->accesses(); });
  if (sorted.size() > kMaxGroups) sorted.resize(kMaxGroups);
  for (const v1::ForecastGroup* group : sorted) *response.add_groups() = *group;
  for (const auto& [caveat, count] : caveats_) response.add_caveats(caveat);
  return response;
}

}  // namespace whence::insight
