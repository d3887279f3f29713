// Sums over the access records, for metrics: how many of each decision and policy, how long they
// took. Made where the records pass anyway, off the data path.
#ifndef WHENCE_DATAPLANE_ACCESS_LOG_ACCESS_SUMMARY_H_
#define WHENCE_DATAPLANE_ACCESS_LOG_ACCESS_SUMMARY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "dataplane/access_log/record.h"

namespace whence::access_log {

// Upper bounds, microseconds; what took longer is in none.
inline constexpr std::array<uint64_t, 14> kDurationBuckets = {
    500,     1'000,   2'500,   5'000,     10'000,    25'000,    50'000,
    100'000, 250'000, 500'000, 1'000'000, 2'500'000, 5'000'000, 10'000'000};

// Value; thread-compatible.
class AccessSummary {
 public:
  // Policies come and go, and each is a series in Prometheus for long: beyond so many they are one,
  // "other" (fault 60). Nothing of a request is ever a label.
  static constexpr size_t kMaxPolicies = 100;

  struct Histogram {
    std::array<uint64_t, kDurationBuckets.size()> buckets{};  // each for itself, not summed up
    uint64_t count = 0;
    uint64_t sum_us = 0;
  };
  using ByPolicy = std::map<std::string, std::array<uint64_t, 3>, std::less<>>;  // by Decision

  void Add(const Record& record);

  const Histogram& http() const { return http_; }
  const Histogram& tcp() const { return tcp_; }
  // "" is the name of none.
  const ByPolicy& by_policy() const { return by_policy_; }

 private:
  Histogram http_, tcp_;
  ByPolicy by_policy_;
};

std::string_view DecisionText(Decision decision);  // "allow", "deny", "dry-run-deny"

}  // namespace whence::access_log

#endif  // WHENCE_DATAPLANE_ACCESS_LOG_ACCESS_SUMMARY_H_
