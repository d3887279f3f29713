#include "common/wire/ip_set.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace whence::wire {
namespace {

absl::Status Fault(const std::string& set, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("ip set \"", set, "\": ", why));
}

}  // namespace

v1::IpSetResource EncodeIpSet(const std::string& name, const std::vector<net::Cidr>& cidrs) {
  net::PackedCidrs packed = net::Pack(cidrs);
  v1::IpSetResource resource;
  resource.set_name(name);
  resource.set_v4(std::move(packed.v4));
  resource.set_v6(std::move(packed.v6));
  return resource;
}

absl::StatusOr<net::PackedCidrs> AdvanceIpSet(const v1::IpSetResource& resource,
                                              net::PackedCidrs held) {
  const net::CidrDelta delta{{resource.v4(), resource.v6()},
                             {resource.removed_v4(), resource.removed_v6()}};
  for (const net::PackedCidrs* part : {&delta.added, &delta.removed}) {
    if (absl::Status status = net::CheckPacked(*part); !status.ok()) {
      return Fault(resource.name(), status.message());
    }
  }
  // The parts of a large set come in order.
  if (delta.removed.empty() && net::AppendBehind(delta.added, &held)) return held;
  absl::StatusOr<net::PackedCidrs> after = net::ApplyDelta(held, delta);
  if (!after.ok()) return Fault(resource.name(), after.status().message());
  return after;
}

absl::StatusOr<std::shared_ptr<const net::CidrSet>> DecodeIpSet(const v1::IpSetResource& resource) {
  if (!resource.base_version().empty() || resource.more()) {
    return Fault(resource.name(), "is only a part of a set");
  }
  absl::StatusOr<net::PackedCidrs> packed = AdvanceIpSet(resource, {});
  if (!packed.ok()) return packed.status();
  return std::make_shared<const net::CidrSet>(*packed);
}

}  // namespace whence::wire
