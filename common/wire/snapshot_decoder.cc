#include "common/wire/snapshot_decoder.h"

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "common/base/strings.h"
#include "common/wire/clusters.h"
#include "common/wire/faults.h"
#include "common/wire/policy.h"
#include "common/wire/routes.h"
#include "common/wire/trust.h"

namespace whence::wire {
namespace {

std::string Item(const std::string& path, int index) { return absl::StrCat(path, "[", index, "]"); }

// Decodes one bundle, noting every fault on the way.
class Decoder {
 public:
  Decoder(const v1::WorkloadBundle& bundle, const IpSetMap& ip_sets)
      : bundle_(bundle), ip_sets_(ip_sets) {}

  absl::StatusOr<std::shared_ptr<const snapshot::Snapshot>> Run(std::string version) {
    auto snapshot = std::make_shared<snapshot::Snapshot>();
    snapshot->version = std::move(version);
    snapshot->revision = bundle_.revision();
    snapshot->workload = bundle_.workload();
    snapshot->workload_namespace = bundle_.namespace_();
    if (bundle_.workload().empty()) faults_.Add("workload", "is missing");
    for (int i = 0; i < bundle_.ip_sets_size(); ++i) {
      if (ip_sets_.count(bundle_.ip_sets(i)) == 0) {
        faults_.Add(Item("ip_sets", i),
                    absl::StrCat("there is no ip set \"", bundle_.ip_sets(i), "\""));
      }
    }
    snapshot->handover_key = DecodeKey(bundle_.handover_key(), "handover_key", &faults_);
    snapshot->topology = ToTopology(bundle_.trust(), bundle_.role(), ip_sets_, &faults_);
    snapshot->policies = DecodePolicies();
    snapshot->privacy = ToClientPrivacy(bundle_.mesh().access_log(), &faults_);
    snapshot->keep_query = bundle_.mesh().access_log().keep_query();
    DecodeClusters(&snapshot->clusters);
    DecodeListeners(&snapshot->listeners);
    DecodePorts(&snapshot->port_protocols);
    if (!faults_.empty()) return faults_.ToStatus();
    return snapshot;
  }

 private:
  std::shared_ptr<const policy::PolicySet> DecodePolicies() {
    std::vector<policy::PolicySpec> specs;
    for (const v1::PolicyResource& resource : bundle_.policies()) {
      absl::StatusOr<policy::PolicySpec> spec = ToPolicySpec(resource);
      if (spec.ok()) {
        specs.push_back(*std::move(spec));
      } else {
        AddLines(spec.status());
      }
    }
    const auto lookup = [this](const std::string& name) {
      const auto found = ip_sets_.find(name);
      return found != ip_sets_.end() ? found->second : nullptr;
    };
    auto policies = policy::PolicySet::Compile(
        specs, lookup, ToPathNormalization(bundle_.mesh().path_normalization(), &faults_));
    if (policies.ok()) return *std::move(policies);
    AddLines(policies.status());
    return nullptr;
  }

  void AddLines(const absl::Status& status) {
    for (const absl::string_view line : absl::StrSplit(status.message(), '\n')) {
      faults_.AddLine(std::string(line));
    }
  }

  bool CheckPort(uint32_t port, const std::string& path) {
    if (port >= 1 && port <= 65535) return true;
    faults_.Add(path, absl::StrCat(port, " is not 1..65535"));
    return false;
  }

  void DecodeClusters(std::vector<snapshot::Cluster>* clusters) {
    for (int c = 0; c < bundle_.clusters_size(); ++c) {
      const v1::ClusterResource& resource = bundle_.clusters(c);
      const std::string path = Item("clusters", c);
      clusters->push_back(DecodeCluster(resource, path, &faults_));
      if (!cluster_index_.emplace(resource.name(), static_cast<uint32_t>(c)).second) {
        faults_.Add(path + ".name", absl::StrCat("\"", resource.name(), "\" is given twice"));
      }
    }
  }

  void DecodeListeners(std::vector<snapshot::Listener>* listeners) {
    std::set<uint32_t> ports;
    for (int i = 0; i < bundle_.listeners_size(); ++i) {
      const v1::ListenerResource& resource = bundle_.listeners(i);
      const std::string path = Item("listeners", i);
      snapshot::Listener& listener = listeners->emplace_back();
      CheckPort(resource.port(), path + ".port");
      if (!ports.insert(resource.port()).second) {
        faults_.Add(path + ".port", absl::StrCat(resource.port(), " is given twice"));
      }
      listener.port = static_cast<uint16_t>(resource.port());
      if (resource.protocol() == v1::HTTP) {
        listener.protocol = snapshot::Protocol::kHttp;
        listener.virtual_hosts = DecodeVirtualHosts(resource, path);
      } else if (resource.protocol() == v1::TCP) {
        listener.protocol = snapshot::Protocol::kTcp;
        DecodeTcpRoutes(resource, path, &listener.tcp_routes);
      } else {
        faults_.Add(path + ".protocol",
                    absl::StrCat("unknown value ", static_cast<int>(resource.protocol())));
      }
    }
  }

  snapshot::VirtualHosts DecodeVirtualHosts(const v1::ListenerResource& listener,
                                            const std::string& path) {
    std::vector<snapshot::VirtualHost> hosts;
    std::set<std::string> domains;
    for (int h = 0; h < listener.virtual_hosts_size(); ++h) {
      const v1::VirtualHost& resource = listener.virtual_hosts(h);
      const std::string at = Item(path + ".virtual_hosts", h);
      snapshot::VirtualHost& host = hosts.emplace_back();
      for (int d = 0; d < resource.domains_size(); ++d) {
        CheckDomain(resource.domains(d), Item(at + ".domains", d), &domains);
        host.domains.push_back(resource.domains(d));
      }
      for (int r = 0; r < resource.routes_size(); ++r) {
        host.routes.push_back(routes_.Decode(resource.routes(r), Item(at + ".routes", r)));
      }
    }
    return snapshot::VirtualHosts(std::move(hosts));
  }

  // A star in the middle would be taken for plain text and never match: nobody means that.
  void CheckDomain(const std::string& domain, const std::string& path,
                   std::set<std::string>* known) {
    std::string lower = domain;
    for (char& c : lower) c = ToLowerAscii(c);
    const bool is_wildcard = domain == "*" || domain.rfind("*.", 0) == 0;
    if (domain.empty() || domain.find('*', is_wildcard ? 1 : 0) != std::string::npos) {
      faults_.Add(path, absl::StrCat("\"", domain, "\" is no host, \"*.suffix\" or \"*\""));
    }
    if (!known->insert(lower).second) {
      faults_.Add(path, absl::StrCat("\"", domain, "\" is given twice"));
    }
  }

  void DecodeTcpRoutes(const v1::ListenerResource& listener, const std::string& path,
                       std::vector<snapshot::TcpRoute>* routes) {
    for (int r = 0; r < listener.tcp_routes_size(); ++r) {
      routes->push_back(routes_.DecodeTcp(listener.tcp_routes(r), Item(path + ".tcp_routes", r)));
    }
    if (listener.cluster().empty()) return;
    const auto cluster = routes_.FindCluster(listener.cluster(), path + ".cluster");
    routes->emplace_back().destinations.push_back({.cluster = cluster.value_or(0)});
  }

  void DecodePorts(std::vector<std::pair<uint16_t, snapshot::Protocol>>* ports) {
    std::map<uint16_t, snapshot::Protocol> sorted;
    for (int i = 0; i < bundle_.ports_size(); ++i) {
      const v1::PortSetting& setting = bundle_.ports(i);
      const std::string path = Item("ports", i);
      if (!CheckPort(setting.port(), path + ".port")) continue;
      auto protocol = snapshot::Protocol::kDetect;
      if (setting.protocol() == v1::HTTP) {
        protocol = snapshot::Protocol::kHttp;
      } else if (setting.protocol() == v1::TCP) {
        protocol = snapshot::Protocol::kTcp;
      } else {
        faults_.Add(path + ".protocol",
                    absl::StrCat("unknown value ", static_cast<int>(setting.protocol())));
      }
      if (!sorted.emplace(static_cast<uint16_t>(setting.port()), protocol).second) {
        faults_.Add(path + ".port", absl::StrCat(setting.port(), " is given twice"));
      }
    }
    ports->assign(sorted.begin(), sorted.end());
  }

  const v1::WorkloadBundle& bundle_;
  const IpSetMap& ip_sets_;
  std::map<std::string, uint32_t> cluster_index_;
  Faults faults_;
  RouteDecoder routes_{cluster_index_, &faults_};
};

}  // namespace

absl::StatusOr<std::shared_ptr<const snapshot::Snapshot>> Decode(const v1::WorkloadBundle& bundle,
                                                                 std::string version,
                                                                 const IpSetMap& ip_sets) {
  return Decoder(bundle, ip_sets).Run(std::move(version));
}

}  // namespace whence::wire
