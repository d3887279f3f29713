// What ServiceEntries say of hosts outside of the mesh.
#ifndef WHENCE_COMMON_BUNDLE_SERVICE_ENTRIES_H_
#define WHENCE_COMMON_BUNDLE_SERVICE_ENTRIES_H_

#include <string>

#include "common/bundle/config_view.h"
#include "common/bundle/destination_rules.h"
#include "whence/v1/resources.pb.h"

namespace whence::bundle {

// The entry for `host` (as written, lower case): of the longest name that fits, the first in the
// order of documents. Null: none.
const v1::ServiceEntrySpec* FindServiceEntry(const ConfigView& view, const std::string& host);

// Adds the entry's endpoints, or the names that the agent is to ask DNS for. `port` 0: the entry's
// only one. `labels` (may be null): of those in the subset. Gives the port.
uint32_t AddEntryEndpoints(const v1::ServiceEntrySpec& entry, const std::string& host,
                           uint32_t port, const LabelMap* labels, v1::ClusterResource* cluster);

}  // namespace whence::bundle

#endif  // WHENCE_COMMON_BUNDLE_SERVICE_ENTRIES_H_
