// v1::WorkloadBundle -> snapshot::Snapshot.
//
// The last check before a configuration takes effect, and the one whose text a NACK carries: it
// trusts nothing that the control plane should have checked.
#ifndef WHENCE_COMMON_WIRE_SNAPSHOT_DECODER_H_
#define WHENCE_COMMON_WIRE_SNAPSHOT_DECODER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/snapshot/snapshot.h"
#include "common/wire/ip_set.h"
#include "whence/v1/resources.pb.h"

namespace whence::wire {

// Refuses whole: InvalidArgument names every bad field, one a line, each with its path in the
// bundle
// ("listeners[0].virtual_hosts[1].routes[2].cluster: ..."). Every set named in `bundle.ip_sets`
// must be in `ip_sets`.
absl::StatusOr<std::shared_ptr<const snapshot::Snapshot>> Decode(const v1::WorkloadBundle& bundle,
                                                                 std::string version,
                                                                 const IpSetMap& ip_sets);

}  // namespace whence::wire

#endif  // WHENCE_COMMON_WIRE_SNAPSHOT_DECODER_H_
