#include "common/explain/recorded.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/strings.h"
#include "common/net/ip_address.h"
#include "common/net/socket_address.h"

namespace whence::explain {
namespace {

bool HasFlag(const v1::AccessRecord& record, std::string_view flag) {
  for (const absl::string_view one : absl::StrSplit(record.flags(), ',')) {
    if (ToStd(one) == flag) return true;
  }
  return false;
}

std::optional<net::IpAddress> AddressOf(const std::string& bytes) {
  net::IpAddress::Bytes address{};
  if (bytes.size() != address.size()) return std::nullopt;
  std::copy(bytes.begin(), bytes.end(), address.begin());
  return net::IpAddress::FromV6(address);
}

// Why nobody was asked; empty: somebody was.
std::string NotJudged(const v1::AccessRecord& record) {
  if (record.dropped() > 0) return "it stands for records that were lost";
  for (const char* flag : {"downstream-protocol-error", "overload", "loop"}) {
    if (HasFlag(record, flag)) return absl::StrCat("it ended before that: ", flag);
  }
  const bool is_http = record.protocol() != "tcp";
  if (is_http && record.method().empty()) return "it ended before its request was there";
  return "";
}

// The evidence that led to the recorded client, where it is not among what is recorded as received.
void RestoreEvidence(const v1::AccessRecord& record, Recorded* out) {
  const std::string client = AddressText(record.client_address());
  const std::string& reason = record.client_reason();
  if (reason == "gateway-verdict") {
    (*out->request.mutable_headers())["x-whence-client"] = client;
  } else if (reason == "proxy-protocol") {
    out->request.set_proxy_source(client);
  } else if (HasFlag(record, "proxy-protocol")) {
    out->caveats.push_back("the address in its PROXY protocol header is not recorded");
  } else if (reason.rfind("forwarded-", 0) == 0 || reason.rfind("header", 0) == 0) {
    out->caveats.push_back("the header that names the client here is not recorded");
  }
}

}  // namespace

std::string AddressText(const std::string& bytes) {
  const auto address = AddressOf(bytes);
  return address ? address->ToString() : "";
}

std::string DecisionText(v1::Decision decision) {
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

Recorded FromRecord(const v1::LogRow& row) {
  const v1::AccessRecord& record = row.record();
  Recorded out;
  v1::ExplainRequest& request = out.request;
  request.set_workload(row.agent());
  if (const auto peer = AddressOf(record.direct_peer())) {
    request.set_peer(
        net::SocketAddress{*peer, static_cast<uint16_t>(record.direct_peer_port())}.ToString());
  }
  request.set_destination(AddressText(record.destination()));
  request.set_port(record.destination_port());
  request.set_tcp(record.protocol() == "tcp");
  if (!record.forwarded_for().empty()) request.add_forwarded_for(record.forwarded_for());
  request.set_method(record.method());
  request.set_host(record.host());
  request.set_path(record.path());
  RestoreEvidence(record, &out);
  for (const char* field : {"host", "path", "forwarded-for"}) {
    if (HasFlag(record, absl::StrCat(field, "-truncated"))) {
      out.caveats.push_back(absl::StrCat("its ", field, " is too long to be recorded whole"));
    }
  }
  out.not_judged = NotJudged(record);
  return out;
}

std::vector<std::string> Differences(const v1::AccessRecord& record,
                                     const v1::ExplainResponse& now) {
  std::vector<std::string> found;
  const auto compare = [&](const char* what, const std::string& then, const std::string& today) {
    if (then == today) return;
    found.push_back(absl::StrCat(what, " was ", then.empty() ? "none" : then, ", is ",
                                 today.empty() ? "none" : today));
  };
  compare("client", AddressText(record.client_address()), now.trusted_client());
  compare("reason", record.client_reason(), now.reason());
  compare("decision", DecisionText(record.decision()), DecisionText(now.decision()));
  compare("policy", record.policy(), now.deciding_policy());
  return found;
}

}  // namespace whence::explain
