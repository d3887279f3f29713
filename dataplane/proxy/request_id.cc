#include "dataplane/proxy/request_id.h"

#include <bit>

namespace whence::proxy {
namespace {

constexpr char kHex[] = "0123456789abcdef";

}  // namespace

RequestIds::RequestIds(std::array<uint64_t, 2> seed) : state_(seed) {
  if (state_[0] == 0 && state_[1] == 0) state_[0] = 1;  // the one state that never leaves itself
}

uint64_t RequestIds::Random() {
  const uint64_t a = state_[0];
  uint64_t b = state_[1];
  const uint64_t result = a + b;
  b ^= a;
  state_[0] = std::rotl(a, 24) ^ b ^ (b << 16);
  state_[1] = std::rotl(b, 37);
  return result;
}

std::string_view RequestIds::Next() {
  uint64_t words[2] = {Random(), Random()};
  words[0] = (words[0] & ~uint64_t{0xf000}) | 0x4000;                  // version 4
  words[1] = (words[1] & ~(uint64_t{3} << 62)) | (uint64_t{2} << 62);  // variant 10
  size_t at = 0;
  for (int digit = 0; digit < 32; ++digit) {
    if (digit == 8 || digit == 12 || digit == 16 || digit == 20) text_[at++] = '-';
    text_[at++] = kHex[(words[digit / 16] >> (60 - 4 * (digit % 16))) & 15];
  }
  return {text_.data(), text_.size()};
}

}  // namespace whence::proxy
