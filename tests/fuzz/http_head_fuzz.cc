// Request and response heads. Invariants: the answer does not depend on how the bytes were split,
// and a head that we accepted and wrote again is read again as the same head.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "common/http/head_writer.h"
#include "common/http/request_head.h"
#include "common/http/response_head.h"

namespace {

using namespace whence::http;

#define REQUIRE(condition) \
  if (!(condition)) std::abort()

// Values of a head that outlive its bytes.
struct Facts {
  ParseResult result = ParseResult::NeedMore();
  std::string start;  // method, target, host; or status and reason
  std::vector<std::pair<std::string, std::string>> kept;
  BodyFraming framing = BodyFraming::kNone;
  uint64_t content_length = 0;
  size_t head_bytes = 0;
  bool keep_alive = false;
  std::string upgrade;
  friend bool operator==(const Facts&, const Facts&) = default;
};

template <typename Head>
void Common(const Head& head, Facts& facts) {
  for (size_t i = 0; i < head.fields.size(); ++i) {
    REQUIRE(head.ids[i] == IdentifyField(head.fields[i].name));
    if (head.hop_by_hop.Contains(i)) continue;
    facts.kept.emplace_back(head.fields[i].name, head.fields[i].value);
  }
  facts.framing = head.framing;
  facts.content_length = head.content_length;
  facts.head_bytes = head.head_bytes;
  facts.keep_alive = head.keep_alive;
}

HeadLimits Limits() {
  HeadLimits limits;
  limits.max_bytes = 300;  // small, so that the limit is within the fuzzer's reach
  limits.max_fields = 6;
  limits.connect_enabled = true;
  return limits;
}

// Parses pieces of `step` bytes, each time from a copy of the exact size, so that every read beyond
// it is seen.
template <typename Parse>
ParseResult InPieces(const std::string& bytes, size_t step, const Parse& parse) {
  HeadProgress progress;
  for (size_t size = step; size < bytes.size(); size += step) {
    const std::vector<char> copy(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size));
    const ParseResult result = parse(std::string_view(copy.data(), copy.size()), &progress);
    if (result.status != ParseStatus::kNeedMore) return result;
  }
  return parse(std::string_view(bytes), &progress);
}

Facts ReadRequest(const std::string& bytes, size_t step) {
  HeadStorage storage;
  RequestHead head;
  Facts facts;
  facts.result = InPieces(bytes, step, [&](std::string_view seen, HeadProgress* progress) {
    const ParseResult result = ParseRequestHead(seen, Limits(), storage, &head, progress);
    if (result.done()) {
      facts = Facts();
      facts.start =
          std::string(head.method) + " " + std::string(head.target) + " " + std::string(head.host);
      facts.upgrade = head.upgrade;
      Common(head, facts);
    }
    return result;
  });
  return facts;
}

// What would go upstream. HTTP/1.0 becomes 1.1, so its persistence is not carried over.
std::string Rewrite(const std::string& bytes) {
  HeadStorage storage;
  RequestHead head;
  ParseRequestHead(bytes, Limits(), storage, &head);
  std::string buffer(1000, '\0');
  HeadWriter writer(std::span<char>(buffer.data(), buffer.size()));
  writer.RequestLine(head.method, head.target);
  if (!head.upgrade.empty()) writer.Field("Connection", "upgrade");
  FieldSet drop = head.hop_by_hop;
  bool host_written = false;
  for (size_t i = 0; i < head.ids.size(); ++i) {
    if (head.ids[i] != FieldId::kHost) continue;
    drop.Add(i);
    host_written = true;
  }
  // Without one only for HTTP/1.0; whoever forwards then adds its own.
  writer.Field("Host", host_written || !head.host.empty() ? head.host : "none");
  writer.Fields(head.fields, drop);
  writer.End();
  REQUIRE(writer.ok());
  return std::string(writer.written());
}

void CheckRequest(const std::string& bytes) {
  const Facts whole = ReadRequest(bytes, bytes.size() + 1);
  for (size_t step : {1, 2, 3, 7}) REQUIRE(ReadRequest(bytes, step) == whole);
  if (!whole.result.done()) return;
  REQUIRE(whole.head_bytes <= Limits().max_bytes);

  const std::string rewritten = Rewrite(bytes);
  if (rewritten.size() > Limits().max_bytes) return;
  HeadLimits limits = Limits();
  limits.max_fields += 2;
  HeadStorage storage;
  RequestHead again;
  const ParseResult result = ParseRequestHead(rewritten, limits, storage, &again);
  REQUIRE(result.done());
  REQUIRE(again.head_bytes == rewritten.size());
  REQUIRE(again.framing == whole.framing && again.content_length == whole.content_length);
  REQUIRE(again.upgrade == whole.upgrade);
  // Nothing that was kept is hop by hop, and nothing was lost: only Host moved, and Connection is
  // ours.
  Facts facts;
  Common(again, facts);
  std::erase_if(facts.kept,
                [](const auto& field) { return IdentifyField(field.first) == FieldId::kHost; });
  std::vector<std::pair<std::string, std::string>> kept = whole.kept;
  std::erase_if(kept,
                [](const auto& field) { return IdentifyField(field.first) == FieldId::kHost; });
  REQUIRE(facts.kept == kept);
}

Facts ReadResponse(const std::string& bytes, size_t step, const ResponseContext& context) {
  HeadStorage storage;
  ResponseHead head;
  Facts facts;
  facts.result = InPieces(bytes, step, [&](std::string_view seen, HeadProgress* progress) {
    const ParseResult result = ParseResponseHead(seen, Limits(), context, storage, &head, progress);
    if (result.done()) {
      facts = Facts();
      facts.start = std::to_string(head.status) + " " + std::string(head.reason);
      Common(head, facts);
    }
    return result;
  });
  return facts;
}

void CheckResponse(const std::string& bytes, uint8_t kind) {
  const ResponseContext context{
      .head = (kind & 1) != 0, .connect = (kind & 2) != 0, .upgrade_requested = (kind & 4) != 0};
  const Facts whole = ReadResponse(bytes, bytes.size() + 1, context);
  for (size_t step : {1, 2, 3, 7}) REQUIRE(ReadResponse(bytes, step, context) == whole);
  if (whole.result.status == ParseStatus::kReject) REQUIRE(whole.result.http_status == 502);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] & 0x80) {
    CheckResponse(bytes, data[0]);
  } else {
    CheckRequest(bytes);
  }
  return 0;
}
