#include "controlplane/ctl/log_line.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "common/net/ip_address.h"
#include "controlplane/ctl/text.h"

namespace whence::ctl {
namespace {

// 16 bytes, IPv4 in mapped form; anything else is no address.
std::string AddressText(const std::string& bytes) {
  net::IpAddress::Bytes address{};
  if (bytes.size() != address.size()) return "";
  std::copy(bytes.begin(), bytes.end(), address.begin());
  return net::IpAddress::FromV6(address).ToString();
}

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

class JsonLine {
 public:
  void Text(const char* name, const std::string& value) {
    Name(name);
    text_ += JsonString(value);
    if (IsUtf8(value)) return;
    Name((std::string(name) + "_base64").c_str());
    text_ += JsonString(absl::Base64Escape(value));
  }
  // Null where there is none: an empty string would be a value.
  void Optional(const char* name, const std::string& value) {
    if (!value.empty()) return Text(name, value);
    Name(name);
    text_ += "null";
  }
  void Number(const char* name, uint64_t value) {
    Name(name);
    text_ += std::to_string(value);
  }
  std::string Finish() { return text_ + "}\n"; }

 private:
  void Name(const char* name) {
    text_ += text_.empty() ? "{" : ",";
    text_ += "\"" + std::string(name) + "\":";
  }
  std::string text_;
};

}  // namespace

std::vector<std::string> LogHeadings() {
  return {"TIME", "CLIENT", "WHY",      "PEER",   "METHOD",   "HOST",
          "PATH", "STATUS", "DECISION", "POLICY", "WORKLOAD", "TOOK"};
}

std::vector<size_t> LogWidths() { return {24, 15, 17, 15, 6, 18, 24, 6, 8, 24, 24, 6}; }

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
  if (record.dropped() > 0) line.Number("dropped", record.dropped());
  return line.Finish();
}

}  // namespace whence::ctl
