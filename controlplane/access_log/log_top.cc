#include "controlplane/access_log/log_top.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "controlplane/access_log/segments.h"
#include "controlplane/store/database.h"

namespace whence::access_log {
namespace {

using store::ComposedSql;

constexpr size_t kMaxKeys = 200000;
constexpr uint32_t kDefaultLimit = 20;
constexpr uint32_t kMaxLimit = 10000;

// Columns: address, agent's id, policy, then what is summed. Gap records are no accesses. Bytes are
// added as floating point: a sum of integers that overflows is an error, and what an agent counted
// may be anything. It is exact up to 9 PB, and beyond the cast stops at the largest number.
ComposedSql GroupSql(v1::TopQuery::By by, uint64_t segment) {
  auto sums = [segment](store::Sql keys) {
    return ComposedSql(keys)
        .Append(
            ", count(*), sum(decision = 2), cast(total(bytes_in) as integer), "
            "cast(total(bytes_out) as integer), max(time_us) from segment_")
        .Append(segment)
        .Append(" where time_us >= ?1 and time_us < ?2 and dropped = 0");
  };
  switch (by) {
    case v1::TopQuery::PEERS:
      return sums("select peer, null, null").Append(" group by peer");
    case v1::TopQuery::WORKLOADS:
      return sums("select null, agent_id, null").Append(" group by agent_id");
    case v1::TopQuery::DENIED:
      return sums("select client, agent_id, policy")
          .Append(" and decision = 2 group by client, agent_id, policy");
    default:
      return sums("select client, null, null").Append(" group by client");
  }
}

uint64_t SumOf(uint64_t a, uint64_t b) {
  constexpr uint64_t kMax = std::numeric_limits<int64_t>::max();
  return a > kMax - std::min(b, kMax) ? kMax : a + b;
}

class Counter {
 public:
  Counter(store::Database& database, const v1::TopQuery& query)
      : database_(database),
        query_(query),
        until_us_(query.until_us() > 0 ? query.until_us() : std::numeric_limits<int64_t>::max()) {}

  absl::Status Add(const Segment& segment) {
    if (segment.max_time_us < query_.since_us() || segment.min_time_us >= until_us_) {
      return absl::OkStatus();
    }
    absl::StatusOr<store::Statement> select =
        database_.Prepare(GroupSql(query_.by(), segment.number), "count access records");
    // Dropped by retention since the list was read: its records are not there any more.
    if (select.status().code() == absl::StatusCode::kInternal) return absl::OkStatus();
    if (!select.ok()) return select.status();
    select->BindAll(query_.since_us(), until_us_);
    while (true) {
      absl::StatusOr<bool> row = select->Step();
      if (!row.ok()) return row.status();
      if (!*row) return absl::OkStatus();
      if (absl::Status status = AddRow(*select); !status.ok()) return status;
    }
  }

  v1::TopResponse Finish() {
    uint32_t limit = query_.limit() == 0 ? kDefaultLimit : std::min(query_.limit(), kMaxLimit);
    std::vector<v1::TopRow> rows;
    for (auto& [key, row] : rows_) rows.push_back(std::move(row));
    std::sort(rows.begin(), rows.end(), [](const v1::TopRow& a, const v1::TopRow& b) {
      return std::tuple(b.accesses(), b.last_us(), a.address(), a.workload(), a.policy()) <
             std::tuple(a.accesses(), a.last_us(), b.address(), b.workload(), b.policy());
    });
    if (rows.size() > limit) rows.resize(limit);
    v1::TopResponse response;
    for (v1::TopRow& row : rows) *response.add_rows() = std::move(row);
    response.set_total(total_);
    response.set_others(others_);
    return response;
  }

 private:
  absl::Status AddRow(const store::Statement& group) {
    auto number = [&group](int column) { return static_cast<uint64_t>(group.Int(column)); };
    total_ += number(3);
    std::string workload;
    if (!group.IsNull(1)) {
      absl::StatusOr<std::string> name = WorkloadOf(group.Int(1));
      if (!name.ok()) return name.status();
      workload = *std::move(name);
    }
    std::string key = std::string(group.Text(0)) + '\0' + workload + '\0';
    key += group.Text(2);
    auto found = rows_.find(key);
    if (found == rows_.end()) {
      if (rows_.size() >= kMaxKeys) {
        others_ += number(3);
        return absl::OkStatus();
      }
      found = rows_.emplace(std::move(key), v1::TopRow()).first;
      found->second.set_address(std::string(group.Text(0)));
      found->second.set_workload(workload);
      found->second.set_policy(std::string(group.Text(2)));
    }
    v1::TopRow& row = found->second;
    row.set_accesses(row.accesses() + number(3));
    row.set_denied(row.denied() + number(4));
    row.set_bytes_in(SumOf(row.bytes_in(), number(5)));
    row.set_bytes_out(SumOf(row.bytes_out(), number(6)));
    row.set_last_us(std::max(row.last_us(), group.Int(7)));
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> WorkloadOf(int64_t agent_id) {
    auto known = names_.find(agent_id);
    if (known != names_.end()) return known->second;
    absl::StatusOr<store::Statement> select =
        database_.Prepare("select agent from agents where id = ?1", "name an agent");
    if (!select.ok()) return select.status();
    select->Bind(1, agent_id);
    absl::StatusOr<bool> row = select->Step();
    if (!row.ok()) return row.status();
    return names_[agent_id] = *row ? std::string(select->Text(0)) : "";
  }

  store::Database& database_;
  const v1::TopQuery& query_;
  const int64_t until_us_;
  std::unordered_map<std::string, v1::TopRow> rows_;
  std::unordered_map<int64_t, std::string> names_;
  uint64_t total_ = 0;
  uint64_t others_ = 0;
};

}  // namespace

absl::StatusOr<v1::TopResponse> CountTop(const std::string& path, const v1::TopQuery& query,
                                         std::chrono::steady_clock::time_point deadline,
                                         const std::atomic<bool>& cancelled) {
  absl::StatusOr<std::unique_ptr<store::Database>> database =
      store::Database::Open(path, {.read_only = true});
  if (!database.ok()) return database.status();
  (*database)->SetDeadline(deadline);
  absl::StatusOr<std::vector<Segment>> segments = ReadSegments(**database);
  if (!segments.ok()) return segments.status();
  Counter counter(**database, query);
  for (const Segment& segment : *segments) {
    if (cancelled.load(std::memory_order_relaxed)) return absl::CancelledError("cancelled");
    absl::Status status = counter.Add(segment);
    if (std::chrono::steady_clock::now() >= deadline) {
      return absl::DeadlineExceededError("counting takes too long: ask for a shorter time");
    }
    if (!status.ok()) return status;
  }
  return counter.Finish();
}

}  // namespace whence::access_log
