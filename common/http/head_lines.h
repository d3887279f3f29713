// Lines and fields of a head, shared by requests and responses. Internal to common/http.
#ifndef WHENCE_COMMON_HTTP_HEAD_LINES_H_
#define WHENCE_COMMON_HTTP_HEAD_LINES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "common/http/head.h"

namespace whence::http {

// Walks the lines of a head. `bytes` is cut to the limit first, so what lies beyond cannot
// influence the answer.
class LineReader {
 public:
  LineReader(std::string_view bytes, const HeadLimits& limits)
      : window_(bytes.substr(0, limits.max_bytes)), limit_(limits.max_bytes) {}

  // kDone: `*line` is the next line without its CRLF. kNeedMore or kReject (400 for a control byte
  // or bare CR/LF; `too_long` when the limit is reached first) otherwise.
  ParseResult Next(int too_long, std::string_view* line);

  size_t position() const { return at_; }

 private:
  std::string_view window_;
  size_t limit_;
  size_t at_ = 0;
};

// The fields of a head, with those that decide its framing singled out.
struct FieldLines {
  std::span<const HeaderField> fields;
  std::span<const FieldId> ids;
  uint32_t seen = 0;  // bit per FieldId
  int hosts = 0;
  int transfer_encodings = 0;
  int content_lengths = 0;
  std::string_view host, transfer_encoding, content_length;  // the last of each
  bool content_lengths_differ = false;

  void AddAll(FieldId id, FieldSet& set) const {
    for (size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] == id) set.Add(i);
    }
  }
  bool Has(FieldId id) const { return (seen >> static_cast<int>(id)) & 1; }
};

// Reads field lines up to and with the empty line.
ParseResult ReadFields(LineReader& lines, const HeadLimits& limits, HeadStorage& storage,
                       FieldLines* out);

// "1*DIGIT" up to 2^63-1.
std::optional<uint64_t> ParseContentLength(std::string_view value);

// False: since the last parse only a part of one line arrived, so a parser would ask for more
// again. True once per line at most, so that a bad line is refused when it is complete, however it
// was split. Moves `progress` on.
bool WorthParsing(std::string_view bytes, const HeadLimits& limits, HeadProgress& progress);

// After a parse: where to look on, or from the start again for the next head.
void RememberProgress(std::string_view bytes, const ParseResult& result, HeadProgress& progress);

}  // namespace whence::http

#endif  // WHENCE_COMMON_HTTP_HEAD_LINES_H_
