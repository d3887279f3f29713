#include "controlplane/access_log/envoy_record.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "common/base/strings.h"
#include "common/net/ip_address.h"
#include "controlplane/access_log/text.h"

namespace whence::access_log {
namespace {

namespace accesslog = envoy::data::accesslog::v3;
using envoy::config::core::v3::Address;

constexpr size_t kMaxNameBytes = 250;
constexpr std::array<std::string_view, 10> kMethods = {
    "", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"};

std::optional<net::IpAddress> AddressOf(const Address& address) {
  return net::IpAddress::Parse(address.socket_address().address());
}

void SetAddress(std::optional<net::IpAddress> address, std::string* out) {
  if (!address || address->is_unspecified()) return;
  out->assign(address->bytes().begin(), address->bytes().end());
}

uint64_t Micros(const google::protobuf::Duration& duration) {
  const int64_t micros = std::clamp<int64_t>(duration.seconds(), 0, 1'000'000'000) * 1'000'000 +
                         duration.nanos() / 1000;
  return static_cast<uint64_t>(std::max<int64_t>(micros, 0));
}

// In the words of our own agents where they have one.
std::string FlagsOf(const accesslog::ResponseFlags& flags) {
  const std::pair<bool, std::string_view> named[] = {
      {flags.no_healthy_upstream() || flags.no_route_found(), "no-route"},
      {flags.upstream_connection_failure(), "upstream-connect-failed"},
      {flags.upstream_request_timeout(), "upstream-timeout"},
      {flags.upstream_remote_reset() || flags.upstream_connection_termination() ||
           flags.local_reset(),
       "upstream-reset"},
      {flags.downstream_connection_termination(), "downstream-reset"},
      {flags.downstream_protocol_error(), "downstream-protocol-error"},
      {flags.stream_idle_timeout(), "downstream-timeout"},
      {flags.upstream_overflow() || flags.rate_limited(), "overload"},
  };
  std::string text;
  for (const auto& [is_set, name] : named) {
    if (!is_set) continue;
    if (!text.empty()) text += ',';
    text += name;
  }
  return text;
}

v1::AccessRecord Common(const accesslog::AccessLogCommon& common, const Keeping& keeping) {
  v1::AccessRecord record;
  const int64_t seconds = std::clamp<int64_t>(common.start_time().seconds(), 0, 253402300799);
  record.set_time_us(seconds * 1'000'000 + common.start_time().nanos() / 1000);
  auto hidden = [&keeping](const Address& address) -> std::optional<net::IpAddress> {
    const std::optional<net::IpAddress> parsed = AddressOf(address);
    if (!parsed) return std::nullopt;
    return keeping.privacy.Hide(*parsed);
  };
  const Address& peer = common.has_downstream_direct_remote_address()
                            ? common.downstream_direct_remote_address()
                            : common.downstream_remote_address();
  SetAddress(hidden(common.downstream_remote_address()), record.mutable_client_address());
  record.set_client_reason("envoy");
  SetAddress(hidden(peer), record.mutable_direct_peer());
  record.set_direct_peer_port(peer.socket_address().port_value() & 0xffff);
  SetAddress(AddressOf(common.downstream_local_address()), record.mutable_destination());
  record.set_destination_port(common.downstream_local_address().socket_address().port_value() &
                              0xffff);
  SetAddress(hidden(common.upstream_local_address()), record.mutable_upstream_source());
  record.set_duration_us(
      Micros(common.has_duration() ? common.duration() : common.time_to_last_downstream_tx_byte()));
  record.set_flags(FlagsOf(common.response_flags()));
  record.set_decision(common.response_flags().has_unauthorized_details() ? v1::DENY_DECISION
                                                                         : v1::ALLOW_DECISION);
  return record;
}

// "rbac_access_denied_matched_policy[ns[shop]-policy[edge]-rule[0]]" -> deny, "shop/edge".
void ReadDetails(std::string_view details, v1::AccessRecord* record) {
  if (details.substr(0, 18) != "rbac_access_denied") return;
  record->set_decision(v1::DENY_DECISION);
  auto between = [details](std::string_view begin) -> std::string {
    const size_t at = details.find(begin);
    if (at == details.npos) return "";
    const std::string_view rest = details.substr(at + begin.size());
    return Escape(rest.substr(0, rest.find(']')), kMaxNameBytes);
  };
  const std::string name = between("]-policy[");
  if (!name.empty()) record->set_policy(between("[ns[") + "/" + name);
}

}  // namespace

v1::AccessRecord FromEnvoy(const accesslog::HTTPAccessLogEntry& entry, const Keeping& keeping) {
  v1::AccessRecord record = Common(entry.common_properties(), keeping);
  switch (entry.protocol_version()) {
    case accesslog::HTTPAccessLogEntry::HTTP10:
      record.set_protocol("http/1.0");
      break;
    case accesslog::HTTPAccessLogEntry::HTTP2:
      record.set_protocol("http/2");
      break;
    case accesslog::HTTPAccessLogEntry::HTTP3:
      record.set_protocol("http/3");
      break;
    default:
      record.set_protocol("http/1.1");
  }
  const accesslog::HTTPRequestProperties& request = entry.request();
  if (request.request_method() < kMethods.size()) {
    record.set_method(std::string(kMethods[request.request_method()]));
  }
  record.set_host(request.authority());
  record.set_path(keeping.keep_query ? request.path()
                                     : request.path().substr(0, request.path().find('?')));
  record.set_forwarded_for(keeping.privacy.hides()
                               ? keeping.privacy.HideList(request.forwarded_for())
                               : request.forwarded_for());
  record.set_request_id(request.request_id());
  record.set_bytes_in(request.request_headers_bytes() + request.request_body_bytes());
  const accesslog::HTTPResponseProperties& response = entry.response();
  record.set_status(response.response_code().value());
  record.set_bytes_out(response.response_headers_bytes() + response.response_body_bytes());
  ReadDetails(response.response_code_details(), &record);
  return record;
}

v1::AccessRecord FromEnvoy(const accesslog::TCPAccessLogEntry& entry, const Keeping& keeping) {
  v1::AccessRecord record = Common(entry.common_properties(), keeping);
  record.set_protocol("tcp");
  record.set_bytes_in(entry.connection_properties().received_bytes());
  record.set_bytes_out(entry.connection_properties().sent_bytes());
  return record;
}

absl::StatusOr<ReportingAgent> ReadEnvoyNode(
    const envoy::service::accesslog::v3::StreamAccessLogsMessage::Identifier& identifier) {
  std::string id = Escape(identifier.node().id(), kMaxNameBytes);
  if (id.empty()) return absl::InvalidArgumentError("identifier.node.id is missing");
  std::replace(id.begin(), id.end(), '/', '_');
  ReportingAgent agent{.workload = id, .namespace_ = "envoy", .role = "envoy"};
  const std::vector<std::string> parts = absl::StrSplit(id, '~');
  const size_t dot = parts.size() == 4 ? parts[2].rfind('.') : std::string::npos;
  if (dot != std::string::npos && dot > 0 && dot + 1 < parts[2].size()) {
    agent.workload = parts[2].substr(0, dot);
    agent.namespace_ = parts[2].substr(dot + 1);
  }
  agent.agent = agent.namespace_ + "/" + agent.workload;
  return agent;
}

}  // namespace whence::access_log
