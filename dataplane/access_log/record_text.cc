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
    "reason", "method", "host", "path", "forwarded-for", "policy", "request-id", "proxy-tlvs"};

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

}  // namespace whence::access_log
