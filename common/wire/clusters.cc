#include "common/wire/clusters.h"

#include <algorithm>

#include "common/base/duration.h"

namespace whence::wire {
namespace {

using std::chrono::milliseconds;

std::string Item(const std::string& path, int index) { return absl::StrCat(path, "[", index, "]"); }

bool CheckPort(uint32_t port, const std::string& path, Faults* faults) {
  if (port >= 1 && port <= 65535) return true;
  faults->Add(path, absl::StrCat(port, " is not 1..65535"));
  return false;
}

milliseconds ToDuration(const std::string& text, const std::string& path, milliseconds otherwise,
                        Faults* faults) {
  if (text.empty()) return otherwise;
  const auto duration = ParseDuration(text);
  if (!duration) faults->Add(path, absl::StrCat("\"", text, "\" is no duration"));
  return duration.value_or(otherwise);
}

}  // namespace

std::optional<proxy_protocol::HandoverKey> DecodeKey(const std::string& bytes,
                                                     const std::string& path, Faults* faults) {
  const auto key = proxy_protocol::KeyFromBytes(bytes);
  if (!key && !bytes.empty()) faults->Add(path, "is no key");
  return key;
}

namespace {

void DecodeEndpoints(const v1::ClusterResource& resource, const std::string& path,
                     snapshot::Cluster* cluster, Faults* faults) {
  for (int e = 0; e < resource.endpoints_size(); ++e) {
    const v1::EndpointResource& endpoint = resource.endpoints(e);
    const std::string at = Item(path + ".endpoints", e);
    const auto address = net::IpAddress::Parse(endpoint.address());
    if (!address) {
      faults->Add(at + ".address", absl::StrCat("\"", endpoint.address(), "\" is no IP address"));
    }
    if (CheckPort(endpoint.port(), at + ".port", faults) && address) {
      cluster->endpoints.push_back(
          {{*address, static_cast<uint16_t>(endpoint.port())},
           endpoint.workload(),
           endpoint.has_sidecar(),
           std::max<uint32_t>(endpoint.weight(), 1),
           DecodeKey(endpoint.handover_key(), at + ".handover_key", faults)});
    }
  }
  for (int d = 0; d < resource.dns_size(); ++d) {
    const v1::DnsTarget& target = resource.dns(d);
    const std::string at = Item(path + ".dns", d);
    if (target.host().empty()) faults->Add(at + ".host", "is missing");
    if (!CheckPort(target.port(), at + ".port", faults)) continue;
    cluster->dns.push_back({target.host(), static_cast<uint16_t>(target.port()),
                            std::max<uint32_t>(target.weight(), 1), target.first_only()});
  }
}

void CheckWeights(const snapshot::Cluster& cluster, const std::string& path, Faults* faults) {
  uint64_t sum = 0;
  for (const snapshot::Endpoint& endpoint : cluster.endpoints) sum += endpoint.weight;
  for (const snapshot::DnsTarget& target : cluster.dns) sum += target.weight;
  if (sum > snapshot::kMaxWeights) faults->Add(path, "the endpoints' weights sum up to too much");
}

snapshot::LoadBalancing DecodeHashing(const v1::ConsistentHash& hash, const std::string& path,
                                      Faults* faults) {
  using HashOn = snapshot::LoadBalancing::HashOn;
  snapshot::LoadBalancing balancing{.policy = snapshot::LoadBalancing::Policy::kMaglev};
  switch (hash.hash_key_case()) {
    case v1::ConsistentHash::kHttpHeaderName:
      balancing.hash_on = HashOn::kHeader;
      balancing.name = hash.http_header_name();
      break;
    case v1::ConsistentHash::kHttpCookie:
      balancing.hash_on = HashOn::kCookie;
      balancing.name = hash.http_cookie().name();
      balancing.cookie_path = hash.http_cookie().path();
      if (!hash.http_cookie().ttl().empty()) {
        balancing.cookie_ttl = std::chrono::duration_cast<std::chrono::seconds>(
            ToDuration(hash.http_cookie().ttl(), path + ".http_cookie.ttl", {}, faults));
      }
      break;
    case v1::ConsistentHash::kHttpQueryParameterName:
      balancing.hash_on = HashOn::kQuery;
      balancing.name = hash.http_query_parameter_name();
      break;
    case v1::ConsistentHash::kUseSourceIp:
      break;
    case v1::ConsistentHash::HASH_KEY_NOT_SET:
      faults->Add(path, "has nothing to hash on");
  }
  const uint32_t size = hash.maglev().table_size();
  if (size != 0 && !snapshot::MaglevTable::IsSize(size)) {
    faults->Add(path + ".maglev.table_size", absl::StrCat(size, " is no prime of a usable size"));
  } else {
    balancing.table_size = size;
  }
  return balancing;
}

snapshot::LoadBalancing DecodeBalancing(const v1::LoadBalancer& balancer, const std::string& path,
                                        Faults* faults) {
  using Policy = snapshot::LoadBalancing::Policy;
  if (balancer.has_consistent_hash()) {
    return DecodeHashing(balancer.consistent_hash(), path + ".consistent_hash", faults);
  }
  switch (balancer.simple()) {
    case v1::LoadBalancer::RANDOM:
      return {.policy = Policy::kRandom};
    case v1::LoadBalancer::LEAST_REQUEST:
    case v1::LoadBalancer::LEAST_CONN:
      return {.policy = Policy::kLeastRequest};
    default:
      return {};  // PASSTHROUGH: applied with a warning
  }
}

snapshot::OutlierDetection DecodeOutlier(const v1::OutlierDetection& outlier,
                                         const std::string& path, Faults* faults) {
  snapshot::OutlierDetection decoded;
  decoded.consecutive_5xx =
      outlier.has_consecutive_5xx_errors() ? outlier.consecutive_5xx_errors() : 5;
  decoded.consecutive_gateway_errors = outlier.consecutive_gateway_errors();
  decoded.interval = ToDuration(outlier.interval(), path + ".interval", decoded.interval, faults);
  if (decoded.interval.count() <= 0) {
    faults->Add(path + ".interval", "must be more than nothing");
    decoded.interval = snapshot::OutlierDetection().interval;
  }
  decoded.base_ejection_time =
      ToDuration(outlier.base_ejection_time(), path + ".base_ejection_time",
                 decoded.base_ejection_time, faults);
  if (outlier.has_max_ejection_percent()) {
    decoded.max_ejection_percent = std::min<uint32_t>(outlier.max_ejection_percent(), 100);
  }
  return decoded;
}

snapshot::KeepAlive DecodeKeepAlive(const v1::ConnectionPool::Tcp::Keepalive& keepalive,
                                    const std::string& path, Faults* faults) {
  const auto seconds = [&](const std::string& text, const char* field) {
    const auto duration = ToDuration(text, absl::StrCat(path, ".", field), {}, faults);
    return std::chrono::ceil<std::chrono::seconds>(duration);
  };
  snapshot::KeepAlive decoded{.probes = keepalive.probes(),
                              .time = seconds(keepalive.time(), "time"),
                              .interval = seconds(keepalive.interval(), "interval")};
  if (decoded.probes > decoded.kMostProbes || decoded.time > decoded.kLongest ||
      decoded.interval > decoded.kLongest) {
    faults->Add(path, "has more than 127 probes, or a time of more than 32767 s");
  }
  return decoded;
}

}  // namespace

snapshot::Cluster DecodeCluster(const v1::ClusterResource& resource, const std::string& path,
                                Faults* faults) {
  snapshot::Cluster cluster;
  cluster.name = resource.name();
  if (resource.name().empty()) faults->Add(path + ".name", "is missing");
  DecodeEndpoints(resource, path, &cluster, faults);
  CheckWeights(cluster, path, faults);
  cluster.balancing = DecodeBalancing(resource.load_balancer(), path + ".load_balancer", faults);
  const v1::ConnectionPool& pool = resource.connection_pool();
  const std::string at = path + ".connection_pool";
  cluster.limits.connect_timeout =
      ToDuration(pool.tcp().connect_timeout(), at + ".tcp.connect_timeout", {}, faults);
  cluster.limits.idle_timeout =
      ToDuration(pool.http().idle_timeout(), at + ".http.idle_timeout", {}, faults);
  cluster.limits.max_requests_per_connection = pool.http().max_requests_per_connection();
  cluster.limits.max_connections = pool.tcp().max_connections();
  cluster.limits.max_pending_requests = pool.http().http1_max_pending_requests();
  if (pool.tcp().has_tcp_keepalive()) {
    cluster.limits.keep_alive =
        DecodeKeepAlive(pool.tcp().tcp_keepalive(), at + ".tcp.tcp_keepalive", faults);
  }
  if (resource.has_outlier_detection()) {
    cluster.outlier =
        DecodeOutlier(resource.outlier_detection(), path + ".outlier_detection", faults);
  }
  cluster.Finish();
  return cluster;
}

}  // namespace whence::wire
