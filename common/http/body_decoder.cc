#include "common/http/body_decoder.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "common/http/char_class.h"
#include "common/http/hop_by_hop.h"

namespace whence::http {
namespace {

using Kind = BodyDecoder::Kind;
using Step = BodyDecoder::Step;

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// One framing line. `missing`: not complete yet and still within the limit.
struct Line {
  std::string_view text;
  bool missing = false;
  std::string_view error;
};

Line ReadLine(std::string_view input, size_t limit) {
  const std::string_view window = input.substr(0, limit);
  const size_t end = FindControl(window, 0);
  if (end < window.size() && window[end] != '\r') return {{}, false, "control byte in framing"};
  if (end + 1 < window.size()) {
    if (window[end + 1] != '\n') return {{}, false, "bare CR in framing"};
    return {window.substr(0, end), false, {}};
  }
  if (window.size() == limit) return {{}, false, "framing line too long"};
  return {{}, true, {}};
}

}  // namespace

BodyDecoder::BodyDecoder(BodyFraming framing, uint64_t content_length) : framing_(framing) {
  switch (framing) {
    case BodyFraming::kNone:
      state_ = State::kDone;
      break;
    case BodyFraming::kContentLength:
      left_ = content_length;
      state_ = left_ == 0 ? State::kDone : State::kPayload;
      break;
    case BodyFraming::kChunked:
      state_ = State::kSizeLine;
      break;
    case BodyFraming::kUntilClose:
      left_ = UINT64_MAX;
      state_ = State::kPayload;
      break;
  }
}

Step BodyDecoder::Fail(std::string_view reason) {
  state_ = State::kFailed;
  return {.kind = Kind::kError, .reason = reason};
}

// chunk-size *( BWS ";" … ): what follows the semicolon is free text to us, for it goes no further.
Step BodyDecoder::SizeLine(std::string_view input) {
  const Line line = ReadLine(input, kMaxChunkLine);
  if (!line.error.empty()) return Fail(line.error);
  if (line.missing) return {.kind = Kind::kNeedMore};
  uint64_t size = 0;
  size_t digits = 0;
  for (; digits < line.text.size() && HexDigit(line.text[digits]) >= 0; ++digits) {
    if (digits == 16) return Fail("chunk size too large");
    size = size * 16 + static_cast<uint64_t>(HexDigit(line.text[digits]));
  }
  if (digits == 0 || size > INT64_MAX) return Fail("malformed chunk size");
  const std::string_view extension = TrimBlanks(line.text.substr(digits));
  if (line.text.size() > digits && !extension.starts_with(';')) return Fail("malformed chunk size");

  const size_t bytes = line.text.size() + 2;
  left_ = size;
  state_ = size == 0 ? State::kTrailers : State::kPayload;
  return {.kind = size == 0 ? Kind::kLastChunk : Kind::kChunk, .bytes = bytes, .chunk_size = size};
}

Step BodyDecoder::TrailerLine(std::string_view input) {
  const Line line = ReadLine(input, kMaxTrailerBytes - trailer_bytes_);
  if (!line.error.empty()) return Fail(line.error);
  if (line.missing) return {.kind = Kind::kNeedMore};
  const size_t bytes = line.text.size() + 2;
  trailer_bytes_ += static_cast<uint32_t>(bytes);
  if (line.text.empty()) {
    state_ = State::kDone;
    return {.kind = Kind::kTrailerEnd, .bytes = bytes};
  }
  const size_t colon = line.text.find(':');
  if (colon == std::string_view::npos || colon == 0 ||
      !AllAre(kTokenChar, line.text.substr(0, colon))) {
    return Fail("malformed trailer");
  }
  return {.kind = Kind::kTrailer,
          .bytes = bytes,
          .trailer = {line.text.substr(0, colon), TrimBlanks(line.text.substr(colon + 1))}};
}

Step BodyDecoder::Next(std::string_view input) {
  switch (state_) {
    case State::kDone:
      return {.kind = Kind::kDone};
    case State::kFailed:
      return {.kind = Kind::kError, .reason = "malformed body"};
    default:
      break;
  }
  if (input.empty()) return {.kind = Kind::kNeedMore};
  switch (state_) {
    case State::kPayload: {
      const auto bytes = static_cast<size_t>(std::min<uint64_t>(left_, input.size()));
      AdvancePayload(bytes);
      return {.kind = Kind::kPayload, .bytes = bytes};
    }
    case State::kSizeLine:
      return SizeLine(input);
    case State::kChunkEnd:
      if (input[0] != '\r') return Fail("chunk longer than its size");
      if (input.size() < 2) return {.kind = Kind::kNeedMore};
      if (input[1] != '\n') return Fail("chunk longer than its size");
      state_ = State::kSizeLine;
      return {.kind = Kind::kChunkEnd, .bytes = 2};
    default:
      return TrailerLine(input);
  }
}

bool BodyDecoder::EndOfInput() {
  if (framing_ == BodyFraming::kUntilClose && state_ == State::kPayload) state_ = State::kDone;
  return state_ == State::kDone;
}

uint64_t BodyDecoder::payload_ahead() const { return state_ == State::kPayload ? left_ : 0; }

void BodyDecoder::AdvancePayload(uint64_t bytes) {
  if (framing_ == BodyFraming::kUntilClose) return;
  left_ -= bytes;
  if (left_ > 0) return;
  state_ = framing_ == BodyFraming::kChunked ? State::kChunkEnd : State::kDone;
}

namespace {

// Moves kept bytes to the front of the buffer. As long as nothing was left out before them they
// stay where they are, which is the usual case: most senders write the normal form already.
class Compactor {
 public:
  explicit Compactor(std::span<char> buffer) : data_(buffer.data()) {}

  std::string_view rest(size_t size) const { return {data_ + consumed_, size - consumed_}; }

  void Keep(size_t bytes) {
    if (produced_ != consumed_) std::memmove(data_ + produced_, data_ + consumed_, bytes);
    produced_ += bytes;
    consumed_ += bytes;
  }
  void Drop(size_t bytes) { consumed_ += bytes; }
  // REQUIRES: text.size() <= bytes, so that what is written never runs over what is unread.
  void Replace(size_t bytes, std::string_view text) {
    std::memmove(data_ + produced_, text.data(), text.size());
    produced_ += text.size();
    consumed_ += bytes;
  }

  size_t consumed() const { return consumed_; }
  size_t produced() const { return produced_; }

 private:
  char* data_;
  size_t consumed_ = 0;
  size_t produced_ = 0;
};

// "1a2b\r\n". Never longer than the line it replaces, which had at least the same digits.
size_t FormatSize(uint64_t size, char (&out)[20]) {
  char* end = std::to_chars(out, out + 16, size, 16).ptr;
  *end++ = '\r';
  *end++ = '\n';
  return static_cast<size_t>(end - out);
}

}  // namespace

BodyDecoder::Passed BodyDecoder::PassThrough(std::span<char> buffer, TrailerPolicy trailers) {
  Compactor out(buffer);
  Passed passed;
  for (;;) {
    const Step step = Next(out.rest(buffer.size()));
    char size_line[20];
    switch (step.kind) {
      case Kind::kPayload:
        out.Keep(step.bytes);
        passed.payload += step.bytes;
        continue;
      case Kind::kChunk:
      case Kind::kLastChunk:
        out.Replace(step.bytes, {size_line, FormatSize(step.chunk_size, size_line)});
        continue;
      case Kind::kChunkEnd:
      case Kind::kTrailerEnd:
        out.Keep(step.bytes);
        continue;
      case Kind::kTrailer:
        if (trailers == TrailerPolicy::kForwardSafe && TrailerMayPass(step.trailer.name)) {
          out.Keep(step.bytes);
        } else {
          out.Drop(step.bytes);
        }
        continue;
      case Kind::kNeedMore:
        passed.status = ParseStatus::kNeedMore;
        break;
      case Kind::kDone:
        passed.status = ParseStatus::kDone;
        break;
      case Kind::kError:
        passed.status = ParseStatus::kReject;
        passed.reason = step.reason;
        break;
    }
    passed.consumed = out.consumed();
    passed.produced = out.produced();
    return passed;
  }
}

}  // namespace whence::http
