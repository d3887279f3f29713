// TrustTopology, IpSet and Mesh.
#include <algorithm>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "common/document/check.h"
#include "common/document/edit_distance.h"
#include "common/document/ip_set.h"
#include "common/http/field_id.h"
#include "common/net/cidr.h"

namespace whence::document {
namespace {

// Whether no address of the family is left out.
bool CoversFamily(std::vector<net::Cidr> cidrs, bool v4) {
  std::erase_if(cidrs, [&](const net::Cidr& cidr) { return cidr.is_v4() != v4; });
  std::sort(cidrs.begin(), cidrs.end());
  // Each is met after what encloses it and after its lower half: halves become the whole at once.
  std::vector<net::Cidr> merged;
  for (net::Cidr cidr : cidrs) {
    if (!merged.empty() && merged.back().Contains(cidr.network())) continue;
    while (!merged.empty() && merged.back().prefix_length() == cidr.prefix_length()) {
      const net::Cidr whole(cidr.network(), cidr.prefix_length() - 1);
      if (!whole.Contains(merged.back().network())) break;
      cidr = whole;
      merged.pop_back();
    }
    merged.push_back(cidr);
  }
  return !merged.empty() && merged.front().prefix_length() == 0;
}

void WarnOfEveryone(const google::protobuf::RepeatedPtrField<std::string>& texts,
                    const std::string& path, CheckContext& context) {
  constexpr const char* kEveryone = "believes everyone: any client can claim any address";
  std::vector<net::Cidr> cidrs;
  std::set<bool> covered;  // is IPv4
  for (int i = 0; i < texts.size(); ++i) {
    const auto cidr = net::Cidr::Parse(texts[i]);
    if (!cidr.ok()) continue;
    cidrs.push_back(*cidr);
    if (cidr->prefix_length() != 0) continue;
    context.Warn(Item(path, i), kEveryone);
    covered.insert(cidr->is_v4());
  }
  for (const bool v4 : {true, false}) {
    if (covered.count(v4) != 0 || !CoversFamily(cidrs, v4)) continue;
    context.Warn(path, absl::StrCat("together these are every ", v4 ? "IPv4" : "IPv6",
                                    " address: ", kEveryone));
  }
}

void CheckSources(const v1::AddressSources& sources, const std::string& path,
                  CheckContext& context) {
  if (sources.ByteSizeLong() == 0) {
    context.Fault(path, "names nobody: give cidrs, ipSets or workloads");
    return;
  }
  context.CheckCidrs(sources.cidrs(), path + ".cidrs");
  WarnOfEveryone(sources.cidrs(), path + ".cidrs", context);
  context.CheckEach(sources.ip_sets(), path + ".ipSets", CheckReference);
  for (int i = 0; i < sources.workloads_size(); ++i) {
    const std::string item = Item(path + ".workloads", i);
    // "Every workload" is never what is meant where trust is given.
    if (sources.workloads(i).match_labels().empty()) {
      context.Fault(item, "selects every workload; give matchLabels");
    }
    context.CheckSelector(sources.workloads(i).match_labels(), item + ".matchLabels");
  }
}

// Headers of framing, routing and single connections, and those that carry something else for sure.
bool NamesNoClient(std::string_view name, http::FieldId id) {
  using http::FieldId;
  if (id >= FieldId::kHost && id <= FieldId::kHttp2Settings) return true;
  for (const FieldId other :
       {FieldId::kXForwardedProto, FieldId::kXForwardedHost, FieldId::kXForwardedClientCert,
        FieldId::kXRequestId, FieldId::kXEnvoyInternal, FieldId::kDate}) {
    if (id == other) return true;
  }
  for (const std::string_view other :
       {"cookie", "set-cookie", "authorization", "proxy-authorization", "user-agent", "referer"}) {
    if (EqualsIgnoreCase(name, other)) return true;
  }
  return false;
}

void CheckClientAddressFrom(const std::string& from, CheckContext& context) {
  const std::string path = "spec.clientAddressFrom";
  if (from.empty() || from == "X_FORWARDED_FOR" || from == "FORWARDED") return;
  context.Expect(CheckHeaderName(from), path);
  // Header names have no underscores and no upper case by custom: this was meant as a constant.
  const std::string nearest = Nearest(from, {"X_FORWARDED_FOR", "FORWARDED"});
  if (!nearest.empty()) {
    context.Fault(path, absl::StrCat("\"", from, "\": did you mean ", nearest, "?"));
  }
  const http::FieldId id = http::IdentifyField(from);
  if (id == http::FieldId::kXWhenceClient || id == http::FieldId::kXWhenceOther) {
    context.Fault(path, absl::StrCat("\"", from, "\": x-whence-* is reserved for agents"));
  } else if (id == http::FieldId::kUnderscoreAlias) {
    context.Fault(path,
                  absl::StrCat("\"", from, "\" is never taken: a header under another spelling"));
  } else if (NamesNoClient(from, id)) {
    context.Fault(path, absl::StrCat("\"", from,
                                     "\" names no client; give a header that a proxy sets, such as "
                                     "cf-connecting-ip"));
  }
}

// Knowledge of the network for diagnosis to come: kept, but nobody should believe that it decides.
void CheckRecordedCidrs(const google::protobuf::RepeatedPtrField<std::string>& cidrs,
                        const std::string& path, CheckContext& context) {
  context.CheckCidrs(cidrs, path);
  if (!cidrs.empty()) context.Warn(path, "recorded; nothing acts on it yet");
}

void CheckDuration(const std::string& text, const std::string& path, CheckContext& context) {
  if (text.empty()) return;
  const auto seconds = ParseDurationSeconds(text);
  if (!seconds || *seconds == 0) {
    context.Fault(path, absl::StrCat("\"", text, "\" is no duration; expected such as 7d or 12h"));
  }
}

}  // namespace

void CheckTrustTopology(const v1::TrustTopologySpec& spec, CheckContext& context) {
  context.CheckSelector(spec.selector().match_labels(), "spec.selector.matchLabels");
  if (spec.has_num_trusted_proxies() && spec.has_trusted_proxies()) {
    context.Fault("spec.trustedProxies",
                  "cannot be given together with numTrustedProxies: either hops are counted or "
                  "known by address");
  }
  if (spec.num_trusted_proxies() > 1000) {
    context.Fault("spec.numTrustedProxies",
                  absl::StrCat(spec.num_trusted_proxies(), " hops are more than any request has"));
  }
  if (spec.has_trusted_proxies()) {
    CheckSources(spec.trusted_proxies(), "spec.trustedProxies", context);
  }
  CheckClientAddressFrom(spec.client_address_from(), context);
  context.CheckCidrs(spec.internal_cidrs(), "spec.internalCidrs");
  const v1::ProxyProtocolSettings& proxy = spec.proxy_protocol();
  if (proxy.has_from()) CheckSources(proxy.from(), "spec.proxyProtocol.from", context);
  const bool accepts = proxy.accept() == v1::ProxyProtocolSettings::OPTIONAL ||
                       proxy.accept() == v1::ProxyProtocolSettings::REQUIRED;
  if (accepts && !proxy.has_from()) {
    context.Fault("spec.proxyProtocol.from",
                  "is missing: say who may send PROXY protocol, for its word is believed");
  }
}

void CheckIpSet(const v1::IpSetSpec& spec, CheckContext& context) {
  context.CheckCidrs(spec.cidrs(), "spec.cidrs");
  if (const size_t count = CountOf(spec); count > kMaxIpSetCidrs) {
    context.Fault("spec", absl::StrCat("has ", count, " CIDRs, more than ", kMaxIpSetCidrs,
                                       ": split the set; a policy may name several"));
  }
}

// A prefix of 0 is not told from one that is not given; to keep nothing is what HASH is nearly.
void CheckAccessLog(const v1::AccessLogSettings& log, CheckContext& context) {
  const std::string path = "spec.accessLog";
  const bool hashes = log.client_addresses() == v1::HASH;
  const bool truncates = log.client_addresses() == v1::TRUNCATE;
  if (log.ipv4_prefix() > 32) context.Fault(path + ".ipv4Prefix", "must be 1 to 32");
  if (log.ipv6_prefix() > 128) context.Fault(path + ".ipv6Prefix", "must be 1 to 128");
  if (!truncates && (log.ipv4_prefix() > 0 || log.ipv6_prefix() > 0)) {
    context.Fault(path + ".clientAddresses", "must be TRUNCATE where a prefix is given");
  }
  if (hashes && log.hash_key().size() < 16) {
    context.Fault(path + ".hashKey",
                  "must have 16 characters or more: it keeps hashes from being "
                  "tried out; take such as `openssl rand -hex 16` gives");
  }
  if (!hashes && !log.hash_key().empty()) {
    context.Fault(path + ".clientAddresses", "must be HASH where a hashKey is given");
  }
}

void CheckMesh(const v1::MeshSpec& spec, CheckContext& context) {
  context.CheckCidrs(spec.node_cidrs(), "spec.nodeCidrs");  // doctor knows nodes by them
  CheckRecordedCidrs(spec.pod_cidrs(), "spec.podCidrs", context);
  CheckRecordedCidrs(spec.service_cidrs(), "spec.serviceCidrs", context);
  if (!spec.root_namespace().empty()) {
    context.Expect(CheckLabelName(spec.root_namespace()), "spec.rootNamespace");
  }
  CheckDuration(spec.log_retention(), "spec.logRetention", context);
  CheckAccessLog(spec.access_log(), context);
  if (!spec.log_max_size().empty() && ParseSizeBytes(spec.log_max_size()).value_or(0) == 0) {
    context.Fault("spec.logMaxSize",
                  absl::StrCat("\"", spec.log_max_size(), "\" is no size; expected such as 10GiB"));
  }
}

}  // namespace whence::document
