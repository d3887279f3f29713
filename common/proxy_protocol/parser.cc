#include "common/proxy_protocol/parser.h"

#include "common/proxy_protocol/versions.h"

namespace whence::proxy_protocol {
namespace {

// What bytes that are no header are in a place where one has to be. Answered once there are enough
// for the shorter header's fixed part or a line of text has ended, as other receivers do.
constexpr size_t kEnoughToTell = 16;

bool Begins(std::string_view bytes, std::string_view signature) {
  return bytes.substr(0, signature.size()) == signature;
}
bool MayBecome(std::string_view bytes, std::string_view signature) {
  return bytes.size() < signature.size() && Begins(signature, bytes);
}

}  // namespace

ParseResult Parse(std::string_view bytes, const ParseOptions& options, Header* out) {
  if (Begins(bytes, kSignatureV2)) {
    if (!options.allow_v2) return ParseResult::Reject("a version 2 header is not allowed here");
    return ParseV2(bytes, options.max_bytes, out);
  }
  if (Begins(bytes, kSignatureV1)) {
    if (!options.allow_v1) return ParseResult::Reject("a version 1 header is not allowed here");
    return ParseV1(bytes, out);
  }
  // Also of a version that is not allowed: it will be refused, not passed on.
  if (MayBecome(bytes, kSignatureV1) || MayBecome(bytes, kSignatureV2)) {
    return ParseResult::NeedMore();
  }
  if (options.allow_missing) return ParseResult::Absent();
  const size_t line_end = bytes.substr(0, kEnoughToTell).find("\r\n", 2);
  if (bytes.size() < kEnoughToTell && line_end == std::string_view::npos) {
    return ParseResult::NeedMore();
  }
  return ParseResult::Reject("no PROXY protocol header");
}

}  // namespace whence::proxy_protocol
