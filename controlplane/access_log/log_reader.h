// Reads access records: newest first in pages, or onwards from a row.
//
// Every value of a filter is a bound parameter. A CIDR is a range of 16-byte blobs. Sealed segments
// answer by their indexes, the open one by a scan; segments whose time is out of question are not
// opened. Each page is one short read transaction, so that a slow consumer keeps no snapshot open
// (it would keep the write-ahead log from being checked in).
#ifndef WHENCE_CONTROLPLANE_ACCESS_LOG_LOG_READER_H_
#define WHENCE_CONTROLPLANE_ACCESS_LOG_LOG_READER_H_

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/net/cidr.h"
#include "controlplane/access_log/segments.h"
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
};

// Pure. InvalidArgument names every field that is wrong.
absl::StatusOr<LogFilter> ReadLogQuery(const v1::LogQuery& query);

// Thread-compatible; a connection of its own.
class LogReader {
 public:
  static absl::StatusOr<std::unique_ptr<LogReader>> Open(const std::string& path, LogFilter filter);

  // The next page of at most `max_rows`, newest first by the records' time; empty at the end.
  absl::StatusOr<std::vector<v1::LogRow>> NextPage(size_t max_rows);

  // Rows that were committed after the row `*after` (an id), in that order. Moves `*after` to where
  // the next call is to go on: also past rows that the filter leaves out.
  absl::StatusOr<std::vector<v1::LogRow>> After(size_t max_rows, int64_t* after);
  // The newest row's id; 0: there is none.
  absl::StatusOr<int64_t> NewestId();

 private:
  LogReader(std::unique_ptr<store::Database> database, LogFilter filter)
      : database_(std::move(database)), filter_(std::move(filter)) {}

  absl::StatusOr<std::vector<v1::LogRow>> ReadPage(size_t max_rows);
  absl::StatusOr<std::vector<v1::LogRow>> ReadAfter(size_t max_rows, int64_t* after);
  absl::Status ReadSegment(const Segment& segment, bool newest_first, int64_t after,
                           size_t max_rows, std::vector<v1::LogRow>* rows);

  std::unique_ptr<store::Database> database_;
  const LogFilter filter_;
  // (time, id) of the last row given: the next page lies before it.
  std::optional<std::pair<int64_t, int64_t>> cursor_;
};

}  // namespace whence::access_log

#endif  // WHENCE_CONTROLPLANE_ACCESS_LOG_LOG_READER_H_
