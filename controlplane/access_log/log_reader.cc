#include "controlplane/access_log/log_reader.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "controlplane/access_log/row.h"
#include "controlplane/access_log/text.h"

namespace whence::access_log {
namespace {

using store::ComposedSql;

// A page is to be there before anybody gives up waiting for it; and while it is read, the
// write-ahead log cannot be checked in.
constexpr std::chrono::seconds kPageDeadline(10);
// Onwards, what one page looks at, whatever it finds.
constexpr int64_t kIdsPerPage = 200000;

enum Parameter { kCursorTime = kFirstOwnParameter, kCursorId, kLastId, kLimit };

ComposedSql SelectSql(const LogFilter& filter, uint64_t segment, bool newest_first,
                      bool has_cursor) {
  ComposedSql sql(R"sql(select s.id, a.agent, a.workload, a.namespace, a.node, a.role, s.time_us,
      s.protocol, s.client, s.client_reason, s.peer, s.peer_port, s.forwarded_for, s.external,
      s.destination, s.destination_port, s.upstream, s.method, s.host, s.path, s.status, s.decision,
      s.policy, s.bytes_in, s.bytes_out, s.duration_us, s.flags, s.request_id, s.dropped,
      s.proxy_tlvs
      from segment_)sql",
                  segment);
  sql.Append(" as s join agents as a on a.id = s.agent_id where true");
  AppendConditions(filter, &sql);
  if (!newest_first) return sql.Append(" and s.id > ?21 and s.id <= ?22 order by s.id limit ?23");
  if (has_cursor) sql.Append(" and (s.time_us, s.id) < (?20, ?21)");
  return sql.Append(" order by s.time_us desc, s.id desc limit ?23");
}

v1::LogRow ReadRow(const store::Statement& row) {
  auto text = [&row](int column) { return std::string(row.Text(column)); };
  auto raw = [&row](int column) { return Unescape(row.Text(column)); };
  auto number = [&row](int column) { return static_cast<uint64_t>(row.Int(column)); };
  v1::LogRow out;
  out.set_id(row.Int(0));
  out.set_agent(text(1));
  out.set_workload(text(2));
  out.set_namespace_(text(3));
  out.set_node(text(4));
  out.set_role(text(5));
  v1::AccessRecord& record = *out.mutable_record();
  record.set_time_us(row.Int(6));
  record.set_protocol(row.IsInt(7) ? std::string(ProtocolOf(row.Int(7))) : text(7));
  record.set_client_address(text(8));
  record.set_client_reason(text(9));
  record.set_direct_peer(text(10));
  record.set_direct_peer_port(static_cast<uint32_t>(row.Int(11)));
  record.set_forwarded_for(raw(12));
  record.set_external_address(text(13));
  record.set_destination(text(14));
  record.set_destination_port(static_cast<uint32_t>(row.Int(15)));
  record.set_upstream_source(text(16));
  record.set_method(raw(17));
  record.set_host(raw(18));
  record.set_path(raw(19));
  record.set_status(static_cast<uint32_t>(row.Int(20)));
  record.set_decision(static_cast<v1::Decision>(row.Int(21)));
  record.set_policy(text(22));
  record.set_bytes_in(number(23));
  record.set_bytes_out(number(24));
  record.set_duration_us(number(25));
  record.set_flags(text(26));
  record.set_request_id(row.IsBlob(27) ? UnpackUuid(row.Text(27)) : raw(27));
  record.set_dropped(number(28));
  record.set_proxy_tlvs(raw(29));
  return out;
}

bool IsNewer(const v1::LogRow& a, const v1::LogRow& b) {
  if (a.record().time_us() != b.record().time_us()) {
    return a.record().time_us() > b.record().time_us();
  }
  return a.id() > b.id();
}

// A read transaction; ends with the scope.
class Snapshot {
 public:
  explicit Snapshot(store::Database& database)
      : database_(database), status_(database.Execute("begin", "begin to read")) {
    database.SetDeadline(std::chrono::steady_clock::now() + kPageDeadline);
  }
  ~Snapshot() {
    if (status_.ok()) (void)database_.Execute("rollback", "end reading");
  }
  const absl::Status& status() const { return status_; }

 private:
  store::Database& database_;
  absl::Status status_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<LogReader>> LogReader::Open(const std::string& path,
                                                           LogFilter filter) {
  absl::StatusOr<std::unique_ptr<store::Database>> database =
      store::Database::Open(path, {.read_only = true});
  if (!database.ok()) return database.status();
  return std::unique_ptr<LogReader>(new LogReader(*std::move(database), std::move(filter)));
}

absl::StatusOr<LogPage> LogReader::NextPage(size_t max_rows) {
  Snapshot snapshot(*database_);
  if (!snapshot.status().ok()) return snapshot.status();
  return ReadPage(max_rows);
}

absl::Status LogReader::FindCursor(const std::vector<Segment>& segments) {
  for (const Segment& segment : segments) {
    if (!segment.HasId(filter_.before_id)) continue;
    absl::StatusOr<store::Statement> select = database_->Prepare(
        ComposedSql("select time_us from segment_", segment.number).Append(" where id = ?1"),
        "find a record");
    if (!select.ok()) return select.status();
    select->Bind(1, filter_.before_id);
    absl::StatusOr<bool> row = select->Step();
    if (!row.ok()) return row.status();
    if (!*row) break;
    cursor_ = {select->Int(0), filter_.before_id};
    return absl::OkStatus();
  }
  return absl::NotFoundError(
      absl::StrCat("before_id: there is no record ", filter_.before_id, " (any more)"));
}

absl::StatusOr<LogPage> LogReader::ReadPage(size_t max_rows) {
  absl::StatusOr<std::vector<Segment>> segments = ReadSegments(*database_);
  if (!segments.ok()) return segments.status();
  if (filter_.before_id > 0 && !cursor_) {
    if (absl::Status status = FindCursor(*segments); !status.ok()) return status;
  }
  std::sort(segments->begin(), segments->end(),
            [](const Segment& a, const Segment& b) { return a.max_time_us > b.max_time_us; });
  LogPage page;
  for (const Segment& segment : *segments) {
    if (segment.rows == 0 || (filter_.id > 0 && !segment.HasId(filter_.id))) continue;
    // Agents report late now and then, so segments overlap a little in time; a page is complete
    // when no further segment can hold a row newer than its last.
    bool is_full = page.rows.size() >= max_rows;
    if (is_full && segment.max_time_us < page.rows.back().record().time_us()) break;
    if (segment.max_time_us < filter_.since_us || segment.min_time_us >= filter_.until_us) continue;
    if (cursor_ && segment.min_time_us > cursor_->first) continue;
    absl::Status status = ReadSegment(segment, true, 0, 0, max_rows, &page.rows);
    if (!status.ok()) return status;
    std::sort(page.rows.begin(), page.rows.end(), IsNewer);
    if (page.rows.size() > max_rows) page.rows.resize(max_rows);
  }
  page.at_end = page.rows.size() < max_rows;
  if (!page.rows.empty()) cursor_ = {page.rows.back().record().time_us(), page.rows.back().id()};
  return page;
}

absl::StatusOr<LogPage> LogReader::After(size_t max_rows, int64_t last, int64_t* after) {
  Snapshot snapshot(*database_);
  if (!snapshot.status().ok()) return snapshot.status();
  return ReadAfter(max_rows, last, after);
}

absl::StatusOr<LogPage> LogReader::ReadAfter(size_t max_rows, int64_t last, int64_t* after) {
  absl::StatusOr<std::vector<Segment>> segments = ReadSegments(*database_);
  if (!segments.ok()) return segments.status();
  if (segments->empty()) return LogPage{.at_end = true};
  last = std::min(last, segments->back().last_id());
  const int64_t first = std::max(*after, segments->front().first_id - 1);
  const int64_t up_to = std::min(last, first + kIdsPerPage);
  LogPage page;
  for (const Segment& segment : *segments) {
    if (segment.rows == 0 || segment.last_id() <= first || segment.first_id > up_to) continue;
    if (page.rows.size() >= max_rows) break;
    if (filter_.id > 0 && !segment.HasId(filter_.id)) continue;
    if (segment.max_time_us < filter_.since_us || segment.min_time_us >= filter_.until_us) continue;
    absl::Status status =
        ReadSegment(segment, false, first, up_to, max_rows - page.rows.size(), &page.rows);
    if (!status.ok()) return status;
  }
  *after = std::max(*after, page.rows.size() >= max_rows ? page.rows.back().id() : up_to);
  page.at_end = *after >= last;
  return page;
}

absl::StatusOr<std::pair<int64_t, int64_t>> LogReader::Extent() {
  absl::StatusOr<std::vector<Segment>> segments = ReadSegments(*database_);
  if (!segments.ok()) return segments.status();
  if (segments->empty()) return std::pair<int64_t, int64_t>(1, 0);
  return std::pair(segments->front().first_id, segments->back().last_id());
}

absl::Status LogReader::ReadSegment(const Segment& segment, bool newest_first, int64_t after,
                                    int64_t last, size_t max_rows, std::vector<v1::LogRow>* rows) {
  absl::StatusOr<store::Statement> select = database_->Prepare(
      SelectSql(filter_, segment.number, newest_first, cursor_.has_value()), "read access records");
  if (!select.ok()) return select.status();
  const FilterBounds bounds(filter_);  // Must live as long as the bindings.
  BindFilter(filter_, bounds, *select);
  if (cursor_) select->Bind(kCursorTime, cursor_->first);
  select->Bind(kCursorId, newest_first && cursor_ ? cursor_->second : after);
  select->Bind(kLastId, last);
  select->Bind(kLimit, static_cast<int64_t>(max_rows));
  while (true) {
    absl::StatusOr<bool> row = select->Step();
    if (!row.ok()) return row.status();
    if (!*row) return absl::OkStatus();
    rows->push_back(ReadRow(*select));
  }
}

}  // namespace whence::access_log
