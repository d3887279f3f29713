// Version 2: signature, version and command, family and transport, length, addresses, TLVs.
#include <algorithm>
#include <array>

#include "common/base/crc32c.h"
#include "common/proxy_protocol/versions.h"

namespace whence::proxy_protocol {
namespace {

constexpr uint8_t kFamilyIpv4 = 1;
constexpr uint8_t kFamilyIpv6 = 2;
constexpr uint8_t kStream = 1;
constexpr uint8_t kDatagram = 2;  // accepted: senders have been seen to write it before TCP
constexpr size_t kCrcBytes = 4;

uint8_t ByteAt(std::string_view bytes, size_t at) { return static_cast<uint8_t>(bytes[at]); }

uint16_t PortAt(std::string_view bytes, size_t at) {
  return static_cast<uint16_t>(ByteAt(bytes, at) << 8 | ByteAt(bytes, at + 1));
}

net::IpAddress AddressAt(std::string_view bytes, size_t at, bool is_ipv6) {
  if (is_ipv6) {
    net::IpAddress::Bytes address;
    std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(at), address.size(), address.begin());
    return net::IpAddress::FromV6(address);
  }
  return net::IpAddress::FromV4(
      {ByteAt(bytes, at), ByteAt(bytes, at + 1), ByteAt(bytes, at + 2), ByteAt(bytes, at + 3)});
}

// The sum over the whole header with the four bytes of the sum taken as zero.
bool IsChecksumRight(std::string_view header, std::string_view sum) {
  if (sum.size() != kCrcBytes) return false;
  const size_t at = static_cast<size_t>(sum.data() - header.data());
  constexpr std::string_view kZeros{"\0\0\0\0", kCrcBytes};
  const uint32_t wanted =
      Crc32c(header.substr(at + kCrcBytes), Crc32c(kZeros, Crc32c(header.substr(0, at))));
  const uint32_t got = uint32_t{ByteAt(sum, 0)} << 24 | uint32_t{ByteAt(sum, 1)} << 16 |
                       uint32_t{ByteAt(sum, 2)} << 8 | ByteAt(sum, 3);
  return wanted == got;
}

ParseResult CheckTlvs(std::string_view header, std::string_view tlvs) {
  TlvReader reader(tlvs);
  while (const auto tlv = reader.Next()) {
    if (tlv->type == kTlvCrc32c && !IsChecksumRight(header, tlv->value)) {
      return ParseResult::Reject("wrong checksum");
    }
  }
  return reader.complete() ? ParseResult::Done() : ParseResult::Reject("TLVs overrun the header");
}

// What the 14th byte promises. kUnknown: a client whose address the proxy cannot tell.
enum class Kind : uint8_t { kUnknown, kIpv4, kIpv6, kOther };

Kind KindOf(uint8_t family_and_transport) {
  if (family_and_transport == kV2Unspecified) return Kind::kUnknown;
  const uint8_t transport = family_and_transport & 0xf;
  if (transport != kStream && transport != kDatagram) return Kind::kOther;
  switch (family_and_transport >> 4) {
    case kFamilyIpv4:
      return Kind::kIpv4;
    case kFamilyIpv6:
      return Kind::kIpv6;
    default:
      return Kind::kOther;
  }
}

// `header` is the whole of it, and long enough for its addresses.
ParseResult ReadAddresses(std::string_view header, bool is_ipv6, Header* out) {
  const size_t ip_bytes = is_ipv6 ? 16 : 4;
  const size_t ports = kV2FixedBytes + 2 * ip_bytes;
  out->is_ipv6 = is_ipv6;
  out->source = {AddressAt(header, kV2FixedBytes, is_ipv6), PortAt(header, ports)};
  out->destination = {AddressAt(header, kV2FixedBytes + ip_bytes, is_ipv6),
                      PortAt(header, ports + 2)};
  if (!out->source.ip.is_unicast() || !out->destination.ip.is_unicast()) {
    return ParseResult::Reject("an address is not unicast");
  }
  out->has_addresses = true;
  out->tlvs = header.substr(ports + 4);
  return CheckTlvs(header, out->tlvs);
}

}  // namespace

ParseResult ParseV2(std::string_view bytes, size_t max_bytes, Header* out) {
  if (bytes.size() < kV2FixedBytes) return ParseResult::NeedMore();
  const uint8_t command = ByteAt(bytes, 12);
  if (command != kV2Local && command != kV2Proxy) {
    return ParseResult::Reject("unknown version or command");
  }
  const size_t size = kV2FixedBytes + PortAt(bytes, 14);
  if (size > max_bytes) return ParseResult::Reject("the header is too long");
  const Kind kind = command == kV2Local ? Kind::kUnknown : KindOf(ByteAt(bytes, 13));
  if (kind == Kind::kOther) return ParseResult::Reject("unsupported family or transport");
  const bool is_ipv6 = kind == Kind::kIpv6;
  const size_t address_bytes = is_ipv6 ? kV2AddressBytesIpv6 : kV2AddressBytesIpv4;
  if (kind != Kind::kUnknown && size < kV2FixedBytes + address_bytes) {
    return ParseResult::Reject("too short for its addresses");
  }
  if (bytes.size() < size) return ParseResult::NeedMore();
  Header header{.version = 2, .bytes = size};
  // Without addresses the rest is skipped by its length, whatever it is.
  const ParseResult result = kind == Kind::kUnknown
                                 ? ParseResult::Done()
                                 : ReadAddresses(bytes.substr(0, size), is_ipv6, &header);
  if (result.status == ParseStatus::kDone) *out = header;
  return result;
}

}  // namespace whence::proxy_protocol
