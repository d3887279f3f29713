#include "controlplane/ctl/log_line.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/escaping.h"
#include "common/net/ip_address.h"
#include "controlplane/ctl/text.h"

namespace whence::ctl {
namespace {

std::string DecisionName(v1::Decision decision) {
  switch (decision) {
    case v1::ALLOW_DECISION:
      return "allow";
    case v1::DENY_DECISION:
      return "deny";
    case v1::DRY_RUN_DENY_DECISION:
      return "dry-run-deny";
    default:
      return "";
  }
}

}  // namespace

void JsonLine::Text(const char* name, const std::string& value) {
  Name(name);
  text_ += JsonString(value);
  if (IsUtf8(value)) return;
  Name(std::string(name) + "_base64");
  text_ += JsonString(absl::Base64Escape(value));
}

void JsonLine::Optional(const char* name, const std::string& value) {
  if (!value.empty()) return Text(name, value);
  Name(name);
  text_ += "null";
}

void JsonLine::Number(const char* name, uint64_t value) {
  Name(name);
  text_ += std::to_string(value);
}

void JsonLine::Name(const std::string& name) {
  text_ += text_.empty() ? "{" : ",";
  text_ += "\"" + name + "\":";
}

std::string AddressText(const std::string& bytes) {
  net::IpAddress::Bytes address{};
  if (bytes.size() != address.size()) return "";
  std::copy(bytes.begin(), bytes.end(), address.begin());
  return net::IpAddress::FromV6(address).ToString();
}

int64_t NowMicroseconds() {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

v1::LogQuery QueryOf(const LogSelection& selection) {
  v1::LogQuery query = selection.query;
  const int64_t now = NowMicroseconds();
  if (selection.since_span_us) query.set_since_us(now - *selection.since_span_us);
  if (selection.until_span_us) query.set_until_us(now - *selection.until_span_us);
  return query;
}

std::vector<std::string> LogColumns() {
  return {"time",
          "agent",
          "workload",
          "namespace",
          "node",
          "role",
          "protocol",
          "client_address",
          "client_reason",
          "direct_peer",
          "direct_peer_port",
          "forwarded_for",
          "external_address",
          "destination",
          "destination_port",
          "upstream_source",
          "method",
          "host",
          "path",
          "status",
          "decision",
          "policy",
          "bytes_in",
          "bytes_out",
          "duration_us",
          "flags",
          "request_id",
          "dropped",
          "proxy_tlvs"};
}

std::vector<std::string> LogValues(const v1::LogRow& row) {
  const v1::AccessRecord& record = row.record();
  return {TimeText(record.time_us()),
          row.agent(),
          row.workload(),
          row.namespace_(),
          row.node(),
          row.role(),
          record.protocol(),
          AddressText(record.client_address()),
          record.client_reason(),
          AddressText(record.direct_peer()),
          std::to_string(record.direct_peer_port()),
          record.forwarded_for(),
          AddressText(record.external_address()),
          AddressText(record.destination()),
          std::to_string(record.destination_port()),
          AddressText(record.upstream_source()),
          record.method(),
          record.host(),
          record.path(),
          record.status() == 0 ? "" : std::to_string(record.status()),
          DecisionName(record.decision()),
          record.policy(),
          std::to_string(record.bytes_in()),
          std::to_string(record.bytes_out()),
          std::to_string(record.duration_us()),
          record.flags(),
          record.request_id(),
          std::to_string(record.dropped()),
          record.proxy_tlvs()};
}

std::vector<std::string> LogHeadings() {
  return {"TIME", "CLIENT", "WHY",      "PEER",   "METHOD",   "HOST",
          "PATH", "STATUS", "DECISION", "POLICY", "WORKLOAD", "TOOK"};
}

std::vector<size_t> LogWidths() { return {24, 15, 17, 15, 8, 18, 24, 6, 12, 20, 20, 6}; }

std::vector<std::string> LogCells(const v1::LogRow& row) {
  const v1::AccessRecord& record = row.record();
  if (record.dropped() > 0) {
    return {TimeText(record.time_us()),
            std::to_string(record.dropped()) + " records were lost here, of agent " + row.agent()};
  }
  // Milliseconds are enough to read; JSON has them all.
  return {TimeText(record.time_us()).substr(0, 23) + "Z",
          AddressText(record.client_address()),
          record.client_reason(),
          AddressText(record.direct_peer()),
          record.method().empty() ? record.protocol() : record.method(),
          record.host().empty()
              ? AddressText(record.destination()) + ":" + std::to_string(record.destination_port())
              : record.host(),
          record.path(),
          record.status() == 0 ? "" : std::to_string(record.status()),
          DecisionName(record.decision()),
          record.policy(),
          row.namespace_() + "/" + row.workload(),
          SpanText(static_cast<int64_t>(record.duration_us()))};
}

std::string LogJson(const v1::LogRow& row) {
  const v1::AccessRecord& record = row.record();
  JsonLine line;
  line.Number("id", static_cast<uint64_t>(row.id()));
  line.Text("time", TimeText(record.time_us()));
  line.Text("agent", row.agent());
  line.Text("workload", row.workload());
  line.Text("namespace", row.namespace_());
  line.Text("node", row.node());
  line.Text("role", row.role());
  line.Text("protocol", record.protocol());
  line.Optional("client_address", AddressText(record.client_address()));
  line.Text("client_reason", record.client_reason());
  line.Optional("direct_peer", AddressText(record.direct_peer()));
  line.Number("direct_peer_port", record.direct_peer_port());
  line.Optional("forwarded_for", record.forwarded_for());
  line.Optional("external_address", AddressText(record.external_address()));
  line.Optional("destination", AddressText(record.destination()));
  line.Number("destination_port", record.destination_port());
  line.Optional("upstream_source", AddressText(record.upstream_source()));
  line.Optional("method", record.method());
  line.Optional("host", record.host());
  line.Optional("path", record.path());
  line.Number("status", record.status());
  line.Text("decision", DecisionName(record.decision()));
  line.Optional("policy", record.policy());
  line.Number("bytes_in", record.bytes_in());
  line.Number("bytes_out", record.bytes_out());
  line.Number("duration_us", record.duration_us());
  line.Text("flags", record.flags());
  line.Optional("request_id", record.request_id());
  line.Optional("proxy_tlvs", record.proxy_tlvs());
  if (record.dropped() > 0) line.Number("dropped", record.dropped());
  return line.Finish();
}

}  // namespace whence::ctl
