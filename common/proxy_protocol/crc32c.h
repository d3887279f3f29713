// CRC32C (Castagnoli, RFC 3720 appendix B.4), which a PROXY protocol v2 header may carry.
#ifndef WHENCE_COMMON_PROXY_PROTOCOL_CRC32C_H_
#define WHENCE_COMMON_PROXY_PROTOCOL_CRC32C_H_

#include <cstdint>
#include <string_view>

namespace whence::proxy_protocol {

// Fed piece by piece: Crc32c(b, Crc32c(a)) is the sum of a and b together.
uint32_t Crc32c(std::string_view bytes, uint32_t before = 0);

}  // namespace whence::proxy_protocol

#endif  // WHENCE_COMMON_PROXY_PROTOCOL_CRC32C_H_
