#include "dataplane/host.h"

#include <ifaddrs.h>
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

std::vector<net::IpAddress> InterfaceAddresses() {
  std::vector<net::IpAddress> addresses;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return addresses;
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(list, freeifaddrs);
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) continue;
    os::RawAddress raw;
    if (entry->ifa_addr->sa_family == AF_INET) {
      raw.v4 = *reinterpret_cast<const sockaddr_in*>(entry->ifa_addr);
    } else if (entry->ifa_addr->sa_family == AF_INET6) {
      raw.v6 = *reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr);
    } else {
      continue;
    }
    const net::IpAddress address = os::FromRaw(raw).ip;
    if (address.is_unicast() && !address.is_loopback()) addresses.push_back(address);
  }
  return addresses;
}

}  // namespace

HostDefaults ReadHost() {
  HostDefaults host;
  char name[256] = {};
  if (gethostname(name, sizeof(name) - 1) == 0) host.host_name = name;
  host.cpus = std::min(AffinityCpus(), QuotaCpus());
  host.addresses = InterfaceAddresses();
  return host;
}

}  // namespace whence
