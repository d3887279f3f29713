#include "controlplane/access_log/log_filter.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "controlplane/access_log/row.h"
#include "controlplane/access_log/text.h"

namespace whence::access_log {
namespace {

store::Blob BytesOf(const net::IpAddress& address) {
  const net::IpAddress::Bytes& bytes = address.bytes();
  return {{reinterpret_cast<const char*>(bytes.data()), bytes.size()}};
}

void ReadCidr(const char* field, const std::string& text, std::optional<net::Cidr>* out,
              std::vector<std::string>* faults) {
  if (text.empty()) return;
  absl::StatusOr<net::Cidr> parsed = net::Cidr::Parse(text);
  if (parsed.ok()) {
    *out = *parsed;
  } else {
    faults->push_back(absl::StrCat(field, ": ", parsed.status().message()));
  }
}

void ReadDecision(const std::string& text, v1::Decision* out, std::vector<std::string>* faults) {
  if (text == "allow") {
    *out = v1::ALLOW_DECISION;
  } else if (text == "deny") {
    *out = v1::DENY_DECISION;
  } else if (text == "dry-run-deny") {
    *out = v1::DRY_RUN_DENY_DECISION;
  } else if (!text.empty()) {
    faults->push_back("decision: must be allow, deny or dry-run-deny");
  }
}

}  // namespace

absl::StatusOr<LogFilter> ReadLogQuery(const v1::LogQuery& query) {
  LogFilter filter;
  std::vector<std::string> faults;
  ReadCidr("client_cidr", query.client_cidr(), &filter.client, &faults);
  ReadCidr("peer_cidr", query.peer_cidr(), &filter.peer, &faults);
  filter.workload = query.workload();
  if (!filter.workload.empty() && filter.workload.find('/') == std::string::npos) {
    faults.push_back("workload: must be \"namespace/name\"");
  }
  ReadDecision(query.decision(), &filter.decision, &faults);
  filter.since_us = std::max<int64_t>(query.since_us(), 0);
  if (query.until_us() > 0) filter.until_us = query.until_us();
  filter.id = std::max<int64_t>(query.id(), 0);
  filter.before_id = std::max<int64_t>(query.before_id(), 0);
  filter.status = query.status();
  if (const auto uuid = PackUuid(query.request_id()))
    filter.uuid.assign(uuid->data(), uuid->size());
  filter.request_id = Escape(query.request_id(), kMaxWordBytes);
  filter.host = Escape(query.host(), kMaxTextBytes);
  filter.path_prefix = Escape(query.path_prefix(), kMaxTextBytes);
  filter.method = Escape(query.method(), kMaxWordBytes);
  filter.policy = query.policy();
  const bool onwards = query.follow() || query.oldest_first();
  if (onwards && filter.before_id > 0) {
    faults.push_back("before_id: pages go back in time; not with follow or oldest_first");
  }
  if (query.follow() && query.oldest_first()) faults.push_back("oldest_first: not with follow");
  if (!faults.empty()) return absl::InvalidArgumentError(absl::StrJoin(faults, "; "));
  return filter;
}

void AppendConditions(const LogFilter& filter, store::ComposedSql* sql) {
  sql->Append(" and s.time_us >= ?7 and s.time_us < ?8");
  if (filter.client) sql->Append(" and s.client between ?1 and ?2");
  if (filter.peer) sql->Append(" and s.peer between ?3 and ?4");
  if (!filter.workload.empty()) {
    sql->Append(" and s.agent_id in (select id from agents where agent = ?5)");
  }
  if (filter.decision != v1::DECISION_UNSPECIFIED) sql->Append(" and s.decision = ?6");
  if (filter.id > 0) sql->Append(" and s.id = ?9");
  if (filter.status > 0) sql->Append(" and s.status = ?10");
  if (!filter.request_id.empty()) sql->Append(" and s.request_id in (?11, ?16)");
  if (!filter.host.empty()) sql->Append(" and s.host = ?12 collate nocase");
  // Not LIKE: a prefix has no wildcards.
  if (!filter.path_prefix.empty()) sql->Append(" and substr(s.path, 1, length(?13)) = ?13");
  if (!filter.method.empty()) sql->Append(" and s.method = ?14");
  if (!filter.policy.empty()) sql->Append(" and s.policy = ?15");
}

FilterBounds::FilterBounds(const LogFilter& filter) {
  if (filter.client) client_last = filter.client->last();
  if (filter.peer) peer_last = filter.peer->last();
}

void BindFilter(const LogFilter& filter, const FilterBounds& bounds, store::Statement& statement) {
  if (filter.client) {
    statement.Bind(1, BytesOf(filter.client->network()));
    statement.Bind(2, BytesOf(bounds.client_last));
  }
  if (filter.peer) {
    statement.Bind(3, BytesOf(filter.peer->network()));
    statement.Bind(4, BytesOf(bounds.peer_last));
  }
  statement.Bind(5, std::string_view(filter.workload));
  statement.Bind(6, static_cast<int64_t>(filter.decision));
  statement.Bind(7, filter.since_us);
  statement.Bind(8, filter.until_us);
  statement.Bind(9, filter.id);
  statement.Bind(10, static_cast<int64_t>(filter.status));
  statement.Bind(11, std::string_view(filter.request_id));
  statement.Bind(12, std::string_view(filter.host));
  statement.Bind(13, std::string_view(filter.path_prefix));
  statement.Bind(14, std::string_view(filter.method));
  statement.Bind(15, std::string_view(filter.policy));
  if (!filter.uuid.empty()) statement.Bind(16, store::Blob{filter.uuid});
}

}  // namespace whence::access_log
