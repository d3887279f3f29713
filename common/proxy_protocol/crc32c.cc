#include "common/proxy_protocol/crc32c.h"

#include <array>

namespace whence::proxy_protocol {
namespace {

// One byte at a time is enough for headers of some hundred bytes, once a connection.
constexpr std::array<uint32_t, 256> MakeTable() {
  constexpr uint32_t kReversedPolynomial = 0x82f63b78;
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < table.size(); ++i) {
    uint32_t sum = i;
    for (int bit = 0; bit < 8; ++bit) sum = (sum & 1) ? (sum >> 1) ^ kReversedPolynomial : sum >> 1;
    table[i] = sum;
  }
  return table;
}

constexpr std::array<uint32_t, 256> kTable = MakeTable();

}  // namespace

uint32_t Crc32c(std::string_view bytes, uint32_t before) {
  uint32_t sum = ~before;
  for (const char c : bytes) sum = (sum >> 8) ^ kTable[(sum ^ static_cast<uint8_t>(c)) & 0xff];
  return ~sum;
}

}  // namespace whence::proxy_protocol
