// Clusters of a gateway: v1::ClusterResource -> snapshot::Cluster.
#ifndef WHENCE_COMMON_WIRE_CLUSTERS_H_
#define WHENCE_COMMON_WIRE_CLUSTERS_H_

#include <optional>
#include <string>

#include "common/proxy_protocol/handover.h"
#include "common/snapshot/cluster.h"
#include "common/wire/faults.h"
#include "whence/v1/resources.pb.h"

namespace whence::wire {

// Notes every fault below `path`; what it gives is of use only if there was none.
snapshot::Cluster DecodeCluster(const v1::ClusterResource& resource, const std::string& path,
                                Faults* faults);

// A key of hand-overs; none where `bytes` are empty.
std::optional<proxy_protocol::HandoverKey> DecodeKey(const std::string& bytes,
                                                     const std::string& path, Faults* faults);

}  // namespace whence::wire

#endif  // WHENCE_COMMON_WIRE_CLUSTERS_H_
