// DestinationRule and ServiceEntry.
#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "common/document/check_routes.h"
#include "common/net/ip_address.h"
#include "common/snapshot/cluster.h"
#include "common/snapshot/maglev.h"

namespace whence::document {
namespace {

// Istio's. Whence relays whatever it is, and only speaks HTTP where a Gateway says so.
constexpr std::string_view kEntryProtocols[] = {
    "HTTP", "HTTPS", "HTTP2", "GRPC", "GRPC-WEB", "TCP", "TLS", "UDP", "MONGO", "REDIS", "MYSQL"};

bool IsEntryProtocol(std::string_view text) {
  return std::any_of(std::begin(kEntryProtocols), std::end(kEntryProtocols),
                     [&](std::string_view known) { return EqualsIgnoreCase(text, known); });
}

Complaint CheckRuleHost(std::string_view text) {
  if (net::IpAddress::Parse(text)) return std::nullopt;
  return CheckHostPattern(text);
}

void CheckCookie(const v1::ConsistentHash::Cookie& cookie, const std::string& path,
                 CheckContext& context) {
  // RFC 6265: a cookie's name is a token, as a header's is.
  if (CheckHeaderName(cookie.name())) {
    context.Fault(path + ".name",
                  absl::StrCat("\"", cookie.name(), "\" cannot be the name of a cookie"));
  }
  if (cookie.path().find_first_of(";,\" \t\r\n") != std::string::npos) {
    context.Fault(path + ".path", "holds a character that a cookie's path cannot have");
  }
  CheckTimeout(cookie.ttl(), path + ".ttl", context);
}

void CheckConsistentHash(const v1::ConsistentHash& hash, const std::string& path,
                         CheckContext& context) {
  switch (hash.hash_key_case()) {
    case v1::ConsistentHash::kHttpHeaderName:
      context.Expect(CheckHeaderName(hash.http_header_name()), path + ".httpHeaderName");
      break;
    case v1::ConsistentHash::kHttpCookie:
      CheckCookie(hash.http_cookie(), path + ".httpCookie", context);
      break;
    case v1::ConsistentHash::kUseSourceIp:
      if (!hash.use_source_ip()) context.Fault(path + ".useSourceIp", "must be true, or left out");
      break;
    case v1::ConsistentHash::kHttpQueryParameterName:
      if (hash.http_query_parameter_name().empty()) {
        context.Fault(path + ".httpQueryParameterName", "is empty");
      }
      break;
    case v1::ConsistentHash::HASH_KEY_NOT_SET:
      context.Fault(path,
                    "needs httpHeaderName, httpCookie, useSourceIp or httpQueryParameterName");
  }
  const uint32_t size = hash.maglev().table_size();
  if (size != 0 && !snapshot::MaglevTable::IsSize(size)) {
    context.Fault(path + ".maglev.tableSize",
                  absl::StrCat(size, " is no prime from 3 to ", snapshot::MaglevTable::kMaxSize));
  }
}

template <typename Policy>
void CheckParts(const Policy& policy, const std::string& path, CheckContext& context) {
  const std::string balancer = path + ".loadBalancer";
  if (policy.load_balancer().has_consistent_hash()) {
    CheckConsistentHash(policy.load_balancer().consistent_hash(), balancer + ".consistentHash",
                        context);
  } else if (policy.load_balancer().simple() == v1::LoadBalancer::PASSTHROUGH) {
    context.Unsupported(balancer + ".simple",
                        "PASSTHROUGH means the address that the client aimed at, which at a "
                        "gateway is the gateway's own",
                        "kept: round robin");
  }
  const v1::ConnectionPool& pool = policy.connection_pool();
  const auto positive = [&](const std::string& text, const std::string& at) {
    if (CheckTimeout(text, at, context) == std::chrono::milliseconds(0)) {
      context.Fault(at, "must be more than nothing");
    }
  };
  positive(pool.tcp().connect_timeout(), path + ".connectionPool.tcp.connectTimeout");
  positive(pool.http().idle_timeout(), path + ".connectionPool.http.idleTimeout");
  const auto& keepalive = pool.tcp().tcp_keepalive();
  const std::string keepalive_path = path + ".connectionPool.tcp.tcpKeepalive";
  using snapshot::KeepAlive;
  constexpr std::chrono::seconds kShortest(1);
  if (keepalive.probes() > KeepAlive::kMostProbes) {
    context.Fault(keepalive_path + ".probes",
                  absl::StrCat(keepalive.probes(), " is more than ", KeepAlive::kMostProbes));
  }
  for (const auto& [field, text] :
       {std::pair(".time", keepalive.time()), std::pair(".interval", keepalive.interval())}) {
    if (text.empty()) continue;
    const auto duration = CheckTimeout(text, keepalive_path + field, context);
    if (duration && (*duration < kShortest || *duration > KeepAlive::kLongest)) {
      context.Fault(keepalive_path + field, "must be from 1s to 32767s");
    }
  }
  const v1::OutlierDetection& outlier = policy.outlier_detection();
  positive(outlier.interval(), path + ".outlierDetection.interval");
  positive(outlier.base_ejection_time(), path + ".outlierDetection.baseEjectionTime");
  if (outlier.max_ejection_percent() > 100) {
    context.Fault(path + ".outlierDetection.maxEjectionPercent",
                  absl::StrCat(outlier.max_ejection_percent(), " is more than 100"));
  }
}

void CheckTrafficPolicy(const v1::TrafficPolicy& policy, const std::string& path,
                        CheckContext& context) {
  CheckParts(policy, path, context);
  std::set<uint32_t> ports;
  for (int i = 0; i < policy.port_level_settings_size(); ++i) {
    const auto& settings = policy.port_level_settings(i);
    const std::string at = Item(path + ".portLevelSettings", i);
    context.Expect(CheckPort(settings.port().number()), at + ".port.number");
    if (!ports.insert(settings.port().number()).second) {
      context.Fault(at + ".port.number",
                    absl::StrCat("port ", settings.port().number(), " is given twice"));
    }
    CheckParts(settings, at, context);
  }
}

void CheckEntryEndpoint(const v1::ServiceEntrySpec& spec, int index, CheckContext& context) {
  const auto& endpoint = spec.endpoints(index);
  const std::string path = Item("spec.endpoints", index);
  const bool is_dns = spec.resolution() == v1::ServiceEntrySpec::DNS ||
                      spec.resolution() == v1::ServiceEntrySpec::DNS_ROUND_ROBIN;
  if (endpoint.address().empty()) {
    context.Fault(path + ".address", "is missing");
  } else if (is_dns) {
    context.Expect(CheckDestinationHost(endpoint.address()), path + ".address");
  } else if (!net::IpAddress::Parse(endpoint.address())) {
    context.Fault(
        path + ".address",
        absl::StrCat("\"", endpoint.address(), "\" is no IP address; names need resolution: DNS"));
  }
  context.CheckSelector(endpoint.labels(), path + ".labels");
  const std::map<std::string, uint32_t> ports(endpoint.ports().begin(), endpoint.ports().end());
  for (const auto& [name, port] : ports) {
    const std::string at = path + ".ports." + name;
    context.Expect(CheckPort(port), at);
    bool is_known = false;
    for (const auto& declared : spec.ports()) is_known = is_known || declared.name() == name;
    if (!is_known) context.Fault(at, absl::StrCat("spec.ports has no port named \"", name, "\""));
  }
}

void CheckEntryWeights(const v1::ServiceEntrySpec& spec, CheckContext& context) {
  uint64_t sum = 0;
  for (const auto& endpoint : spec.endpoints()) sum += std::max<uint32_t>(endpoint.weight(), 1);
  if (sum <= snapshot::kMaxWeights) return;
  context.Fault("spec.endpoints",
                absl::StrCat("the weights sum up to ", sum, "; at most ", snapshot::kMaxWeights,
                             ": give smaller ones in the same proportion"));
}

void CheckEntryPorts(const v1::ServiceEntrySpec& spec, CheckContext& context) {
  if (spec.ports().empty()) context.Fault("spec.ports", "is missing: name at least one port");
  std::set<uint32_t> numbers;
  std::set<std::string> names;
  for (int i = 0; i < spec.ports_size(); ++i) {
    const auto& port = spec.ports(i);
    const std::string path = Item("spec.ports", i);
    if (!IsEntryProtocol(port.protocol())) {
      context.CheckOneOf(port.protocol(), kEntryProtocols, path + ".protocol");
    }
    if (!port.name().empty() && !names.insert(port.name()).second) {
      context.Fault(path + ".name", absl::StrCat("\"", port.name(), "\" is given twice"));
    }
    context.Expect(CheckPort(port.number()), path + ".number");
    if (port.target_port() != 0)
      context.Expect(CheckPort(port.target_port()), path + ".targetPort");
    if (!numbers.insert(port.number()).second) {
      context.Fault(path + ".number", absl::StrCat("port ", port.number(), " is given twice"));
    }
  }
}

}  // namespace

void CheckDestinationRule(const v1::DestinationRuleSpec& spec, CheckContext& context) {
  if (spec.host().empty()) {
    context.Fault("spec.host", "is missing: name the host that the rule is for");
  } else {
    context.Expect(CheckRuleHost(spec.host()), "spec.host");
  }
  CheckTrafficPolicy(spec.traffic_policy(), "spec.trafficPolicy", context);
  std::set<std::string> names;
  for (int i = 0; i < spec.subsets_size(); ++i) {
    const auto& subset = spec.subsets(i);
    const std::string path = Item("spec.subsets", i);
    context.Expect(CheckLabelName(subset.name()), path + ".name");
    if (!names.insert(subset.name()).second) {
      context.Fault(path + ".name", absl::StrCat("subset \"", subset.name(), "\" is given twice"));
    }
    context.CheckSelector(subset.labels(), path + ".labels");
    CheckTrafficPolicy(subset.traffic_policy(), path + ".trafficPolicy", context);
  }
}

void CheckServiceEntry(const v1::ServiceEntrySpec& spec, CheckContext& context) {
  if (spec.hosts().empty()) context.Fault("spec.hosts", "is missing: name the hosts it stands for");
  context.CheckEach(spec.hosts(), "spec.hosts", CheckHostPattern);
  CheckEntryPorts(spec, context);
  for (int i = 0; i < spec.endpoints_size(); ++i) CheckEntryEndpoint(spec, i, context);
  CheckEntryWeights(spec, context);
  switch (spec.resolution()) {
    case v1::ServiceEntrySpec::NONE:
      context.Unsupported("spec.resolution",
                          "NONE, which is also the default, means the address that the client "
                          "aimed at, which at a gateway is the gateway's own; write STATIC or DNS",
                          "kept: has no endpoint");
      return;
    case v1::ServiceEntrySpec::STATIC:
      if (spec.endpoints().empty()) {
        context.Fault("spec.endpoints", "is missing: STATIC has no other source of addresses");
      }
      return;
    default:
      if (!spec.endpoints().empty()) return;
      for (int i = 0; i < spec.hosts_size(); ++i) {
        if (spec.hosts(i).substr(0, 1) != "*") continue;
        context.Fault(Item("spec.hosts", i), "a wildcard cannot be asked of DNS; give endpoints");
      }
  }
}

}  // namespace whence::document
