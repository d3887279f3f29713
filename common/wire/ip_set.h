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
#include "whence/v1/resources.pb.h"

namespace whence::wire {

// By name, "namespace/name".
using IpSetMap = std::map<std::string, std::shared_ptr<const net::CidrSet>>;

// Sorted and without duplicates, so that equal sets are equal bytes.
v1::IpSetResource EncodeIpSet(const std::string& name, std::vector<net::Cidr> cidrs);

// InvalidArgument names the set and the entry: `ip set "ns/cdn": v4[3]: prefix length 40`.
absl::StatusOr<std::shared_ptr<const net::CidrSet>> DecodeIpSet(const v1::IpSetResource& resource);

}  // namespace whence::wire

#endif  // WHENCE_COMMON_WIRE_IP_SET_H_
