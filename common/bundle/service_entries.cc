#include "common/bundle/service_entries.h"

#include "common/base/strings.h"
#include "common/net/ip_address.h"

namespace whence::bundle {
namespace {

size_t Fit(const std::string& pattern, const std::string& host) {
  if (pattern == "*") return 1;
  if (pattern.rfind("*.", 0) != 0) return EqualsIgnoreCase(pattern, host) ? 1'000 : 0;
  const std::string_view suffix = std::string_view(pattern).substr(1);
  const bool ends =
      host.size() > suffix.size() &&
      EqualsIgnoreCase(std::string_view(host).substr(host.size() - suffix.size()), suffix);
  return ends ? 1 + suffix.size() : 0;
}

const v1::ServiceEntrySpec::Port* FindPort(const v1::ServiceEntrySpec& entry, uint32_t number) {
  for (const auto& port : entry.ports()) {
    if (port.number() == number || (number == 0 && entry.ports_size() == 1)) return &port;
  }
  return nullptr;
}

bool HasLabels(const LabelMap& has, const LabelMap& wanted) {
  for (const auto& [key, value] : wanted) {
    const auto found = has.find(key);
    if (found == has.end() || found->second != value) return false;
  }
  return true;
}

void AddTarget(const std::string& host, uint32_t port, uint32_t weight, bool first_only,
               v1::ClusterResource* cluster) {
  v1::DnsTarget* target = cluster->add_dns();
  target->set_host(host);
  target->set_port(port);
  target->set_weight(weight);
  target->set_first_only(first_only);
}

}  // namespace

const v1::ServiceEntrySpec* FindServiceEntry(const ConfigView& view, const std::string& host) {
  const v1::ServiceEntrySpec* best = nullptr;
  size_t best_fit = 0;
  for (const auto& [name, document] : view.service_entries()) {
    for (const std::string& pattern : document->service_entry().hosts()) {
      const size_t fit = Fit(pattern, host);
      if (fit <= best_fit) continue;
      best = &document->service_entry();
      best_fit = fit;
    }
  }
  return best;
}

uint32_t AddEntryEndpoints(const v1::ServiceEntrySpec& entry, const std::string& host,
                           uint32_t port, const LabelMap* labels, v1::ClusterResource* cluster) {
  using Entry = v1::ServiceEntrySpec;
  const Entry::Port* found = FindPort(entry, port);
  if (found == nullptr || entry.resolution() == Entry::NONE) return port;
  const uint32_t target = found->target_port() != 0 ? found->target_port() : found->number();
  const bool first_only = entry.resolution() == Entry::DNS_ROUND_ROBIN;
  if (entry.endpoints().empty()) AddTarget(host, target, 0, first_only, cluster);
  for (const Entry::Endpoint& endpoint : entry.endpoints()) {
    if (labels != nullptr && !HasLabels(endpoint.labels(), *labels)) continue;
    const auto own = endpoint.ports().find(found->name());
    const uint32_t at = own != endpoint.ports().end() ? own->second : target;
    if (const auto address = net::IpAddress::Parse(endpoint.address())) {
      v1::EndpointResource* resource = cluster->add_endpoints();
      resource->set_address(address->ToString());
      resource->set_port(at);
      resource->set_weight(endpoint.weight());
    } else {
      AddTarget(endpoint.address(), at, endpoint.weight(), first_only, cluster);
    }
  }
  return found->number();
}

}  // namespace whence::bundle
