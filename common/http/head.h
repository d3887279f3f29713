// What request heads and response heads have in common: limits, storage, progress and the answer of
// a parser.
#ifndef WHENCE_COMMON_HTTP_HEAD_H_
#define WHENCE_COMMON_HTTP_HEAD_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/http/field_id.h"
#include "common/http/field_set.h"
#include "common/http/header_field.h"

namespace whence::http {

struct HeadLimits {
  size_t max_bytes = 61440;  // start line, fields and the empty line, all line ends included
  size_t max_fields = 100;   // at most FieldSet::kCapacity counts
  bool connect_enabled = false;
};

// Where a parser puts the fields. About 4 KB: one per worker is enough, for a head is parsed, used
// and forwarded before the next is parsed. Its content means something only until the next call
// that uses it.
struct HeadStorage {
  std::array<HeaderField, FieldSet::kCapacity> fields;
  std::array<FieldId, FieldSet::kCapacity> ids;
};

// How far the search for the next line of a head got; one per connection. With it, a head that
// arrives in many small pieces costs linear time; without it, every call starts over. Zero it (or
// assign HeadProgress{}) when a new head begins; a parser does so itself when it answers kDone or
// kReject.
struct HeadProgress {
  uint32_t scanned = 0;
};

// How the end of a message body is found (RFC 9112, section 6).
enum class BodyFraming : uint8_t {
  kNone,
  kContentLength,
  kChunked,
  kUntilClose,  // responses only: the body ends with the connection
};

// The reasons of a head that exceeds HeadLimits.
inline constexpr std::string_view kHeadTooLarge = "head too large";
inline constexpr std::string_view kTooManyFields = "too many fields";

enum class ParseStatus : uint8_t { kDone, kNeedMore, kReject };

struct ParseResult {
  ParseStatus status;
  int http_status = 0;      // kReject: what to answer; always 502 for a response head
  std::string_view reason;  // kReject: static text for the access record, "bare CR"

  static constexpr ParseResult Done() { return {ParseStatus::kDone, 0, {}}; }
  static constexpr ParseResult NeedMore() { return {ParseStatus::kNeedMore, 0, {}}; }
  static constexpr ParseResult Reject(int http_status, std::string_view reason) {
    return {ParseStatus::kReject, http_status, reason};
  }
  bool done() const { return status == ParseStatus::kDone; }
  bool over_limit() const {  // kReject
    return reason == kHeadTooLarge || reason == kTooManyFields;
  }
  friend bool operator==(const ParseResult&, const ParseResult&) = default;
};

}  // namespace whence::http

#endif  // WHENCE_COMMON_HTTP_HEAD_H_
