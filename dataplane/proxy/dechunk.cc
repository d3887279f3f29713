#include "dataplane/proxy/dechunk.h"

#include <cstring>

namespace whence::proxy {

http::BodyDecoder::Passed Dechunk(http::BodyDecoder& decoder, std::span<char> buffer) {
  using Kind = http::BodyDecoder::Kind;
  http::BodyDecoder::Passed passed;
  while (true) {
    const auto step =
        decoder.Next({buffer.data() + passed.consumed, buffer.size() - passed.consumed});
    switch (step.kind) {
      case Kind::kPayload:
        std::memmove(buffer.data() + passed.produced, buffer.data() + passed.consumed, step.bytes);
        passed.produced += step.bytes;
        passed.payload += step.bytes;
        break;
      case Kind::kNeedMore:
        return passed;
      case Kind::kDone:
        passed.status = http::ParseStatus::kDone;
        return passed;
      case Kind::kError:
        passed.status = http::ParseStatus::kReject;
        passed.reason = step.reason;
        return passed;
      default:
        break;
    }
    passed.consumed += step.bytes;
  }
}

}  // namespace whence::proxy
