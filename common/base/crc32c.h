// CRC-32C (Castagnoli; RFC 3720, B.4): of stored files, and of PROXY protocol v2 headers.
#ifndef WHENCE_COMMON_BASE_CRC32C_H_
#define WHENCE_COMMON_BASE_CRC32C_H_

#include <cstdint>
#include <string_view>

namespace whence {

// Pure. Of "123456789": 0xe3069283. Fed piece by piece: Crc32c(b, Crc32c(a)) is the sum of a and b
// together.
uint32_t Crc32c(std::string_view bytes, uint32_t before = 0);
// The same for processors without an instruction for it.
uint32_t Crc32cByTable(std::string_view bytes, uint32_t before = 0);

}  // namespace whence

#endif  // WHENCE_COMMON_BASE_CRC32C_H_
