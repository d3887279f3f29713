// Reads the PROXY protocol header (haproxy.org, proxy-protocol.txt, versions 1 and 2) that a
// proxy puts before the bytes of a connection to say whose they are.
//
//   v1   PROXY TCP4 203.0.113.7 10.0.0.1 51234 443\r\n                       one line of text
//   v2   \r\n\r\n\0\r\nQUIT\n | 0x21 | 0x11 | length | addresses | TLVs …     binary
//         signature             version  family  of what follows
//                               command  transport
//
// Whoever may send such a header chooses the client's address; so it is read strictly, and whether
// this peer may is asked before (trust::ProxyHeaderRuleFor). Where the protocol text leaves a
// choice, or where known receivers are laxer than it, we take the strict side: a v1 line has at
// most 107 bytes, ports have no sign or leading zero, no blank before the line's end, a checksum
// (CRC32C) that is there is right. Addresses must be such as a connection can have.
//
// Incremental: the caller shows all bytes from the first one on; an answer other than kNeedMore
// stays the same whatever follows. Pure; allocates nothing.
#ifndef WHENCE_COMMON_PROXY_PROTOCOL_PARSER_H_
#define WHENCE_COMMON_PROXY_PROTOCOL_PARSER_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/net/socket_address.h"
#include "common/proxy_protocol/tlv.h"

namespace whence::proxy_protocol {

inline constexpr std::string_view kSignatureV1 = "PROXY ";
inline constexpr std::string_view kSignatureV2{"\r\n\r\n\0\r\nQUIT\n", 12};
inline constexpr size_t kMaxV1Bytes = 107;         // with CRLF
inline constexpr size_t kMaxV2Bytes = 16 + 65535;  // what the length field can say

// Whether it has begun as a header; then only a header can become of it.
inline bool HasSignature(std::string_view bytes) {
  return bytes.starts_with(kSignatureV1) || bytes.starts_with(kSignatureV2);
}

// What may come. A header of a version that is not allowed is refused, never passed on as payload.
struct ParseOptions {
  // Without a header the connection's bytes are payload (kAbsent) as soon as they can be none.
  bool allow_missing = false;
  bool allow_v1 = true;
  bool allow_v2 = true;
  // A v2 header that announces more is refused at once.
  size_t max_bytes = kMaxV2Bytes;
};

enum class ParseStatus : uint8_t { kDone, kNeedMore, kReject, kAbsent };

struct Header {
  uint8_t version = 0;
  size_t bytes = 0;  // the header's; the payload starts behind it
  // False: v2 LOCAL (the proxy's own connection, such as a health check) or a client that the proxy
  // does not know: the real addresses of the connection hold, and nothing below is set.
  bool has_addresses = false;
  bool is_ipv6 = false;  // the family it was written in; the addresses are canonical
  net::SocketAddress source;
  net::SocketAddress destination;
  std::string_view tlvs;  // v2: whole TLVs, for TlvReader; borrowed from the parsed bytes
};

struct ParseResult {
  ParseStatus status = ParseStatus::kNeedMore;
  std::string_view reason = {};  // of a kReject, for people

  static ParseResult Done() { return {ParseStatus::kDone}; }
  static ParseResult NeedMore() { return {ParseStatus::kNeedMore}; }
  static ParseResult Absent() { return {ParseStatus::kAbsent}; }
  static ParseResult Reject(std::string_view reason) { return {ParseStatus::kReject, reason}; }
};

// `bytes` are the first of the connection. Writes `out` on kDone only.
ParseResult Parse(std::string_view bytes, const ParseOptions& options, Header* out);

}  // namespace whence::proxy_protocol

#endif  // WHENCE_COMMON_PROXY_PROTOCOL_PARSER_H_
