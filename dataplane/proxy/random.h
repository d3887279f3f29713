// Numbers that spread evenly; anybody may guess them. Loop-affine.
#ifndef WHENCE_DATAPLANE_PROXY_RANDOM_H_
#define WHENCE_DATAPLANE_PROXY_RANDOM_H_

#include <cstdint>

namespace whence::proxy {

// SplitMix64: one addition and a mix, any seed is good.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next64() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  uint32_t Next32() { return static_cast<uint32_t>(Next64() >> 32); }

 private:
  uint64_t state_;
};

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_RANDOM_H_
