#include "dataplane/access_log/access_summary.h"

#include <algorithm>

namespace whence::access_log {

void AccessSummary::Add(const Record& record) {
  Histogram& histogram = record.protocol == Protocol::kTcp ? tcp_ : http_;
  ++histogram.count;
  histogram.sum_us += record.duration_us;
  const auto* bucket =
      std::lower_bound(kDurationBuckets.begin(), kDurationBuckets.end(), record.duration_us);
  if (bucket != kDurationBuckets.end()) ++histogram.buckets[bucket - kDurationBuckets.begin()];

  const std::string_view policy = record.Get(Text::kPolicy);
  auto found = by_policy_.find(policy);
  if (found == by_policy_.end()) {
    const bool has_room = policy.empty() || by_policy_.size() < kMaxPolicies;
    found = by_policy_.try_emplace(has_room ? std::string(policy) : "other").first;
  }
  ++found->second[static_cast<size_t>(record.decision)];
}

std::string_view DecisionText(Decision decision) {
  switch (decision) {
    case Decision::kAllow:
      return "allow";
    case Decision::kDeny:
      return "deny";
    case Decision::kDryRunDeny:
      return "dry-run-deny";
  }
  return "";
}

}  // namespace whence::access_log
