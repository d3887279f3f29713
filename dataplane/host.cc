#include "dataplane/host.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

#include "dataplane/os/socket_address.h"

namespace whence {
namespace {

// "QUOTA PERIOD" or "max PERIOD" (cgroup v2): a container with half a processor needs one worker,
// not one per core.
int QuotaCpus() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  double quota = 0;
  double period = 0;
  if (!(file >> quota >> period) || period <= 0) return 1 << 10;
  return std::max(1, static_cast<int>((quota + period - 1) / period));
}

int AffinityCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
}

net::IpAddress FromIpv4(const sockaddr* address) {
  os::RawAddress raw;
  raw.v4 = *reinterpret_cast<const sockaddr_in*>(address);
  return os::FromRaw(raw).ip;
}

// The last address of the network, which the kernel treats so whether or not the interface says it,
// and what the interface says. Networks of two (RFC 3021) and of one have none.
void AddBroadcast(const ifaddrs& entry, std::vector<net::IpAddress>* addresses) {
  if (entry.ifa_netmask == nullptr) return;
  sockaddr_in last = *reinterpret_cast<const sockaddr_in*>(entry.ifa_addr);
  const uint32_t mask =
      ntohl(reinterpret_cast<const sockaddr_in*>(entry.ifa_netmask)->sin_addr.s_addr);
  if (mask >= 0xfffffffe) return;
  last.sin_addr.s_addr |= htonl(~mask);
  addresses->push_back(FromIpv4(reinterpret_cast<const sockaddr*>(&last)));
  if ((entry.ifa_flags & IFF_BROADCAST) == 0 || entry.ifa_broadaddr == nullptr) return;
  const net::IpAddress said = FromIpv4(entry.ifa_broadaddr);
  if (!said.is_unspecified()) addresses->push_back(said);
}

void ReadInterfaces(HostDefaults* host) {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return;
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(list, freeifaddrs);
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) continue;
    os::RawAddress raw;
    if (entry->ifa_addr->sa_family == AF_INET) {
      raw.v4 = *reinterpret_cast<const sockaddr_in*>(entry->ifa_addr);
      AddBroadcast(*entry, &host->broadcast_addresses);
    } else if (entry->ifa_addr->sa_family == AF_INET6) {
      raw.v6 = *reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr);
    } else {
      continue;
    }
    const net::IpAddress address = os::FromRaw(raw).ip;
    if (address.is_unicast() && !address.is_loopback()) host->addresses.push_back(address);
  }
}

}  // namespace

HostDefaults ReadHost() {
  HostDefaults host;
  char name[256] = {};
  if (gethostname(name, sizeof(name) - 1) == 0) host.host_name = name;
  host.cpus = std::min(AffinityCpus(), QuotaCpus());
  ReadInterfaces(&host);
  return host;
}

}  // namespace whence
