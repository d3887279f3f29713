// Message bodies as they arrive: where payload begins and ends (RFC 9112, sections 6 and 7).
//
// The decoder never copies and never keeps bytes: it looks at the front of what the caller has and
// says what that is. Framing lines (chunk sizes, trailers) are judged only when they are complete,
// so up to kMaxFramingLine bytes must fit the caller's buffer.
//
//   received   5;ext=1 CRLF hello CRLF 0 CRLF X-T: 1 CRLF CRLF GET …
//   steps      ^--kChunk--^ ^kPayload ^----kFraming---- … ----^ ^ not ours: kDone, 0 bytes
//
// Chunk extensions are dropped, sizes rewritten without leading zeros: what leaves is the one way
// to write this body, so an origin that reads chunk extensions or odd sizes in its own way has
// nothing to read.
#ifndef WHENCE_COMMON_HTTP_BODY_DECODER_H_
#define WHENCE_COMMON_HTTP_BODY_DECODER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "common/http/head.h"

namespace whence::http {

// Longest chunk-size line with extensions, and longest trailer line.
inline constexpr size_t kMaxChunkLine = 256;
inline constexpr size_t kMaxTrailerBytes = 8192;  // the whole trailer section
inline constexpr size_t kMaxFramingLine = kMaxTrailerBytes;

enum class TrailerPolicy : uint8_t { kDrop, kForwardSafe };  // see TrailerMayPass

// Thread-compatible; 16 bytes, trivially copyable.
class BodyDecoder {
 public:
  enum class Kind : uint8_t {
    kPayload,     // `bytes` of body
    kChunk,       // a chunk-size line of `bytes`; `chunk_size` > 0 bytes of payload follow
    kChunkEnd,    // the line end behind a chunk's payload
    kLastChunk,   // the line of the last, empty chunk
    kTrailer,     // one trailer line of `bytes`; `trailer` is the field
    kTrailerEnd,  // the empty line: the body ends behind it
    kNeedMore,    // nothing complete in front; give more behind the same bytes
    kDone,        // the body is over; the bytes in front are not part of it
    kError,       // malformed; `reason` says how. Stays so
  };
  struct Step {
    Kind kind;
    size_t bytes = 0;
    uint64_t chunk_size = 0;
    HeaderField trailer;
    std::string_view reason;
  };

  BodyDecoder() = default;  // no body
  BodyDecoder(BodyFraming framing, uint64_t content_length);

  // Looks at the front of `input` and moves on past what it reports.
  Step Next(std::string_view input);

  // The connection ended. True if the body is complete then.
  bool EndOfInput();

  bool done() const { return state_ == State::kDone; }
  bool failed() const { return state_ == State::kFailed; }
  BodyFraming framing() const { return framing_; }

  // Payload bytes that come next without any framing between them; what a caller may move by
  // splice, and then say so with AdvancePayload. UINT64_MAX for kUntilClose.
  uint64_t payload_ahead() const;
  void AdvancePayload(uint64_t bytes);  // REQUIRES: bytes <= payload_ahead()

  // Pass-through: rewrites the front of `buffer` in place to the normal form of what it holds.
  struct Passed {
    size_t consumed = 0;  // of the buffer; the rest stays where it was
    size_t produced = 0;  // bytes at the front of the buffer to forward; <= consumed
    size_t payload = 0;   // body bytes among them
    ParseStatus status = ParseStatus::kNeedMore;  // kDone: the body ended after them
    std::string_view reason;                      // kReject
  };
  Passed PassThrough(std::span<char> buffer, TrailerPolicy trailers = TrailerPolicy::kDrop);

 private:
  enum class State : uint8_t { kPayload, kSizeLine, kChunkEnd, kTrailers, kDone, kFailed };

  Step Fail(std::string_view reason);
  Step SizeLine(std::string_view input);
  Step TrailerLine(std::string_view input);

  uint64_t left_ = 0;  // payload bytes of the body or of the chunk at hand
  uint32_t trailer_bytes_ = 0;
  BodyFraming framing_ = BodyFraming::kNone;
  State state_ = State::kDone;
};

}  // namespace whence::http

#endif  // WHENCE_COMMON_HTTP_BODY_DECODER_H_
