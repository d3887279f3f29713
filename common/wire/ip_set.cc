#include "common/wire/ip_set.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace whence::wire {
namespace {

constexpr size_t kV4Entry = 5;
constexpr size_t kV6Entry = 17;

uint8_t ByteAt(const std::string& bytes, size_t at) { return static_cast<uint8_t>(bytes[at]); }

absl::Status Fault(const std::string& set, const char* field, size_t index,
                   const std::string& why) {
  return absl::InvalidArgumentError(
      absl::StrCat("ip set \"", set, "\": ", field, "[", index, "]: ", why));
}

absl::Status DecodeV4(const v1::IpSetResource& resource, std::vector<net::Cidr>* out) {
  const std::string& bytes = resource.v4();
  for (size_t at = 0; at < bytes.size(); at += kV4Entry) {
    const int length = ByteAt(bytes, at + 4);
    if (length > 32) {
      return Fault(resource.name(), "v4", at / kV4Entry,
                   absl::StrCat("prefix length ", length, " is not 0..32"));
    }
    out->emplace_back(net::IpAddress::FromV4({ByteAt(bytes, at), ByteAt(bytes, at + 1),
                                              ByteAt(bytes, at + 2), ByteAt(bytes, at + 3)}),
                      length);
  }
  return absl::OkStatus();
}

absl::Status DecodeV6(const v1::IpSetResource& resource, std::vector<net::Cidr>* out) {
  const std::string& bytes = resource.v6();
  for (size_t at = 0; at < bytes.size(); at += kV6Entry) {
    net::IpAddress::Bytes address;
    for (size_t i = 0; i < address.size(); ++i) address[i] = ByteAt(bytes, at + i);
    const auto network = net::IpAddress::FromV6(address);
    const int length = ByteAt(bytes, at + 16);
    if (length > 128) {
      return Fault(resource.name(), "v6", at / kV6Entry,
                   absl::StrCat("prefix length ", length, " is not 0..128"));
    }
    // A mapped address is IPv4 and its length would count in the other family.
    if (network.is_v4()) {
      return Fault(resource.name(), "v6", at / kV6Entry,
                   absl::StrCat(network.ToString(), " is IPv4 and belongs to v4"));
    }
    out->emplace_back(network, length);
  }
  return absl::OkStatus();
}

}  // namespace

v1::IpSetResource EncodeIpSet(const std::string& name, std::vector<net::Cidr> cidrs) {
  std::sort(cidrs.begin(), cidrs.end());
  cidrs.erase(std::unique(cidrs.begin(), cidrs.end()), cidrs.end());
  v1::IpSetResource resource;
  resource.set_name(name);
  for (const net::Cidr& cidr : cidrs) {
    const auto& bytes = cidr.network().bytes();
    std::string* out = cidr.is_v4() ? resource.mutable_v4() : resource.mutable_v6();
    out->append(reinterpret_cast<const char*>(bytes.data()) + (cidr.is_v4() ? 12 : 0),
                cidr.is_v4() ? 4 : 16);
    out->push_back(static_cast<char>(cidr.prefix_length()));
  }
  return resource;
}

absl::StatusOr<std::shared_ptr<const net::CidrSet>> DecodeIpSet(const v1::IpSetResource& resource) {
  if (resource.v4().size() % kV4Entry != 0 || resource.v6().size() % kV6Entry != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "ip set \"", resource.name(), "\": v4 has ", resource.v4().size(), " bytes and v6 ",
        resource.v6().size(), "; expected multiples of 5 and of 17"));
  }
  std::vector<net::Cidr> cidrs;
  cidrs.reserve(resource.v4().size() / kV4Entry + resource.v6().size() / kV6Entry);
  if (absl::Status status = DecodeV4(resource, &cidrs); !status.ok()) return status;
  if (absl::Status status = DecodeV6(resource, &cidrs); !status.ok()) return status;
  return std::make_shared<const net::CidrSet>(std::move(cidrs));
}

}  // namespace whence::wire
