// CRC-32C (Castagnoli; RFC 3720, B.4), as storage formats use it: finds every torn write and nearly
// every flipped bit.
#ifndef WHENCE_DATAPLANE_STORAGE_CRC32C_H_
#define WHENCE_DATAPLANE_STORAGE_CRC32C_H_

#include <cstdint>
#include <string_view>

namespace whence::storage {

// Pure. Of "123456789": 0xe3069283.
uint32_t Crc32c(std::string_view bytes);
// The same for processors without an instruction for it.
uint32_t Crc32cByTable(std::string_view bytes);

}  // namespace whence::storage

#endif  // WHENCE_DATAPLANE_STORAGE_CRC32C_H_
