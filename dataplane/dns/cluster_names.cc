#include "dataplane/dns/cluster_names.h"

namespace whence::dns {

std::set<std::string> NamesIn(const snapshot::Snapshot& snapshot) {
  std::set<std::string> names;
  for (const snapshot::Cluster& cluster : snapshot.clusters) {
    for (const snapshot::DnsTarget& target : cluster.dns) names.insert(target.host);
  }
  return names;
}

std::shared_ptr<const snapshot::Snapshot> WithAddresses(
    std::shared_ptr<const snapshot::Snapshot> base, const Answers& answers) {
  if (NamesIn(*base).empty()) return base;
  auto filled = std::make_shared<snapshot::Snapshot>(*base);
  for (snapshot::Cluster& cluster : filled->clusters) {
    for (const snapshot::DnsTarget& target : cluster.dns) {
      const auto found = answers.find(target.host);
      if (found == answers.end()) continue;
      for (const net::IpAddress& address : found->second) {
        cluster.endpoints.push_back(
            {.address = {address, target.port}, .workload = {}, .weight = target.weight});
        if (target.first_only) break;
      }
    }
    if (!cluster.dns.empty()) cluster.Finish();
  }
  return filled;
}

}  // namespace whence::dns
