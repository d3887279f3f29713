// x-request-id values: random UUIDs (RFC 9562, version 4). Unique, not secret. Loop-affine.
#ifndef WHENCE_DATAPLANE_PROXY_REQUEST_ID_H_
#define WHENCE_DATAPLANE_PROXY_REQUEST_ID_H_

#include <array>
#include <cstdint>
#include <string_view>

namespace whence::proxy {

class RequestIds {
 public:
  explicit RequestIds(std::array<uint64_t, 2> seed);
  // Valid until the next call.
  std::string_view Next();

 private:
  uint64_t Random();

  std::array<uint64_t, 2> state_;  // xoroshiro128+ (Blackman and Vigna): two words, no allocation
  std::array<char, 36> text_;
};

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_REQUEST_ID_H_
