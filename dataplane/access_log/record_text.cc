#include "dataplane/access_log/record_text.h"

#include <array>

namespace whence::access_log {
namespace {

struct FlagName {
  Flag flag;
  std::string_view name;
};
constexpr FlagName kFlagNames[] = {
    {Flag::kUpstreamConnectFailed, "upstream-connect-failed"},
    {Flag::kUpstreamTimeout, "upstream-timeout"},
    {Flag::kUpstreamReset, "upstream-reset"},
    {Flag::kUpstreamProtocolError, "upstream-protocol-error"},
    {Flag::kDownstreamReset, "downstream-reset"},
    {Flag::kDownstreamProtocolError, "downstream-protocol-error"},
    {Flag::kDownstreamTimeout, "downstream-timeout"},
    {Flag::kNoRoute, "no-route"},
    {Flag::kSourceFallback, "source-fallback"},
    {Flag::kSourceUnavailable, "source-unavailable"},
    {Flag::kSpoofedHeaders, "spoofed-headers"},
    {Flag::kLoop, "loop"},
    {Flag::kPolicyClosed, "policy-closed"},
    {Flag::kDrained, "drained"},
    {Flag::kOverload, "overload"},
    {Flag::kUpgrade, "upgrade"},
    {Flag::kProxyProtocol, "proxy-protocol"},
    {Flag::kProxyHeaderMissing, "proxy-header-missing"},
    {Flag::kProxyHeaderUnexpected, "proxy-header-unexpected"},
};
constexpr std::array<std::string_view, kTextCount> kTextNames = {
    "reason",        "method", "host",       "path",
    "forwarded-for", "policy", "request-id", "proxy-tlvs"};

void SetAddress(const net::IpAddress& address, std::string* out) {
  if (address.is_unspecified()) return;
  out->assign(address.bytes().begin(), address.bytes().end());
}

// For fields of type `string`, which must be UTF-8 or the receiver refuses the whole message. What
// we put there is ASCII by nature (names of documents, our own words); this makes sure of it.
std::string Ascii(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  }
  return out;
}

}  // namespace

std::string_view ProtocolText(Protocol protocol) {
  switch (protocol) {
    case Protocol::kTcp:
      return "tcp";
    case Protocol::kHttp10:
      return "http/1.0";
    case Protocol::kHttp11:
      return "http/1.1";
  }
  return "";
}

bool HasFlags(const Record& record) {
  if (record.flags != 0) return true;
  for (size_t i = 0; i < kTextCount; ++i) {
    if (record.IsTruncated(static_cast<Text>(i))) return true;
  }
  return false;
}

v1::Decision ToWire(Decision decision) {
  switch (decision) {
    case Decision::kAllow:
      return v1::ALLOW_DECISION;
    case Decision::kDeny:
      return v1::DENY_DECISION;
    case Decision::kDryRunDeny:
      return v1::DRY_RUN_DENY_DECISION;
  }
  return v1::DECISION_UNSPECIFIED;
}

std::string FlagsText(const Record& record) {
  std::string text;
  const auto add = [&](std::string_view name, std::string_view suffix) {
    if (!text.empty()) text.push_back(',');
    text.append(name).append(suffix);
  };
  for (const FlagName& flag : kFlagNames) {
    if (record.Has(flag.flag)) add(flag.name, "");
  }
  for (size_t i = 0; i < kTextCount; ++i) {
    if (record.IsTruncated(static_cast<Text>(i))) add(kTextNames[i], "-truncated");
  }
  return text;
}

void HideClient(const trust::ClientPrivacy& privacy, Record* record) {
  if (!privacy.hides()) return;
  for (net::IpAddress* address : {&record->client_address, &record->direct_peer,
                                  &record->external_address, &record->upstream_source}) {
    *address = privacy.Hide(*address);
  }
  const std::string_view list = record->Get(Text::kForwardedFor);
  if (!list.empty()) record->Set(Text::kForwardedFor, privacy.HideList(list));
}

v1::AccessRecord ToMessage(const Record& record) {
  v1::AccessRecord message;
  message.set_time_us(record.time_us);
  message.set_protocol(std::string(ProtocolText(record.protocol)));
  SetAddress(record.client_address, message.mutable_client_address());
  message.set_client_reason(Ascii(record.Get(Text::kReason)));
  SetAddress(record.direct_peer, message.mutable_direct_peer());
  message.set_direct_peer_port(record.direct_peer_port);
  message.set_forwarded_for(std::string(record.Get(Text::kForwardedFor)));
  SetAddress(record.external_address, message.mutable_external_address());
  SetAddress(record.destination_address, message.mutable_destination());
  message.set_destination_port(record.destination_port);
  SetAddress(record.upstream_source, message.mutable_upstream_source());
  message.set_method(std::string(record.Get(Text::kMethod)));
  message.set_host(std::string(record.Get(Text::kHost)));
  message.set_path(std::string(record.Get(Text::kPath)));
  message.set_status(record.status);
  message.set_decision(ToWire(record.decision));
  message.set_policy(Ascii(record.Get(Text::kPolicy)));
  message.set_bytes_in(record.bytes_in);
  message.set_bytes_out(record.bytes_out);
  message.set_duration_us(record.duration_us);
  message.set_flags(FlagsText(record));
  message.set_request_id(std::string(record.Get(Text::kRequestId)));
  message.set_proxy_tlvs(std::string(record.Get(Text::kProxyTlvs)));
  return message;
}

v1::AccessRecord GapMessage(int64_t time_us, uint64_t dropped) {
  v1::AccessRecord message;
  message.set_time_us(time_us);
  message.set_dropped(dropped);
  return message;
}

uint64_t AccessesIn(const v1::AccessRecord& message) {
  return message.dropped() > 0 ? message.dropped() : 1;
}

}  // namespace whence::access_log
