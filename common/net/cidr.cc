#include "common/net/cidr.h"

#include <charconv>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "common/base/utf8.h"

namespace whence::net {
namespace {

// Bits of the 16-byte form that belong to the network.
int PrefixBits(bool is_v4, int prefix_length) { return is_v4 ? 96 + prefix_length : prefix_length; }

IpAddress::Bytes Masked(const IpAddress& address, int bits, uint8_t host_fill) {
  IpAddress::Bytes bytes = address.bytes();
  for (int i = 0; i < 16; ++i) {
    const int kept = bits - 8 * i;
    if (kept >= 8) continue;
    const uint8_t mask = kept <= 0 ? 0 : static_cast<uint8_t>(0xff << (8 - kept));
    bytes[i] = static_cast<uint8_t>((bytes[i] & mask) | (host_fill & ~mask));
  }
  return bytes;
}

}  // namespace

Cidr::Cidr(const IpAddress& address, int prefix_length)
    : network_(IpAddress::FromV6(Masked(address, PrefixBits(address.is_v4(), prefix_length), 0))),
      prefix_length_(static_cast<uint8_t>(prefix_length)),
      has_host_bits_(network_ != address) {}

const IpAddress Cidr::last() const {
  return IpAddress::FromV6(Masked(network_, PrefixBits(is_v4(), prefix_length_), 0xff));
}

absl::StatusOr<Cidr> Cidr::Parse(std::string_view text) {
  const auto error = [text](std::string_view expectation) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", ValidUtf8(CutUtf8(text, 64)), "\": ", ToAbsl(expectation)));
  };
  const size_t slash = text.find('/');
  const auto address = IpAddress::Parse(text.substr(0, slash));
  if (!address) return error("not an IP address or CIDR");
  if (slash == std::string_view::npos) return Cidr(*address);

  const std::string_view digits = text.substr(slash + 1);
  int length = 0;
  const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  const bool is_number = ec == std::errc() && end == digits.data() + digits.size() &&
                         digits[0] != '-' && digits[0] != '+';
  const bool written_as_v6 = text.find(':') != std::string_view::npos;
  const int limit = written_as_v6 ? 128 : 32;
  if (!is_number || length > limit)
    return error(written_as_v6 ? "prefix length must be 0..128" : "prefix length must be 0..32");
  if (digits.size() > 1 && digits[0] == '0')
    return error("prefix length must not have leading zeros");
  if (written_as_v6 && address->is_v4()) {
    if (length < 96) return error("an IPv4-mapped range needs a prefix length of 96..128");
    return Cidr(*address, length - 96);
  }
  return Cidr(*address, length);
}

bool Cidr::Contains(const IpAddress& address) const {
  if (address.is_v4() != is_v4()) return false;
  return IpAddress::FromV6(Masked(address, PrefixBits(is_v4(), prefix_length_), 0)) == network_;
}

std::string Cidr::ToString() const {
  return absl::StrCat(network_.ToString(), "/", prefix_length_);
}

}  // namespace whence::net
