#include "common/base/crc32c.h"

#include <array>
#include <cstring>

namespace whence {
namespace {

// table[k][b]: the effect of byte b that stands k bytes before the end of an 8-byte step ("slicing
// by 8").
constexpr std::array<std::array<uint32_t, 256>, 8> MakeTable() {
  std::array<std::array<uint32_t, 256>, 8> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
    table[0][byte] = crc;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (size_t byte = 0; byte < 256; ++byte) {
      table[k][byte] = (table[k - 1][byte] >> 8) ^ table[0][table[k - 1][byte] & 0xff];
    }
  }
  return table;
}

constexpr auto kTable = MakeTable();

#if defined(__x86_64__)
// The processor's instruction for this very polynomial: a tenth of the time.
__attribute__((target("sse4.2"))) uint32_t ByInstruction(std::string_view bytes, uint32_t before) {
  uint64_t crc = ~before;
  size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + i, sizeof word);
    crc = __builtin_ia32_crc32di(crc, word);
  }
  auto rest = static_cast<uint32_t>(crc);
  for (; i < bytes.size(); ++i) {
    rest = __builtin_ia32_crc32qi(rest, static_cast<unsigned char>(bytes[i]));
  }
  return ~rest;
}

const bool kHasInstruction = __builtin_cpu_supports("sse4.2");
#endif

}  // namespace

uint32_t Crc32c(std::string_view bytes, uint32_t before) {
#if defined(__x86_64__)
  if (kHasInstruction) return ByInstruction(bytes, before);
#endif
  return Crc32cByTable(bytes, before);
}

uint32_t Crc32cByTable(std::string_view bytes, uint32_t before) {
  const auto at = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  uint32_t crc = ~before;
  size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    const uint32_t low = crc ^ (at(i) | uint32_t{at(i + 1)} << 8 | uint32_t{at(i + 2)} << 16 |
                                uint32_t{at(i + 3)} << 24);
    crc = kTable[7][low & 0xff] ^ kTable[6][(low >> 8) & 0xff] ^ kTable[5][(low >> 16) & 0xff] ^
          kTable[4][low >> 24] ^ kTable[3][at(i + 4)] ^ kTable[2][at(i + 5)] ^
          kTable[1][at(i + 6)] ^ kTable[0][at(i + 7)];
  }
  for (; i < bytes.size(); ++i) crc = (crc >> 8) ^ kTable[0][(crc ^ at(i)) & 0xff];
  return ~crc;
}

}  // namespace whence
