// Services and Gateways -> the node ports that a node agent takes.
#ifndef WHENCE_COMMON_BUNDLE_NODE_BUILDER_H_
#define WHENCE_COMMON_BUNDLE_NODE_BUILDER_H_

#include <vector>

#include "common/bundle/config_view.h"
#include "common/bundle/inventory.h"
#include "whence/v1/resources.pb.h"

namespace whence::bundle {

// Fills `listeners` and `clusters` of a node agent: one TCP listener for each nodePort of a Service
// (type NodePort or LoadBalancer) whose selector picks connected gateways that listen on its target
// port. Everything else stays with kube-proxy, as if there were no agent:
//   * a port behind which no gateway is known;
//   * externalTrafficPolicy Local, where kube-proxy keeps the client itself and a node without a
//     gateway is not meant to answer;
//   * sessionAffinity ClientIP, which kube-proxy keeps and we would break.
// `inventory` sorted.
void BuildNodePorts(const ConfigView& view, const std::vector<const Workload*>& inventory,
                    v1::WorkloadBundle* bundle);

}  // namespace whence::bundle

#endif  // WHENCE_COMMON_BUNDLE_NODE_BUILDER_H_
