#include "controlplane/access_log/log_reader.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/strings.h"
#include "controlplane/access_log/text.h"

namespace whence::access_log {
namespace {

using store::ComposedSql;

std::string_view BytesOf(const net::IpAddress::Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// All parameters are numbered and ?1..?11 always exist (?11 is the limit), so that the same
// bindings fit whichever conditions are in.
ComposedSql SelectSql(const LogFilter& filter, uint64_t segment, bool newest_first,
                      bool has_cursor) {
  ComposedSql sql(R"sql(select s.id, a.agent, a.workload, a.namespace, a.node, a.role, s.time_us,
      s.protocol, s.client, s.client_reason, s.peer, s.peer_port, s.forwarded_for, s.external,
      s.destination, s.destination_port, s.upstream, s.method, s.host, s.path, s.status, s.decision,
      s.policy, s.bytes_in, s.bytes_out, s.duration_us, s.flags, s.request_id, s.dropped
      from segment_)sql",
                  segment);
  sql.Append(
      " as s join agents as a on a.id = s.agent_id where s.time_us >= ?7 and s.time_us < ?8");
  if (filter.client) sql.Append(" and s.client between ?1 and ?2");
  if (filter.peer) sql.Append(" and s.peer between ?3 and ?4");
  if (!filter.workload.empty()) {
    sql.Append(" and s.agent_id in (select id from agents where agent = ?5)");
  }
  if (filter.decision != v1::DECISION_UNSPECIFIED) sql.Append(" and s.decision = ?6");
  if (!newest_first) return sql.Append(" and s.id > ?10 order by s.id limit ?11");
  if (has_cursor) sql.Append(" and (s.time_us, s.id) < (?9, ?10)");
  return sql.Append(" order by s.time_us desc, s.id desc limit ?11");
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
  record.set_protocol(text(7));
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
  record.set_request_id(raw(27));
  record.set_dropped(number(28));
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
      : database_(database), status_(database.Execute("begin", "begin to read")) {}
  ~Snapshot() {
    if (status_.ok()) (void)database_.Execute("rollback", "end reading");
  }
  const absl::Status& status() const { return status_; }

 private:
  store::Database& database_;
  absl::Status status_;
};

}  // namespace

absl::StatusOr<LogFilter> ReadLogQuery(const v1::LogQuery& query) {
  LogFilter filter;
  std::vector<std::string> faults;
  auto cidr = [&faults](const char* field, const std::string& text, std::optional<net::Cidr>* out) {
    if (text.empty()) return;
    absl::StatusOr<net::Cidr> parsed = net::Cidr::Parse(text);
    if (parsed.ok()) {
      *out = *parsed;
    } else {
      faults.push_back(absl::StrCat(field, ": ", parsed.status().message()));
    }
  };
  cidr("client_cidr", query.client_cidr(), &filter.client);
  cidr("peer_cidr", query.peer_cidr(), &filter.peer);
  filter.workload = query.workload();
  if (!filter.workload.empty() && filter.workload.find('/') == std::string::npos) {
    faults.push_back("workload: must be \"namespace/name\"");
  }
  if (query.decision() == "allow") {
    filter.decision = v1::ALLOW_DECISION;
  } else if (query.decision() == "deny") {
    filter.decision = v1::DENY_DECISION;
  } else if (query.decision() == "dry-run-deny") {
    filter.decision = v1::DRY_RUN_DENY_DECISION;
  } else if (!query.decision().empty()) {
    faults.push_back("decision: must be allow, deny or dry-run-deny");
  }
  filter.since_us = std::max<int64_t>(query.since_us(), 0);
  if (query.until_us() > 0) filter.until_us = query.until_us();
  if (!faults.empty()) return absl::InvalidArgumentError(absl::StrJoin(faults, "; "));
  return filter;
}

absl::StatusOr<std::unique_ptr<LogReader>> LogReader::Open(const std::string& path,
                                                           LogFilter filter) {
  absl::StatusOr<std::unique_ptr<store::Database>> database =
      store::Database::Open(path, {.read_only = true});
  if (!database.ok()) return database.status();
  return std::unique_ptr<LogReader>(new LogReader(*std::move(database), std::move(filter)));
}

absl::StatusOr<std::vector<v1::LogRow>> LogReader::NextPage(size_t max_rows) {
  Snapshot snapshot(*database_);
  if (!snapshot.status().ok()) return snapshot.status();
  return ReadPage(max_rows);
}

absl::StatusOr<std::vector<v1::LogRow>> LogReader::ReadPage(size_t max_rows) {
  absl::StatusOr<std::vector<Segment>> segments = ReadSegments(*database_);
  if (!segments.ok()) return segments.status();
  std::sort(segments->begin(), segments->end(),
            [](const Segment& a, const Segment& b) { return a.max_time_us > b.max_time_us; });
  std::vector<v1::LogRow> page;
  for (const Segment& segment : *segments) {
    if (segment.rows == 0) continue;
    // Agents report late now and then, so segments overlap a little in time; a page is complete
    // when no further segment can hold a row newer than its last.
    bool is_full = page.size() >= max_rows;
    if (is_full && segment.max_time_us < page.back().record().time_us()) break;
    if (segment.max_time_us < filter_.since_us || segment.min_time_us >= filter_.until_us) continue;
    if (cursor_ && segment.min_time_us > cursor_->first) continue;
    absl::Status status = ReadSegment(segment, true, 0, max_rows, &page);
    if (!status.ok()) return status;
    std::sort(page.begin(), page.end(), IsNewer);
    if (page.size() > max_rows) page.resize(max_rows);
  }
  if (!page.empty()) cursor_ = {page.back().record().time_us(), page.back().id()};
  return page;
}

absl::StatusOr<std::vector<v1::LogRow>> LogReader::After(size_t max_rows, int64_t* after) {
  Snapshot snapshot(*database_);
  if (!snapshot.status().ok()) return snapshot.status();
  return ReadAfter(max_rows, after);
}

absl::StatusOr<std::vector<v1::LogRow>> LogReader::ReadAfter(size_t max_rows, int64_t* after) {
  absl::StatusOr<std::vector<Segment>> segments = ReadSegments(*database_);
  if (!segments.ok()) return segments.status();
  std::vector<v1::LogRow> rows;
  for (const Segment& segment : *segments) {
    if (segment.rows == 0 || segment.first_id + segment.rows - 1 <= *after) continue;
    if (rows.size() >= max_rows) break;
    if (segment.max_time_us < filter_.since_us || segment.min_time_us >= filter_.until_us) continue;
    absl::Status status = ReadSegment(segment, false, *after, max_rows - rows.size(), &rows);
    if (!status.ok()) return status;
  }
  if (rows.size() >= max_rows) {
    *after = rows.back().id();
  } else if (!segments->empty()) {
    *after = segments->back().first_id + segments->back().rows - 1;
  }
  return rows;
}

absl::StatusOr<int64_t> LogReader::NewestId() {
  absl::StatusOr<std::vector<Segment>> segments = ReadSegments(*database_);
  if (!segments.ok()) return segments.status();
  return segments->empty() ? 0 : segments->back().first_id + segments->back().rows - 1;
}

absl::Status LogReader::ReadSegment(const Segment& segment, bool newest_first, int64_t after,
                                    size_t max_rows, std::vector<v1::LogRow>* rows) {
  absl::StatusOr<store::Statement> select = database_->Prepare(
      SelectSql(filter_, segment.number, newest_first, cursor_.has_value()), "read access records");
  if (!select.ok()) return select.status();
  net::IpAddress client_last, peer_last;  // Must live as long as the bindings.
  if (filter_.client) {
    client_last = filter_.client->last();
    select->Bind(1, store::Blob{BytesOf(filter_.client->network().bytes())});
    select->Bind(2, store::Blob{BytesOf(client_last.bytes())});
  }
  if (filter_.peer) {
    peer_last = filter_.peer->last();
    select->Bind(3, store::Blob{BytesOf(filter_.peer->network().bytes())});
    select->Bind(4, store::Blob{BytesOf(peer_last.bytes())});
  }
  select->Bind(5, std::string_view(filter_.workload));
  select->Bind(6, static_cast<int64_t>(filter_.decision));
  select->Bind(7, filter_.since_us);
  select->Bind(8, filter_.until_us);
  if (cursor_) select->Bind(9, cursor_->first);
  select->Bind(10, newest_first && cursor_ ? cursor_->second : after);
  select->Bind(11, static_cast<int64_t>(max_rows));
  while (true) {
    absl::StatusOr<bool> row = select->Step();
    if (!row.ok()) return row.status();
    if (!*row) return absl::OkStatus();
    rows->push_back(ReadRow(*select));
  }
}

}  // namespace whence::access_log
