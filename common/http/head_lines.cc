#include "common/http/head_lines.h"

#include <algorithm>

#include "common/http/char_class.h"

namespace whence::http {
namespace {

// Reading one field line never looks at another: folded lines are refused, not joined (RFC
// 9112, 5.2).
ParseResult ReadField(std::string_view line, HeaderField* field) {
  size_t colon = 0;
  while (colon < line.size() && Is(kTokenChar, line[colon])) ++colon;
  if (colon == line.size()) return ParseResult::Reject(400, "field line without colon");
  if (line[colon] != ':') {
    if (colon == 0 && IsBlank(line[0])) return ParseResult::Reject(400, "folded field line");
    if (IsBlank(line[colon])) return ParseResult::Reject(400, "blank in field name");
    return ParseResult::Reject(400, "bad byte in field name");
  }
  if (colon == 0) return ParseResult::Reject(400, "empty field name");
  *field = {line.substr(0, colon), TrimBlanks(line.substr(colon + 1))};
  return ParseResult::Done();
}

void Note(FieldId id, std::string_view value, FieldLines* out) {
  out->seen |= uint32_t{1} << static_cast<int>(id);
  switch (id) {
    case FieldId::kHost:
      ++out->hosts;
      out->host = value;
      break;
    case FieldId::kTransferEncoding:
      ++out->transfer_encodings;
      out->transfer_encoding = value;
      break;
    case FieldId::kContentLength:
      if (out->content_lengths++ > 0 && value != out->content_length) {
        out->content_lengths_differ = true;
      }
      out->content_length = value;
      break;
    default:
      break;
  }
}

}  // namespace

ParseResult LineReader::Next(int too_long, std::string_view* line) {
  const size_t end = FindControl(window_, at_);
  if (end + 1 < window_.size()) {
    if (window_[end] == '\r' && window_[end + 1] == '\n') {
      *line = window_.substr(at_, end - at_);
      at_ = end + 2;
      return ParseResult::Done();
    }
    if (window_[end] == '\r') return ParseResult::Reject(400, "bare CR");
  }
  // Nothing, or the very last byte: only a CR can still become a line end.
  if (end < window_.size() && window_[end] != '\r') {
    return ParseResult::Reject(400, window_[end] == '\n' ? "bare LF" : "control byte in head");
  }
  if (window_.size() == limit_) return ParseResult::Reject(too_long, kHeadTooLarge);
  return ParseResult::NeedMore();
}

ParseResult ReadFields(LineReader& lines, const HeadLimits& limits, HeadStorage& storage,
                       FieldLines* out) {
  const size_t max_fields = std::min(limits.max_fields, FieldSet::kCapacity);
  size_t count = 0;
  for (;;) {
    std::string_view line;
    if (auto result = lines.Next(431, &line); !result.done()) return result;
    if (line.empty()) break;
    if (count == max_fields) return ParseResult::Reject(431, kTooManyFields);
    HeaderField& field = storage.fields[count];
    if (auto result = ReadField(line, &field); !result.done()) return result;
    const FieldId id = IdentifyField(field.name);
    storage.ids[count++] = id;
    if (id != FieldId::kOther) Note(id, field.value, out);
  }
  out->fields = {storage.fields.data(), count};
  out->ids = {storage.ids.data(), count};
  return ParseResult::Done();
}

std::optional<uint64_t> ParseContentLength(std::string_view value) {
  // 19 digits cannot overflow 64 bits, and 2^63-1 has 19.
  if (value.empty() || value.size() > 19) return std::nullopt;
  uint64_t length = 0;
  for (char c : value) {
    if (c < '0' || c > '9') return std::nullopt;
    length = length * 10 + static_cast<uint64_t>(c - '0');
  }
  if (length > INT64_MAX) return std::nullopt;
  return length;
}

bool WorthParsing(std::string_view bytes, const HeadLimits& limits, HeadProgress& progress) {
  const std::string_view window = bytes.substr(0, limits.max_bytes);
  if (window.size() == limits.max_bytes) return true;  // complete or too large
  const size_t at = FindControl(window, std::min<size_t>(progress.scanned, window.size()));
  const bool may_become_line_end = at + 1 == window.size() && window[at] == '\r';
  if (at < window.size() && !may_become_line_end) return true;
  progress.scanned = static_cast<uint32_t>(at);
  return false;
}

void RememberProgress(std::string_view bytes, const ParseResult& result, HeadProgress& progress) {
  // A CR at the very end is looked at again, with what follows it.
  const bool cr_at_end = !bytes.empty() && bytes.back() == '\r';
  progress.scanned = result.status == ParseStatus::kNeedMore
                         ? static_cast<uint32_t>(bytes.size() - (cr_at_end ? 1 : 0))
                         : 0;
}

}  // namespace whence::http
