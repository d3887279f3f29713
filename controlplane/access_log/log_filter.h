// Which access records a query asks for.
//
// Every value of a filter is a bound parameter; the SQL around it is literals. A CIDR is a range of
// 16-byte blobs. Text is compared as it is stored (text.h), so that what `logs` prints can be asked
// for again.
#ifndef WHENCE_CONTROLPLANE_ACCESS_LOG_LOG_FILTER_H_
#define WHENCE_CONTROLPLANE_ACCESS_LOG_LOG_FILTER_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/net/cidr.h"
#include "controlplane/store/database.h"
#include "whence/v1/admin.pb.h"

namespace whence::access_log {

struct LogFilter {
  std::optional<net::Cidr> client;
  std::optional<net::Cidr> peer;
  std::string workload;                              // "namespace/name"; empty: all
  v1::Decision decision = v1::DECISION_UNSPECIFIED;  // unspecified: all
  int64_t since_us = 0;
  int64_t until_us = std::numeric_limits<int64_t>::max();  // exclusive
  int64_t id = 0;                                          // exactly this; 0: all
  int64_t before_id = 0;                                   // older than this one; 0: all
  uint32_t status = 0;                                     // 0: all
  // As stored; empty: all.
  std::string uuid;  // request_id in its other form, if it has one
  std::string request_id, host, path_prefix, method, policy;

  bool operator==(const LogFilter&) const = default;
};

// Pure. InvalidArgument names every field that is wrong.
absl::StatusOr<LogFilter> ReadLogQuery(const v1::LogQuery& query);

// Parameters ?1 to ?19 are the filter's; a query's own begin here.
inline constexpr int kFirstOwnParameter = 20;

// Appends " and …" for every condition but the time and the id; the rows are `s`.
void AppendConditions(const LogFilter& filter, store::ComposedSql* sql);
// Binds what the conditions need, and more: all numbers exist in every query of ours. Borrows from
// `filter` and `bounds`.
struct FilterBounds {
  explicit FilterBounds(const LogFilter& filter);
  net::IpAddress client_last, peer_last;
};
void BindFilter(const LogFilter& filter, const FilterBounds& bounds, store::Statement& statement);

}  // namespace whence::access_log

#endif  // WHENCE_CONTROLPLANE_ACCESS_LOG_LOG_FILTER_H_
