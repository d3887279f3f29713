#include "common/snapshot/routing.h"

#include <algorithm>

#include "common/base/strings.h"

namespace whence::snapshot {
namespace {

std::string ToLower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = ToLowerAscii(c);
  return out;
}

// Orders a stored lower-case name against one as received, without copying the latter.
int CompareLower(std::string_view stored, std::string_view received) {
  const size_t common = std::min(stored.size(), received.size());
  for (size_t i = 0; i < common; ++i) {
    const int difference = static_cast<unsigned char>(stored[i]) -
                           static_cast<unsigned char>(ToLowerAscii(received[i]));
    if (difference != 0) return difference;
  }
  return stored.size() == received.size() ? 0 : stored.size() < received.size() ? -1 : 1;
}

// "Example.com:80" -> "Example.com"; "[2001:db8::1]:80" -> "2001:db8::1". An unbracketed address
// with several colons is no valid Host; it is left as it is and finds "*" at most. A
// dot at the end is part of the name, as it is for policies and in Istio: a host that a policy
// closes must not be reached by a second spelling of its name.
std::string_view HostName(std::string_view host) {
  if (!host.empty() && host.front() == '[') {
    const size_t end = host.find(']');
    return end == std::string_view::npos ? host : host.substr(1, end - 1);
  }
  const size_t colon = host.find(':');
  if (colon != std::string_view::npos && colon == host.rfind(':')) host = host.substr(0, colon);
  return host;
}

}  // namespace

VirtualHosts::VirtualHosts(std::vector<VirtualHost> hosts) : hosts_(std::move(hosts)) {
  for (uint32_t i = 0; i < hosts_.size(); ++i) {
    for (const std::string& domain : hosts_[i].domains) {
      if (domain == "*") {
        if (!any_) any_ = i;
      } else if (domain.rfind("*.", 0) == 0) {
        suffixes_.emplace_back(ToLower(domain.substr(1)), i);
      } else {
        exact_.emplace_back(ToLower(domain), i);
      }
    }
  }
  // Pairs order by name, then by place: the first of equal names is the one that Lookup meets.
  std::sort(exact_.begin(), exact_.end());
  std::sort(suffixes_.begin(), suffixes_.end());
}

const uint32_t* VirtualHosts::Lookup(const Index& index, std::string_view name) {
  const auto at = std::lower_bound(
      index.begin(), index.end(), name,
      [](const auto& entry, std::string_view key) { return CompareLower(entry.first, key) < 0; });
  return at != index.end() && CompareLower(at->first, name) == 0 ? &at->second : nullptr;
}

const VirtualHost* VirtualHosts::Find(std::string_view host) const {
  const std::string_view name = HostName(host);
  if (const uint32_t* at = Lookup(exact_, name)) return &hosts_[*at];
  if (!suffixes_.empty()) {
    // Left to right, so the longest suffix is asked for first. From 1: something must stand before
    // the dot.
    for (size_t dot = name.find('.', 1); dot != std::string_view::npos;
         dot = name.find('.', dot + 1)) {
      if (const uint32_t* at = Lookup(suffixes_, name.substr(dot))) return &hosts_[*at];
    }
  }
  return any_ ? &hosts_[*any_] : nullptr;
}

uint32_t TcpRoute::Pick(uint32_t random) const {
  return PickShare(destinations, shares, random).cluster;
}

}  // namespace whence::snapshot
