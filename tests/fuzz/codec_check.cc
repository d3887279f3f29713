#include "tests/fuzz/codec_check.h"

#include <algorithm>
#include <charconv>

#include "common/http/body_decoder.h"
#include "common/http/request_head.h"
#include "common/http/response_head.h"

namespace whence::fuzz {
namespace {

using Kind = http::BodyDecoder::Kind;

// Takes a body off the front of `bytes`. True: it is whole.
bool TakeBody(http::BodyDecoder body, std::string_view& bytes, std::string* payload) {
  while (true) {
    const auto step = body.Next(bytes);
    if (step.kind == Kind::kPayload && payload != nullptr) *payload += bytes.substr(0, step.bytes);
    bytes.remove_prefix(step.bytes);
    if (step.kind == Kind::kDone) return true;
    if (step.kind == Kind::kNeedMore || step.kind == Kind::kError) return false;
  }
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

// Up to its CRLF. False: no whole line; `bad` if what is there cannot become one.
bool TakeLine(std::string_view& bytes, std::string_view* line, bool* bad) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    const auto c = static_cast<unsigned char>(bytes[i]);
    if (c == '\r') {
      if (i + 1 == bytes.size()) return false;
      *bad = bytes[i + 1] != '\n';
      if (*bad) return false;
      *line = bytes.substr(0, i);
      bytes.remove_prefix(i + 2);
      return true;
    }
    *bad = (c < 0x20 && c != '\t') || c == 0x7f;
    if (*bad) return false;
  }
  return false;
}

bool TakeChunks(std::string_view& bytes, SeenRequest* out) {
  bool bad = false;
  std::string_view line;
  while (true) {
    if (!TakeLine(bytes, &line, &bad)) return !bad;
    size_t size = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), size, 16);
    if (error != std::errc() || end != line.data() + line.size()) return false;
    if (size == 0) break;
    const size_t here = std::min(size, bytes.size());
    out->body += bytes.substr(0, here);
    bytes.remove_prefix(here);
    if (here < size || bytes.size() < 2) return true;
    if (bytes.substr(0, 2) != "\r\n") return false;
    bytes.remove_prefix(2);
  }
  do {
    if (!TakeLine(bytes, &line, &bad)) return !bad;
    if (!line.empty() && line.find(':') == std::string_view::npos) return false;
  } while (!line.empty());
  out->whole = true;
  return true;
}

bool Matches(const SeenRequest& asked, const SeenRequest& got) {
  if (asked.method != got.method || asked.target != got.target) return false;
  return got.whole ? asked.whole && asked.body == got.body : asked.body.starts_with(got.body);
}

}  // namespace

std::vector<SeenRequest> ClientRequests(std::string_view bytes) {
  std::vector<SeenRequest> requests;
  http::HeadStorage storage;
  http::RequestHead head;
  while (http::ParseRequestHead(bytes, {}, storage, &head).done()) {
    SeenRequest& request = requests.emplace_back(
        SeenRequest{.method = std::string(head.method), .target = std::string(head.target)});
    request.head_whole = true;
    request.upgrade = !head.upgrade.empty();
    bytes.remove_prefix(head.head_bytes);
    request.whole = TakeBody({head.framing, head.content_length}, bytes, &request.body);
    if (!request.whole) break;
  }
  return requests;
}

bool TakeStrictRequest(std::string_view& bytes, SeenRequest* out) {
  bool bad = false;
  std::string_view line;
  if (!TakeLine(bytes, &line, &bad)) return !bad;
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == 0 || last <= first + 1) return false;
  out->method = line.substr(0, first);
  out->target = line.substr(first + 1, last - first - 1);
  if (line.substr(last) != " HTTP/1.1" || out->target.find(' ') != std::string::npos) return false;
  int hosts = 0, lengths = 0, codings = 0;
  size_t length = 0;
  while (true) {
    if (!TakeLine(bytes, &line, &bad)) return !bad;
    if (line.empty()) break;
    const size_t colon = line.find(": ");
    if (colon == std::string_view::npos || colon == 0 ||
        line.substr(0, colon).find_first_of(" \t,;\"()[]{}<>@/\\?=") != std::string_view::npos) {
      return false;
    }
    const std::string name = Lower(line.substr(0, colon));
    const std::string_view value = line.substr(colon + 2);
    hosts += name == "host";
    if (name == "content-length") {
      ++lengths;
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length);
      if (error != std::errc() || end != value.data() + value.size()) return false;
    }
    if (name == "transfer-encoding") {
      ++codings;
      if (Lower(value) != "chunked") return false;
    }
    // What only an agent may say, or a client may not say in our name.
    if (name == "x-whence-client" || name.find('_') != std::string::npos) {
      if (name == "x-whence-client" || name == "content_length" || name == "x_forwarded_for") {
        return false;
      }
    }
  }
  if (hosts != 1 || lengths + codings > 1) return false;
  out->head_whole = true;
  if (codings > 0) return TakeChunks(bytes, out);
  const size_t here = std::min(length, bytes.size());
  out->body = bytes.substr(0, here);
  bytes.remove_prefix(here);
  out->whole = here == length;
  return true;
}

std::string CheckUpstream(const std::vector<SeenRequest>& asked,
                          const std::vector<std::string>& connections, bool may_switch,
                          size_t* requests) {
  size_t next = 0;
  for (const std::string& connection : connections) {
    std::string_view left = connection;
    while (!left.empty()) {
      SeenRequest got;
      if (!TakeStrictRequest(left, &got)) return "not strict upstream: " + connection;
      ++*requests;
      if (!got.head_whole) break;  // cut short: nothing more on this connection
      size_t at = next;
      while (at < asked.size() && !Matches(asked[at], got)) ++at;
      if (at == asked.size()) return "nobody asked for this: " + connection;
      // A safe request without body may come once more, on another connection.
      const bool repeatable = asked[at].body.empty() && asked[at].method != "POST";
      next = repeatable ? at : at + 1;
      if (!got.whole) break;
      if (may_switch && asked[at].upgrade) break;  // what follows may be a tunnel's
    }
  }
  return "";
}

std::string CheckResponses(const std::vector<SeenRequest>& asked, std::string_view received,
                           size_t* responses) {
  http::HeadStorage storage;
  http::ResponseHead head;
  while (!received.empty()) {
    const bool known = *responses < asked.size();
    const http::ResponseContext context{.head = known && asked[*responses].method == "HEAD",
                                        .upgrade_requested = known && asked[*responses].upgrade};
    const auto result = http::ParseResponseHead(received, {}, context, storage, &head);
    if (result.status == http::ParseStatus::kReject) {
      return "malformed response: " + std::string(received);
    }
    if (!result.done()) return "";
    if (*responses > asked.size()) return "more responses than requests";
    received.remove_prefix(head.head_bytes);
    if (head.interim()) continue;
    ++*responses;
    if (head.tunnel || head.framing == http::BodyFraming::kUntilClose) return "";
    if (!TakeBody({head.framing, head.content_length}, received, nullptr)) return "";
  }
  return "";
}

}  // namespace whence::fuzz
