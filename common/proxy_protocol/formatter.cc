#include "common/proxy_protocol/formatter.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>

#include "common/base/crc32c.h"
#include "common/proxy_protocol/versions.h"

namespace whence::proxy_protocol {
namespace {

constexpr size_t kMaxBlockBytes = 65535;
constexpr size_t kLengthAt = 14;

// Appends within bounds; once something did not fit, ok() stays false.
class Writer {
 public:
  explicit Writer(std::span<char> out) : out_(out) {}

  void Put(std::string_view bytes) {
    if (!ok_ || out_.size() - size_ < bytes.size()) {
      ok_ = false;
      return;
    }
    if (!bytes.empty()) std::memcpy(out_.data() + size_, bytes.data(), bytes.size());
    size_ += bytes.size();
  }
  void PutByte(uint8_t byte) {
    const char c = static_cast<char>(byte);
    Put({&c, 1});
  }
  void PutUint16(size_t value) {
    PutByte(static_cast<uint8_t>(value >> 8));
    PutByte(static_cast<uint8_t>(value));
  }
  void PutUint32(uint32_t value) {
    PutUint16(value >> 16);
    PutUint16(value & 0xffff);
  }
  // REQUIRES: ok(), and two bytes were written at `at`.
  void SetUint16(size_t at, size_t value) {
    out_[at] = static_cast<char>(value >> 8);
    out_[at + 1] = static_cast<char>(value);
  }

  bool ok() const { return ok_; }
  size_t size() const { return size_; }
  std::string_view written() const { return {out_.data(), size_}; }

 private:
  const std::span<char> out_;
  size_t size_ = 0;
  bool ok_ = true;
};

bool BothIpv4(const Addresses& addresses) {
  return addresses.source.ip.is_v4() && addresses.destination.ip.is_v4();
}

void PutAddressText(const net::IpAddress& ip, bool as_ipv6, Writer* writer) {
  char text[net::IpAddress::kMaxTextSize];
  if (as_ipv6 && ip.is_v4()) writer->Put("::ffff:");
  writer->Put({text, ip.Format(text)});
}

void PutPortText(uint16_t port, Writer* writer) {
  char text[5];
  const auto end = std::to_chars(text, text + sizeof text, port).ptr;
  writer->Put({text, static_cast<size_t>(end - text)});
}

void PutAddressBytes(const net::IpAddress& ip, bool as_ipv6, Writer* writer) {
  const std::string_view bytes(reinterpret_cast<const char*>(ip.bytes().data()), 16);
  writer->Put(as_ipv6 ? bytes : bytes.substr(12));
}

}  // namespace

std::optional<size_t> FormatV1(const std::optional<Addresses>& addresses, std::span<char> out) {
  Writer writer(out);
  writer.Put(kSignatureV1);
  if (!addresses) {
    writer.Put("UNKNOWN");
  } else {
    const bool as_ipv6 = !BothIpv4(*addresses);
    writer.Put(as_ipv6 ? "TCP6 " : "TCP4 ");
    PutAddressText(addresses->source.ip, as_ipv6, &writer);
    writer.Put(" ");
    PutAddressText(addresses->destination.ip, as_ipv6, &writer);
    writer.Put(" ");
    PutPortText(addresses->source.port, &writer);
    writer.Put(" ");
    PutPortText(addresses->destination.port, &writer);
  }
  writer.Put("\r\n");
  if (!writer.ok()) return std::nullopt;
  return writer.size();
}

std::optional<size_t> FormatV2(const std::optional<Addresses>& addresses, std::span<const Tlv> tlvs,
                               Checksum checksum, std::span<char> out) {
  Writer writer(out);
  writer.Put(kSignatureV2);
  writer.PutByte(addresses ? kV2Proxy : kV2Local);
  const bool as_ipv6 = addresses && !BothIpv4(*addresses);
  writer.PutByte(!addresses ? kV2Unspecified : as_ipv6 ? kV2StreamIpv6 : kV2StreamIpv4);
  writer.PutUint16(0);  // the length, known at the end
  if (addresses) {
    PutAddressBytes(addresses->source.ip, as_ipv6, &writer);
    PutAddressBytes(addresses->destination.ip, as_ipv6, &writer);
    writer.PutUint16(addresses->source.port);
    writer.PutUint16(addresses->destination.port);
  }
  for (const Tlv& tlv : tlvs) {
    if (tlv.value.size() > kMaxBlockBytes) return std::nullopt;
    writer.PutByte(tlv.type);
    writer.PutUint16(tlv.value.size());
    writer.Put(tlv.value);
  }
  size_t sum_bytes = 0;
  if (checksum == Checksum::kCrc32c) {
    sum_bytes = sizeof(uint32_t);
    writer.PutByte(kTlvCrc32c);
    writer.PutUint16(sum_bytes);
  }
  const size_t block = writer.size() - std::min(writer.size(), kV2FixedBytes) + sum_bytes;
  if (!writer.ok() || block > kMaxBlockBytes) return std::nullopt;
  writer.SetUint16(kLengthAt, block);
  if (checksum == Checksum::kCrc32c) {
    constexpr std::string_view kZeros{"\0\0\0\0", sizeof(uint32_t)};
    writer.PutUint32(Crc32c(kZeros, Crc32c(writer.written())));
    if (!writer.ok()) return std::nullopt;
  }
  return writer.size();
}

}  // namespace whence::proxy_protocol
