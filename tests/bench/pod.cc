#include "tests/bench/pod.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace whence::bench {
namespace {

// Disjoint, so that a spoofed upstream connection can never get the client's own port: it would be
// the same tuple.
constexpr char kClientPorts[] = "33000 60999";
constexpr char kPodPorts[] = "10240 32767";

std::string Rules(bool mark_spoofed) {
  std::string rules = absl::StrCat(
      "table inet bench {\n"
      "  chain prerouting { type filter hook prerouting priority mangle;\n"
      "    iifname \"lo\" return\n"
      "    fib daddr type != local return\n"
      "    tcp dport ",
      kTcpPort, " tproxy to :", kTcpProxyPort, " meta mark set ", kInterceptedMark,
      " accept\n"
      "    meta l4proto tcp tproxy to :",
      kProxyPort, " meta mark set ", kInterceptedMark,
      " accept\n"
      "    tcp flags & (fin | syn | rst | ack) == syn counter drop\n  }\n");
  if (mark_spoofed) {
    absl::StrAppend(&rules,
                    "  chain output { type route hook output priority mangle;\n"
                    "    meta l4proto tcp fib saddr type != local meta mark set ",
                    kUpstreamMark, "\n  }\n");
  }
  return rules + "}\n";
}

}  // namespace

Pod MakePod(const lab::Lab& lab, const std::string& name, int number) {
  return {lab.Space(name + "-client"), lab.Space(name + "-pod"),
          absl::StrCat("10.250.", number, ".1"), absl::StrCat("10.250.", number, ".2")};
}

absl::Status BuildPod(const Pod& pod) {
  for (const lab::Namespace* space : {&pod.client, &pod.space}) {
    if (absl::Status s = space->Create(/*forwards=*/false); !s.ok()) return s;
  }
  if (absl::Status s = lab::ConnectByVeth(pod.client, "eth0", pod.space, "eth0"); !s.ok()) return s;
  for (const auto& [space, address, ports] :
       {std::tuple{&pod.client, &pod.client_address, kClientPorts},
        std::tuple{&pod.space, &pod.address, kPodPorts}}) {
    if (absl::Status s =
            space->Ip(absl::StrCat("address add ", *address, "/24 dev eth0\nlink set eth0 up\n"));
        !s.ok()) {
      return s;
    }
    if (absl::Status s = space->Sysctl("net.ipv4.ip_local_port_range", ports); !s.ok()) return s;
  }
  // One client address reaches one application over and over: a proxy that opens an upstream for
  // each request would soon search for a port among thousands in TIME_WAIT, 3 ms for each connect.
  // The default, 2, is for loopback only and does not count spoofed connections as such. The client
  // must find a port again as fast.
  if (absl::Status s = pod.client.Sysctl("net.ipv4.tcp_tw_reuse", "1"); !s.ok()) return s;
  return pod.space.Sysctl("net.ipv4.tcp_tw_reuse", "1");
}

absl::Status InterceptByTproxy(const Pod& pod, bool mark_spoofed) {
  for (const char* name : {"net.ipv4.tcp_fwmark_accept", "net.ipv4.fwmark_reflect"}) {
    if (absl::Status s = pod.space.Sysctl(name, "1"); !s.ok()) return s;
  }
  if (absl::Status s = pod.space.Nft(Rules(mark_spoofed)); !s.ok()) return s;
  // The first: acknowledgements that the kernel sends for a connection in TIME_WAIT must leave.
  return pod.space.Ip(absl::StrCat("rule add pref 132 iif lo fwmark ", kInterceptedMark,
                                   " lookup main\nrule add fwmark ", kInterceptedMark,
                                   " lookup 133\n",  //
                                   "rule add fwmark ", kUpstreamMark, " lookup 133\n",
                                   "route add local default dev lo table 133\n"));
}

Inside::Inside(const lab::Namespace& space)
    : home_(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
  const int target = open(space.path().c_str(), O_RDONLY | O_CLOEXEC);
  ok_ = target >= 0 && setns(target, CLONE_NEWNET) == 0;
  if (target >= 0) close(target);
}

Inside::~Inside() {
  (void)!setns(home_, CLONE_NEWNET);
  close(home_);
}

}  // namespace whence::bench
