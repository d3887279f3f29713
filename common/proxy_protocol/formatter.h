// Writes PROXY protocol headers. Pure; the caller owns the memory.
#ifndef WHENCE_COMMON_PROXY_PROTOCOL_FORMATTER_H_
#define WHENCE_COMMON_PROXY_PROTOCOL_FORMATTER_H_

#include <cstddef>
#include <optional>
#include <span>

#include "common/net/socket_address.h"
#include "common/proxy_protocol/tlv.h"

namespace whence::proxy_protocol {

// Whose connection it is and where it was aimed. If the families differ, both are written as IPv6
// (IPv4 as ::ffff:a.b.c.d), which any reader with canonical addresses undoes.
struct Addresses {
  net::SocketAddress source;
  net::SocketAddress destination;
};

// Enough for a header without TLVs, of either version; and for one with the proof of a hand-over.
inline constexpr size_t kMaxPlainBytes = 128;

// Each returns how many bytes were written, or nullopt if `out` is too small; then `out` holds
// nothing of use. Without addresses: "PROXY UNKNOWN", or v2 LOCAL.
std::optional<size_t> FormatV1(const std::optional<Addresses>& addresses, std::span<char> out);

// `checksum` adds a CRC32C TLV as the last. REQUIRES: no kTlvCrc32c in `tlvs`. Also nullopt if it
// is longer than a header can say. The length field counts what was written, so that no byte of a
// TLV can be taken for payload, or the other way round.
enum class Checksum { kNone, kCrc32c };
std::optional<size_t> FormatV2(const std::optional<Addresses>& addresses, std::span<const Tlv> tlvs,
                               Checksum checksum, std::span<char> out);

}  // namespace whence::proxy_protocol

#endif  // WHENCE_COMMON_PROXY_PROTOCOL_FORMATTER_H_
