// Tells a PROXY protocol header where nobody may send one, without making anybody wait.
//
// A stranger's header must not reach the application, which might believe it. Holding back the
// first bytes until they can be no header would stall protocols whose client says one short word
// and waits. So bytes pass as they come, and are looked at as they pass: the piece that would
// complete a signature is refused, together with the connection. At most the beginning of a
// signature, which says nothing, ever went through; and a pause in the middle changes nothing.
#ifndef WHENCE_COMMON_PROXY_PROTOCOL_SIGNATURE_GUARD_H_
#define WHENCE_COMMON_PROXY_PROTOCOL_SIGNATURE_GUARD_H_

#include <cstdint>
#include <string_view>

#include "common/proxy_protocol/parser.h"

namespace whence::proxy_protocol {

// Looks at the first bytes only; costs one comparison per piece after that. Thread-compatible.
class SignatureGuard {
 public:
  // From now on: the next bytes are the first.
  void Arm() {
    armed_ = true;
    matched_ = 0;
  }
  bool armed() const { return armed_; }

  // `bytes` follow those of the calls before. False: they complete a signature.
  bool Admits(std::string_view bytes) {
    for (const char c : bytes) {
      if (!armed_) return true;
      if (matched_ == 0) is_v1_ = c == kSignatureV1[0];
      const std::string_view signature = is_v1_ ? kSignatureV1 : kSignatureV2;
      if (matched_ == signature.size()) return false;  // refused before
      if (c != signature[matched_]) {
        armed_ = false;
      } else if (++matched_ == signature.size()) {
        return false;
      }
    }
    return true;
  }

 private:
  bool armed_ = false;
  bool is_v1_ = false;
  uint8_t matched_ = 0;
};

}  // namespace whence::proxy_protocol

#endif  // WHENCE_COMMON_PROXY_PROTOCOL_SIGNATURE_GUARD_H_
