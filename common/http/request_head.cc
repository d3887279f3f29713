#include "common/http/request_head.h"

#include <algorithm>

#include "common/base/strings.h"
#include "common/http/char_class.h"
#include "common/http/head_lines.h"
#include "common/http/hop_by_hop.h"

namespace whence::http {
namespace {

bool ValidPort(std::string_view digits) {
  if (digits.size() > 5) return false;
  unsigned port = 0;
  for (char c : digits) {
    if (c < '0' || c > '9') return false;
    port = port * 10 + static_cast<unsigned>(c - '0');
  }
  return port <= 65535;  // an empty port is grammatical (RFC 3986, 3.2.3)
}

bool ValidRegName(std::string_view name) {
  for (size_t i = 0; i < name.size(); ++i) {
    if (Is(kRegNameChar, name[i])) continue;
    if (name[i] != '%' || name.size() - i < 3) return false;
    for (char hex : name.substr(i + 1, 2)) {
      if (!Is(kIpv6Char, hex) || hex == ':' || hex == '.') return false;
    }
    i += 2;
  }
  return true;
}

// uri-host [ ":" port ], no userinfo. An empty host is invalid for http (RFC 9110, 4.2.1).
bool ValidAuthority(std::string_view authority) {
  std::string_view rest;
  if (authority.starts_with('[')) {
    const size_t close = authority.find(']');
    if (close == std::string_view::npos || close < 3) return false;
    if (!AllAre(kIpv6Char, authority.substr(1, close - 1))) return false;
    rest = authority.substr(close + 1);
  } else {
    const size_t colon = authority.find(':');
    if (!ValidRegName(authority.substr(0, colon)) || colon == 0) return false;
    rest = colon == std::string_view::npos ? std::string_view() : authority.substr(colon);
  }
  if (authority.empty()) return false;
  return rest.empty() || (rest[0] == ':' && ValidPort(rest.substr(1)));
}

ParseResult ReadVersion(std::string_view version, RequestHead* out) {
  if (version == "HTTP/1.1") {
    out->minor_version = 1;
    return ParseResult::Done();
  }
  if (version == "HTTP/1.0") {
    out->minor_version = 0;
    return ParseResult::Done();
  }
  auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (version.size() == 8 && version.starts_with("HTTP/") && digit(version[5]) &&
      version[6] == '.' && digit(version[7])) {
    return ParseResult::Reject(505, "HTTP version");
  }
  return ParseResult::Reject(400, "malformed request line");
}

// http://authority/path: the authority beats Host, the path goes upstream (RFC 9112, 3.2.2).
ParseResult ReadAbsoluteTarget(std::string_view target, RequestHead* out) {
  const size_t scheme = target.find("://");
  if (scheme == std::string_view::npos || !(EqualsIgnoreCase(target.substr(0, scheme), "http") ||
                                            EqualsIgnoreCase(target.substr(0, scheme), "https"))) {
    return ParseResult::Reject(400, "malformed target");
  }
  const std::string_view after = target.substr(scheme + 3);
  const size_t path = std::min(after.find_first_of("/?"), after.size());
  out->target_form = TargetForm::kAbsolute;
  out->host = after.substr(0, path);
  if (!ValidAuthority(out->host)) return ParseResult::Reject(400, "bad authority in target");
  out->target = after.substr(path);
  if (out->target.empty()) {
    out->target = out->method == "OPTIONS" ? "*" : "/";
  } else if (out->target[0] == '?') {
    return ParseResult::Reject(400, "target with query but no path");
  }
  return ParseResult::Done();
}

ParseResult ReadTarget(std::string_view target, const HeadLimits& limits, RequestHead* out) {
  if (target.empty() || !AllAre(kTargetChar, target)) {
    return ParseResult::Reject(400, "malformed target");
  }
  out->target = target;
  if (out->method == "CONNECT") {
    out->target_form = TargetForm::kAuthority;
    const size_t colon = target.rfind(':');
    if (!ValidAuthority(target) || colon == std::string_view::npos || colon + 1 == target.size() ||
        target.back() == ']') {
      return ParseResult::Reject(400, "malformed CONNECT target");
    }
    out->host = target;
    if (!limits.connect_enabled) return ParseResult::Reject(405, "CONNECT is not enabled");
    return ParseResult::Done();
  }
  if (target[0] == '/') {
    out->target_form = TargetForm::kOrigin;
    return ParseResult::Done();
  }
  if (target == "*") {
    out->target_form = TargetForm::kAsterisk;
    if (out->method != "OPTIONS") return ParseResult::Reject(400, "asterisk target");
    return ParseResult::Done();
  }
  return ReadAbsoluteTarget(target, out);
}

ParseResult ReadRequestLine(std::string_view line, const HeadLimits& limits, RequestHead* out) {
  size_t method_end = 0;
  while (method_end < line.size() && Is(kTokenChar, line[method_end])) ++method_end;
  if (method_end == 0 || method_end == line.size() || line[method_end] != ' ') {
    return ParseResult::Reject(400, "malformed request line");
  }
  out->method = line.substr(0, method_end);
  const std::string_view rest = line.substr(method_end + 1);
  const size_t target_end = rest.find(' ');
  if (target_end == std::string_view::npos) {
    return ParseResult::Reject(400, "malformed request line");
  }
  if (auto result = ReadVersion(rest.substr(target_end + 1), out); !result.done()) return result;
  if (auto result = ReadTarget(rest.substr(0, target_end), limits, out); !result.done()) {
    return result;
  }
  // It echoes what it received, cookies and credentials included.
  if (out->method == "TRACE") return ParseResult::Reject(405, "TRACE");
  return ParseResult::Done();
}

// A coding that we do not undo is refused, for we could not say where the body ends in our own
// words: 501 if it is well-formed and ends in chunked (RFC 9112, 6.1), else 400 (6.3).
ParseResult RefuseTransferEncoding(std::string_view value) {
  const size_t comma = value.rfind(',');
  if (comma != std::string_view::npos &&
      EqualsIgnoreCase(TrimBlanks(value.substr(comma + 1)), "chunked")) {
    const std::string_view first = TrimBlanks(value.substr(0, comma));
    if (!first.empty() && AllAre(kTokenChar, first) && !EqualsIgnoreCase(first, "chunked")) {
      return ParseResult::Reject(501, "transfer coding other than chunked");
    }
  }
  return ParseResult::Reject(400, "malformed Transfer-Encoding");
}

ParseResult ReadFraming(const FieldLines& lines, RequestHead* out) {
  if (lines.transfer_encodings > 0) {
    if (lines.content_lengths > 0) {
      return ParseResult::Reject(400, "Content-Length with Transfer-Encoding");
    }
    if (out->minor_version == 0) return ParseResult::Reject(400, "Transfer-Encoding in HTTP/1.0");
    if (lines.transfer_encodings > 1) {
      return ParseResult::Reject(400, "several Transfer-Encoding fields");
    }
    if (!EqualsIgnoreCase(lines.transfer_encoding, "chunked")) {
      return RefuseTransferEncoding(lines.transfer_encoding);
    }
    out->framing = BodyFraming::kChunked;
    return ParseResult::Done();
  }
  if (lines.content_lengths > 1) return ParseResult::Reject(400, "several Content-Length fields");
  if (lines.content_lengths == 1) {
    const auto length = ParseContentLength(lines.content_length);
    if (!length) return ParseResult::Reject(400, "malformed Content-Length");
    out->framing = BodyFraming::kContentLength;
    out->content_length = *length;
  }
  return ParseResult::Done();
}

ParseResult ReadHost(const FieldLines& lines, RequestHead* out) {
  if (lines.hosts > 1) return ParseResult::Reject(400, "several Host fields");
  if (lines.hosts == 0 && out->minor_version == 1) return ParseResult::Reject(400, "no Host field");
  // Also judged where the target's authority replaces it: the next reader may not replace.
  if (lines.hosts == 1 && !ValidAuthority(lines.host)) {
    return ParseResult::Reject(400, "malformed Host");
  }
  if (out->host.empty()) out->host = lines.host;
  return ParseResult::Done();
}

ParseResult ReadConnection(const FieldLines& lines, RequestHead* out) {
  const ConnectionOptions options =
      ReadConnectionOptions(lines.fields, lines.ids, /*upgrade_may_pass=*/out->minor_version == 1);
  if (!options.error.empty()) {
    return ParseResult::Reject(options.too_many ? 431 : 400, options.error);
  }
  out->hop_by_hop = options.drop;
  out->keep_alive = !options.close && (out->minor_version == 1 || options.keep_alive);
  out->upgrade = options.upgrade;
  return ParseResult::Done();
}

ParseResult ReadExpect(const FieldLines& lines, RequestHead* out) {
  if (!lines.Has(FieldId::kExpect)) return ParseResult::Done();
  if (out->minor_version == 0) {
    // Means nothing from a 1.0 client (RFC 9110, 10.1.1), but would if it left in our 1.1 request.
    lines.AddAll(FieldId::kExpect, out->hop_by_hop);
    return ParseResult::Done();
  }
  for (size_t i = 0; i < lines.ids.size(); ++i) {
    if (lines.ids[i] == FieldId::kExpect &&
        !EqualsIgnoreCase(lines.fields[i].value, "100-continue")) {
      return ParseResult::Reject(417, "Expect");
    }
  }
  out->expect_continue = out->framing == BodyFraming::kChunked ||
                         (out->framing == BodyFraming::kContentLength && out->content_length > 0);
  return ParseResult::Done();
}

ParseResult Parse(std::string_view bytes, const HeadLimits& limits, HeadStorage& storage,
                  RequestHead* out) {
  *out = RequestHead();
  LineReader reader(bytes, limits);
  std::string_view line;
  if (auto result = reader.Next(414, &line); !result.done()) return result;
  if (line.empty()) {  // one empty line is forgiven (RFC 9112, 2.2); a second fails as a request
                       // line
    if (auto result = reader.Next(414, &line); !result.done()) return result;
  }
  if (auto result = ReadRequestLine(line, limits, out); !result.done()) return result;
  FieldLines lines;
  if (auto result = ReadFields(reader, limits, storage, &lines); !result.done()) return result;
  out->fields = lines.fields;
  out->ids = lines.ids;
  out->head_bytes = reader.position();
  if (auto result = ReadHost(lines, out); !result.done()) return result;
  if (auto result = ReadFraming(lines, out); !result.done()) return result;
  if (auto result = ReadConnection(lines, out); !result.done()) return result;
  return ReadExpect(lines, out);
}

}  // namespace

ParseResult ParseRequestHead(std::string_view bytes, const HeadLimits& limits, HeadStorage& storage,
                             RequestHead* out, HeadProgress* progress) {
  if (progress != nullptr && progress->scanned > 0 && !WorthParsing(bytes, limits, *progress)) {
    return ParseResult::NeedMore();
  }
  const ParseResult result = Parse(bytes, limits, storage, out);
  if (progress != nullptr) RememberProgress(bytes, result, *progress);
  return result;
}

}  // namespace whence::http
