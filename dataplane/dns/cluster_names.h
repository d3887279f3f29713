// Names in a snapshot, and the snapshot with what they stand for. Pure.
#ifndef WHENCE_DATAPLANE_DNS_CLUSTER_NAMES_H_
#define WHENCE_DATAPLANE_DNS_CLUSTER_NAMES_H_

#include <memory>
#include <set>
#include <string>

#include "common/snapshot/snapshot.h"
#include "dataplane/dns/name_table.h"

namespace whence::dns {

std::set<std::string> NamesIn(const snapshot::Snapshot& snapshot);

// `base` itself if it has no names.
std::shared_ptr<const snapshot::Snapshot> WithAddresses(
    std::shared_ptr<const snapshot::Snapshot> base, const Answers& answers);

}  // namespace whence::dns

#endif  // WHENCE_DATAPLANE_DNS_CLUSTER_NAMES_H_
