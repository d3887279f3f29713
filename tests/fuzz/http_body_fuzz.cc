// Message bodies. Invariants: the normal form does not depend on how the bytes were split; it
// decodes to the same payload; and its own normal form is itself.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "common/http/body_decoder.h"

namespace {

using namespace whence::http;

#define REQUIRE(condition) \
  if (!(condition)) std::abort()

struct Passed {
  std::string forwarded;
  size_t consumed = 0;
  size_t payload = 0;
  ParseStatus status = ParseStatus::kNeedMore;
  std::string_view reason;
  friend bool operator==(const Passed&, const Passed&) = default;
};

Passed Pass(BodyDecoder decoder, const std::string& bytes, size_t step, TrailerPolicy trailers) {
  Passed all;
  std::vector<char> pending;
  for (size_t fed = 0;;) {
    const size_t piece = std::min(step, bytes.size() - fed);
    pending.insert(pending.end(), bytes.begin() + static_cast<ptrdiff_t>(fed),
                   bytes.begin() + static_cast<ptrdiff_t>(fed + piece));
    fed += piece;
    pending.shrink_to_fit();
    const BodyDecoder::Passed passed = decoder.PassThrough(pending, trailers);
    REQUIRE(passed.produced <= passed.consumed && passed.consumed <= pending.size());
    all.forwarded.append(pending.data(), passed.produced);
    all.consumed += passed.consumed;
    all.payload += passed.payload;
    all.status = passed.status;
    all.reason = passed.reason;
    pending.erase(pending.begin(), pending.begin() + static_cast<ptrdiff_t>(passed.consumed));
    REQUIRE(pending.size() < kMaxFramingLine + step);
    if (passed.status != ParseStatus::kNeedMore || fed == bytes.size()) return all;
  }
}

std::string Payload(BodyDecoder decoder, std::string_view bytes) {
  std::string payload;
  for (;;) {
    const BodyDecoder::Step step = decoder.Next(bytes);
    if (step.kind == BodyDecoder::Kind::kPayload) payload += bytes.substr(0, step.bytes);
    if (step.bytes == 0) return payload;
    bytes.remove_prefix(step.bytes);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const auto trailers = data[0] & 1 ? TrailerPolicy::kForwardSafe : TrailerPolicy::kDrop;
  const bool chunked = (data[0] & 6) != 0;
  const BodyDecoder decoder = chunked ? BodyDecoder(BodyFraming::kChunked, 0)
                                      : BodyDecoder(BodyFraming::kContentLength, data[1]);
  const std::string bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const Passed whole = Pass(decoder, bytes, bytes.size() + 1, trailers);
  for (size_t step : {1, 2, 3, 7}) REQUIRE(Pass(decoder, bytes, step, trailers) == whole);

  REQUIRE(Payload(decoder, bytes) == Payload(decoder, whole.forwarded));
  const Passed again = Pass(decoder, whole.forwarded, whole.forwarded.size() + 1, trailers);
  REQUIRE(again.forwarded == whole.forwarded);
  if (whole.status == ParseStatus::kDone) REQUIRE(again.status == ParseStatus::kDone);
  return 0;
}
