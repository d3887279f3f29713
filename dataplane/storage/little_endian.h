// Numbers in files, least significant byte first whatever the machine.
#ifndef WHENCE_DATAPLANE_STORAGE_LITTLE_ENDIAN_H_
#define WHENCE_DATAPLANE_STORAGE_LITTLE_ENDIAN_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace whence::storage {

inline void PutLittleEndian32(std::string* out, uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8)
    out->push_back(static_cast<char>(value >> shift & 0xff));
}

// REQUIRES: at least 4 bytes.
inline uint32_t GetLittleEndian32(std::string_view bytes) {
  uint32_t value = 0;
  for (int i = 3; i >= 0; --i)
    value = value << 8 | static_cast<uint8_t>(bytes[static_cast<size_t>(i)]);
  return value;
}

}  // namespace whence::storage

#endif  // WHENCE_DATAPLANE_STORAGE_LITTLE_ENDIAN_H_
