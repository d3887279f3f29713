// The cluster's network and its addresses.
//
//   client 123.120.247.15 ── lb 35.188.212.88 ──┬── node53 10.128.0.53 ──┬── gateway 10.32.1.221
//                                               │                        └── echo    10.32.1.205
//                                               ├── node54 10.128.0.54 ───── sleep   10.32.3.202
//                                               └── control 10.128.0.10
//
// Nodes do what kube-proxy does for the gateway's Service: they send its node port to the gateway
// pod, on whichever node that is. With policy Cluster every node takes part and hides the client
// behind its own address; with Local only the node of the pod does, and the client stays visible.
// The load balancer passes connections on with their source, as cloud load balancers do. It picks
// node54 under Cluster, so that the connection goes the long way round.
//
// Each address has an IPv6 twin that reads alike (documentation prefix outside, ULA inside).
#ifndef WHENCE_TESTS_LAB_NETWORK_H_
#define WHENCE_TESTS_LAB_NETWORK_H_

#include <array>
#include <string>

#include "absl/status/status.h"
#include "tests/lab/lab.h"

namespace whence::lab {

enum class Family { kIpv4, kIpv6 };

struct Host {
  const char* name;
  const char* v4;
  const char* v6;
  const char* node;  // of a pod; null for others

  std::string address(Family family) const { return family == Family::kIpv4 ? v4 : v6; }
};

inline constexpr Host kClient = {"client", "123.120.247.15", "2001:db8:123:120:247::15", nullptr};
inline constexpr Host kLoadBalancer = {"lb", "35.188.212.88", "2001:db8:35:188:212::88", nullptr};
inline constexpr Host kNode53 = {"node53", "10.128.0.53", "fd00:10:128::53", nullptr};
inline constexpr Host kNode54 = {"node54", "10.128.0.54", "fd00:10:128::54", nullptr};
inline constexpr Host kControl = {"control", "10.128.0.10", "fd00:10:128::10", nullptr};
inline constexpr Host kGateway = {"gateway", "10.32.1.221", "fd00:10:32:1::221", "node53"};
inline constexpr Host kEcho = {"echo", "10.32.1.205", "fd00:10:32:1::205", "node53"};
inline constexpr Host kSleep = {"sleep", "10.32.3.202", "fd00:10:32:3::202", "node54"};

inline constexpr std::array<Host, 5> kHosts = {kClient, kLoadBalancer, kNode53, kNode54, kControl};
inline constexpr std::array<Host, 3> kPods = {kGateway, kEcho, kSleep};

// What the gateway's Service publishes: the load balancer's port, the node port, the pod's port.
struct PublishedPort {
  uint16_t port;
  uint16_t node_port;
  uint16_t target_port;
};
inline constexpr std::array<PublishedPort, 2> kPublished = {{{80, 31380, 80}, {9000, 31400, 9000}}};

enum class TrafficPolicy { kCluster, kLocal };

// Creates the namespaces and cables of the lab.
absl::Status BuildNetwork(const Lab& lab);

// Changes the gateway Service's externalTrafficPolicy. New connections follow it.
absl::Status SetTrafficPolicy(const Lab& lab, TrafficPolicy policy);

// nftables text, pure.
std::string LoadBalancerRules(TrafficPolicy policy);
std::string NodeRules(const Host& node, TrafficPolicy policy);

}  // namespace whence::lab

#endif  // WHENCE_TESTS_LAB_NETWORK_H_
