#include "tests/lab/network.h"

#include <vector>

#include "absl/strings/str_cat.h"

namespace whence::lab {
namespace {

// kube-proxy's mark for "hide the client behind the node".
constexpr char kMasqueradeMark[] = "0x4000";

// Point-to-point cables have no subnet: the other end answers to one well-known address (as Calico
// does it).
constexpr char kNextHop4[] = "169.254.1.1";
constexpr char kNextHop6[] = "fe80::1";

// The side of a point-to-point cable that has the address.
std::string LeafBatch(const Host& host) {
  return absl::StrCat("address add ", host.v4, "/32 dev eth0\n", "address add ", host.v6,
                      "/128 dev eth0 nodad\n", "link set eth0 up\n", "route add default via ",
                      kNextHop4, " dev eth0 onlink src ", host.v4, "\n", "route add default via ",
                      kNextHop6, " dev eth0 src ", host.v6, "\n");
}

// The side that routes to it and connects from `hub`'s own address.
std::string HubBatch(const Host& host, const Host& hub) {
  return absl::StrCat("address add ", kNextHop4, "/32 dev ", host.name, "\n", "address add ",
                      kNextHop6, "/64 dev ", host.name, " nodad\n", "link set ", host.name, " up\n",
                      "route add ", host.v4, "/32 dev ", host.name, " src ", hub.v4, "\n",
                      "route add ", host.v6, "/128 dev ", host.name, " src ", hub.v6, "\n");
}

// A host on the nodes' network; the load balancer is its way out.
std::string FabricBatch(const Host& host) {
  return absl::StrCat("address add ", host.v4, "/24 dev eth0\n", "address add ", host.v6,
                      "/64 dev eth0 nodad\n", "link set eth0 up\n",
                      "route add default via 10.128.0.1\n",
                      "route add default via fd00:10:128::1\n");
}

std::string PodRoutes(bool of_node53, const Host& via) {
  const char* pods = of_node53 ? "1" : "3";
  return absl::StrCat("route add 10.32.", pods, ".0/24 via ", via.v4, "\n",
                      "route add fd00:10:32:", pods, "::/64 via ", via.v6, "\n");
}

std::string FabricHubBatch() {
  std::string batch =
      "link add fabric type bridge\n"
      "address add 10.128.0.1/24 dev fabric\n"
      "address add fd00:10:128::1/64 dev fabric nodad\n"
      "link set fabric up\n";
  for (const Host& host : {kNode53, kNode54, kControl}) {
    absl::StrAppend(&batch, "link set ", host.name, " master fabric\nlink set ", host.name,
                    " up\n");
  }
  // Its public addresses; what is not translated would be answered by itself.
  absl::StrAppend(&batch, "address add ", kLoadBalancer.v4, "/32 dev lo\n", "address add ",
                  kLoadBalancer.v6, "/128 dev lo nodad\n");
  return batch + HubBatch(kClient, kLoadBalancer) + PodRoutes(true, kNode53) +
         PodRoutes(false, kNode54);
}

std::string Dnat(const char* address, bool v6, uint16_t port) {
  return v6 ? absl::StrCat("dnat ip6 to [", address, "]:", port)
            : absl::StrCat("dnat ip to ", address, ":", port);
}

const Host& NodeOf(const Host& pod) {
  return std::string_view(pod.node) == kNode53.name ? kNode53 : kNode54;
}

absl::Status Cable(const Lab& lab) {
  for (const Host& host : {kClient, kNode53, kNode54, kControl}) {
    const absl::Status status =
        ConnectByVeth(lab.Space(host.name), "eth0", lab.Space(kLoadBalancer.name), host.name);
    if (!status.ok()) return status;
  }
  for (const Host& pod : kPods) {
    const absl::Status status =
        ConnectByVeth(lab.Space(pod.name), "eth0", lab.Space(pod.node), pod.name);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Address(const Lab& lab) {
  std::vector<std::pair<std::string, std::string>> batches = {
      {kLoadBalancer.name, FabricHubBatch()},
      {kClient.name, LeafBatch(kClient)},
      {kControl.name, FabricBatch(kControl) + PodRoutes(true, kNode53) + PodRoutes(false, kNode54)},
      {kNode53.name, FabricBatch(kNode53) + PodRoutes(false, kNode54)},
      {kNode54.name, FabricBatch(kNode54) + PodRoutes(true, kNode53)}};
  for (const Host& pod : kPods) {
    batches.emplace_back(pod.node, HubBatch(pod, NodeOf(pod)));
    batches.emplace_back(pod.name, LeafBatch(pod));
  }
  for (const auto& [host, batch] : batches) {
    if (absl::Status s = lab.Space(host).Ip(batch); !s.ok()) return s;
  }
  return absl::OkStatus();
}

}  // namespace

std::string LoadBalancerRules(TrafficPolicy policy) {
  const Host& node = policy == TrafficPolicy::kLocal ? kNode53 : kNode54;
  std::string rules =
      "add table inet balance\ndelete table inet balance\ntable inet balance {\n"
      "  chain prerouting { type nat hook prerouting priority dstnat;\n";
  for (const PublishedPort& port : kPublished) {
    absl::StrAppend(&rules, "    ip daddr ", kLoadBalancer.v4, " tcp dport ", port.port, " ",
                    Dnat(node.v4, false, port.node_port), "\n");
    absl::StrAppend(&rules, "    ip6 daddr ", kLoadBalancer.v6, " tcp dport ", port.port, " ",
                    Dnat(node.v6, true, port.node_port), "\n");
  }
  return rules + "  }\n}\n";
}

std::string NodeRules(const Host& node, TrafficPolicy policy) {
  const bool has_endpoint = std::string_view(node.name) == kGateway.node;
  std::string rules =
      "add table inet kube-proxy\ndelete table inet kube-proxy\ntable inet kube-proxy {\n"
      "  chain prerouting { type nat hook prerouting priority dstnat;\n";
  for (const PublishedPort& port : kPublished) {
    const std::string match = absl::StrCat("tcp dport ", port.node_port, " ");
    for (const bool v6 : {false, true}) {
      const std::string mine =
          absl::StrCat("    ", v6 ? "ip6" : "ip", " daddr ", v6 ? node.v6 : node.v4, " ", match);
      const std::string dnat = Dnat(v6 ? kGateway.v6 : kGateway.v4, v6, port.target_port);
      if (policy == TrafficPolicy::kCluster) {
        absl::StrAppend(&rules, mine, "meta mark set ", kMasqueradeMark, " ", dnat, "\n");
      } else if (has_endpoint) {
        absl::StrAppend(&rules, mine, dnat, "\n");
      }
    }
  }
  absl::StrAppend(&rules,
                  "  }\n  chain postrouting { type nat hook postrouting priority srcnat;\n"
                  "    meta mark ",
                  kMasqueradeMark, " masquerade\n  }\n}\n");
  return rules;
}

absl::Status SetTrafficPolicy(const Lab& lab, TrafficPolicy policy) {
  for (const Host& node : {kNode53, kNode54}) {
    if (absl::Status s = lab.Space(node.name).Nft(NodeRules(node, policy)); !s.ok()) return s;
  }
  return lab.Space(kLoadBalancer.name).Nft(LoadBalancerRules(policy));
}

absl::Status BuildNetwork(const Lab& lab) {
  for (const Host& host : kHosts) {
    const bool forwards = host.name == std::string_view(kLoadBalancer.name) ||
                          std::string_view(host.name).substr(0, 4) == "node";
    if (absl::Status s = lab.Space(host.name).Create(forwards); !s.ok()) return s;
  }
  for (const Host& pod : kPods) {
    if (absl::Status s = lab.Space(pod.name).Create(false); !s.ok()) return s;
  }
  absl::Status status = Cable(lab);
  if (status.ok()) status = Address(lab);
  if (status.ok()) status = SetTrafficPolicy(lab, TrafficPolicy::kLocal);
  return status;
}

}  // namespace whence::lab
