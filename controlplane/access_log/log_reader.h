// Reads access records: newest first in pages, or onwards from a row.
//
// Sealed segments answer by their indexes, the open one by a scan; segments whose time is out of
// question are not opened. Each page is one short read transaction, so that a slow consumer keeps
// no snapshot open (it would keep the write-ahead log from being checked in), and has a deadline.
#ifndef WHENCE_CONTROLPLANE_ACCESS_LOG_LOG_READER_H_
#define WHENCE_CONTROLPLANE_ACCESS_LOG_LOG_READER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/access_log/log_filter.h"
#include "controlplane/access_log/segments.h"
#include "controlplane/store/database.h"
#include "whence/v1/admin.pb.h"

namespace whence::access_log {

struct LogPage {
  std::vector<v1::LogRow> rows;
  bool at_end = false;  // there is nothing behind it now
};

// Thread-compatible; a connection of its own.
class LogReader {
 public:
  static absl::StatusOr<std::unique_ptr<LogReader>> Open(const std::string& path, LogFilter filter);

  // The next page of at most `max_rows`, newest first by the records' time. NotFound: the record
  // to begin at is not there (any more).
  absl::StatusOr<LogPage> NextPage(size_t max_rows);

  // Rows that were committed after the row `*after` (an id) up to the row `last`, in that order.
  // Moves `*after` to where the next call is to go on: also past rows that the filter leaves out.
  absl::StatusOr<LogPage> After(size_t max_rows, int64_t last, int64_t* after);
  // The ids of the oldest and the newest row; (1, 0): there is none.
  absl::StatusOr<std::pair<int64_t, int64_t>> Extent();

  // Ends what is being read with kCancelled. From any thread while *this lives.
  void Interrupt() { database_->Interrupt(); }

 private:
  LogReader(std::unique_ptr<store::Database> database, LogFilter filter)
      : database_(std::move(database)), filter_(std::move(filter)) {}

  absl::StatusOr<LogPage> ReadPage(size_t max_rows);
  absl::StatusOr<LogPage> ReadAfter(size_t max_rows, int64_t last, int64_t* after);
  absl::Status FindCursor(const std::vector<Segment>& segments);
  // Either onwards, ids in (after, last], or newest first, behind cursor_.
  absl::Status ReadSegment(const Segment& segment, bool newest_first, int64_t after, int64_t last,
                           size_t max_rows, std::vector<v1::LogRow>* rows);

  std::unique_ptr<store::Database> database_;
  const LogFilter filter_;
  // (time, id) of the last row given: the next page lies before it.
  std::optional<std::pair<int64_t, int64_t>> cursor_;
};

}  // namespace whence::access_log

#endif  // WHENCE_CONTROLPLANE_ACCESS_LOG_LOG_READER_H_
