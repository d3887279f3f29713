// IpSetResource <-> net::CidrSet.
//
// Sets travel packed, 5 or 17 bytes a CIDR (address in network order, prefix length), because a set
// may hold a million.
#ifndef WHENCE_COMMON_WIRE_IP_SET_H_
#define WHENCE_COMMON_WIRE_IP_SET_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/net/cidr.h"
#include "common/net/cidr_set.h"
#include "common/net/packed_cidrs.h"
#include "whence/v1/resources.pb.h"

namespace whence::wire {

// By name, "namespace/name".
using IpSetMap = std::map<std::string, std::shared_ptr<const net::CidrSet>>;

// Sorted and without duplicates, so that equal sets are equal bytes.
v1::IpSetResource EncodeIpSet(const std::string& name, const std::vector<net::Cidr>& cidrs);

// InvalidArgument names the set and the entry: `ip set "ns/cdn": v4[3]: prefix length 40`. Refuses
// a resource that is only a part or a difference.
absl::StatusOr<std::shared_ptr<const net::CidrSet>> DecodeIpSet(const v1::IpSetResource& resource);

// ---- Differences --------------------------------------------------------------------------------

// What `resource` makes of `held`, the content of the version that it is a difference from (of
// none: empty). Errors as above. What it comes to is not compared with any version.
absl::StatusOr<net::PackedCidrs> AdvanceIpSet(const v1::IpSetResource& resource,
                                              net::PackedCidrs held);

}  // namespace whence::wire

#endif  // WHENCE_COMMON_WIRE_IP_SET_H_
