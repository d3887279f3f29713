#include "common/http/response_head.h"

#include "common/base/strings.h"
#include "common/http/char_class.h"
#include "common/http/head_lines.h"
#include "common/http/hop_by_hop.h"

namespace whence::http {
namespace {

constexpr ParseResult Refuse(std::string_view reason) { return ParseResult::Reject(502, reason); }

// "HTTP/1.1 200 OK", "HTTP/1.1 200 ", "HTTP/1.1 200".
ParseResult ReadStatusLine(std::string_view line, ResponseHead* out) {
  if (line.starts_with("HTTP/1.1 ")) {
    out->minor_version = 1;
  } else if (line.starts_with("HTTP/1.0 ")) {
    out->minor_version = 0;
  } else {
    return Refuse("malformed status line");
  }
  const std::string_view rest = line.substr(9);
  if (rest.size() < 3 || (rest.size() > 3 && rest[3] != ' ')) return Refuse("malformed status");
  for (char c : rest.substr(0, 3)) {
    if (c < '0' || c > '9') return Refuse("malformed status");
    out->status = out->status * 10 + (c - '0');
  }
  if (out->status < 100) return Refuse("malformed status");
  if (rest.size() > 4) out->reason = rest.substr(4);
  return ParseResult::Done();
}

ParseResult ReadConnection(const FieldLines& lines, const ResponseContext& context,
                           ResponseHead* out) {
  const ConnectionOptions options =
      ReadConnectionOptions(lines.fields, lines.ids, /*upgrade_may_pass=*/out->status == 101);
  if (!options.error.empty()) return Refuse(options.error);
  if (out->status == 101) {
    if (!context.upgrade_requested) return Refuse("unasked 101");
    if (options.upgrade.empty() || out->minor_version == 0) return Refuse("101 without Upgrade");
  }
  out->hop_by_hop = options.drop;
  out->keep_alive = !options.close && (out->minor_version == 1 || options.keep_alive);
  return ParseResult::Done();
}

// RFC 9112, 6.3. The two lengths are judged first, also where no body follows: a cache behind us
// may use them.
ParseResult ReadFraming(const FieldLines& lines, const ResponseContext& context,
                        ResponseHead* out) {
  if (lines.content_lengths_differ) return Refuse("several Content-Length fields");
  if (lines.content_lengths > 0) {
    const auto length = ParseContentLength(lines.content_length);
    if (!length) return Refuse("malformed Content-Length");
    out->content_length = *length;
  }
  if (lines.transfer_encodings > 0) {
    if (lines.content_lengths > 0) return Refuse("Content-Length with Transfer-Encoding");
    if (out->minor_version == 0) return Refuse("Transfer-Encoding in HTTP/1.0");
    if (lines.transfer_encodings > 1 || !EqualsIgnoreCase(lines.transfer_encoding, "chunked")) {
      return Refuse("transfer coding other than chunked");
    }
  }

  const bool success = out->status >= 200 && out->status < 300;
  if (out->status == 101 || (context.connect && success)) {
    out->tunnel = true;
    out->framing = BodyFraming::kUntilClose;
  } else if (context.head || out->status < 200 || out->status == 204 || out->status == 304) {
    out->framing = BodyFraming::kNone;
  } else if (lines.transfer_encodings > 0) {
    out->framing = BodyFraming::kChunked;
  } else if (lines.content_lengths > 0) {
    out->framing = BodyFraming::kContentLength;
  } else {
    out->framing = BodyFraming::kUntilClose;
  }
  if (out->framing == BodyFraming::kUntilClose) out->keep_alive = false;

  // 1xx, 204 and a tunnel must not carry either field (RFC 9110, 8.6; RFC 9112, 6.1).
  if (out->status < 200 || out->status == 204 || out->tunnel) {
    lines.AddAll(FieldId::kContentLength, out->hop_by_hop);
    lines.AddAll(FieldId::kTransferEncoding, out->hop_by_hop);
  } else if (lines.content_lengths > 1) {
    lines.AddAll(FieldId::kContentLength, out->hop_by_hop);
    for (size_t i = 0; i < lines.ids.size(); ++i) {
      if (lines.ids[i] == FieldId::kContentLength) {
        out->hop_by_hop.Remove(i);
        break;
      }
    }
  }
  if (out->framing != BodyFraming::kContentLength) out->content_length = 0;
  return ParseResult::Done();
}

ParseResult Parse(std::string_view bytes, const HeadLimits& limits, const ResponseContext& context,
                  HeadStorage& storage, ResponseHead* out) {
  *out = ResponseHead();
  LineReader reader(bytes, limits);
  std::string_view line;
  if (auto result = reader.Next(502, &line); !result.done()) return result;
  if (auto result = ReadStatusLine(line, out); !result.done()) return result;
  FieldLines lines;
  if (auto result = ReadFields(reader, limits, storage, &lines); !result.done()) return result;
  out->fields = lines.fields;
  out->ids = lines.ids;
  out->head_bytes = reader.position();
  if (auto result = ReadConnection(lines, context, out); !result.done()) return result;
  return ReadFraming(lines, context, out);
}

}  // namespace

ParseResult ParseResponseHead(std::string_view bytes, const HeadLimits& limits,
                              const ResponseContext& context, HeadStorage& storage,
                              ResponseHead* out, HeadProgress* progress) {
  if (progress != nullptr && progress->scanned > 0 && !WorthParsing(bytes, limits, *progress)) {
    return ParseResult::NeedMore();
  }
  ParseResult result = Parse(bytes, limits, context, storage, out);
  // The shared line reader answers as for a request.
  if (result.status == ParseStatus::kReject) result.http_status = 502;
  if (progress != nullptr) RememberProgress(bytes, result, *progress);
  return result;
}

}  // namespace whence::http
