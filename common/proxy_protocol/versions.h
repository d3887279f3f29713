// The two versions of the header, each behind its signature. Internal to this folder: callers use
// parser.h, which tells them apart.
#ifndef WHENCE_COMMON_PROXY_PROTOCOL_VERSIONS_H_
#define WHENCE_COMMON_PROXY_PROTOCOL_VERSIONS_H_

#include "common/proxy_protocol/parser.h"

namespace whence::proxy_protocol {

// REQUIRES: `bytes` starts with kSignatureV1.
ParseResult ParseV1(std::string_view bytes, Header* out);
// REQUIRES: `bytes` starts with kSignatureV2.
ParseResult ParseV2(std::string_view bytes, size_t max_bytes, Header* out);

// Layout of a v2 header, for reading and writing.
inline constexpr size_t kV2FixedBytes = 16;
inline constexpr size_t kV2AddressBytesIpv4 = 12;
inline constexpr size_t kV2AddressBytesIpv6 = 36;
inline constexpr uint8_t kV2Local = 0x20;  // version 2, command LOCAL
inline constexpr uint8_t kV2Proxy = 0x21;
inline constexpr uint8_t kV2Unspecified = 0x00;
inline constexpr uint8_t kV2StreamIpv4 = 0x11;
inline constexpr uint8_t kV2StreamIpv6 = 0x21;

}  // namespace whence::proxy_protocol

#endif  // WHENCE_COMMON_PROXY_PROTOCOL_VERSIONS_H_
