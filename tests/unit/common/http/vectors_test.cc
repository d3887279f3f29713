// The HTTP/1 vectors (tests/vectors/data/README-http1.md), as far as parsing alone decides them:
// what is forwarded and what refused, how many requests there are, where their bodies end. What
// needs trust or a socket (who the client is, what is appended to X-Forwarded-For, timeouts) is
// left to the runs against a live agent.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/base/strings.h"
#include "common/http/body_decoder.h"
#include "common/http/head_writer.h"
#include "common/http/request_head.h"
#include "common/http/response_head.h"

namespace whence::http {
namespace {

using nlohmann::json;

std::vector<json> Load(const std::string& name) {
  std::ifstream file(std::string(WHENCE_VECTORS) + "/" + name);
  EXPECT_TRUE(file.is_open()) << name;
  std::vector<json> vectors;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) vectors.push_back(json::parse(line));
  }
  return vectors;
}

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

std::string ToHex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (unsigned char c : bytes) hex += {kDigits[c >> 4], kDigits[c & 15]};
  return hex;
}

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), ToLowerAscii);
  return text;
}

// The README's normal form of a forwarded head, from the bytes that we would write.
std::string NormalForm(const std::string& head) {
  std::string out;
  size_t at = 0;
  for (bool first = true; at < head.size(); first = false) {
    size_t end = head.find("\r\n", at);
    if (end == std::string::npos) end = head.size();
    std::string line = head.substr(at, end - at);
    at = end + 2;
    if (line.empty()) break;
    const size_t colon = line.find(':');
    if (!first && colon != std::string::npos)
      line = Lower(line.substr(0, colon)) + line.substr(colon);
    out += line + "\r\n";
  }
  return out;
}

size_t CountFields(const std::string& normal_head, const std::string& name) {
  size_t count = 0;
  for (size_t at = 0; (at = normal_head.find("\r\n" + name + ":", at)) != std::string::npos; ++at)
    ++count;
  return count;
}

// Bytes that arrive piece by piece; what is not yet consumed stays.
class Input {
 public:
  Input(std::string bytes, size_t step) : bytes_(std::move(bytes)), step_(step) {}
  bool More() {
    if (given_ == bytes_.size()) return false;
    given_ = std::min(given_ + step_, bytes_.size());
    return true;
  }
  std::span<char> front() { return {bytes_.data() + used_, given_ - used_}; }
  std::string_view view() { return {bytes_.data() + used_, given_ - used_}; }
  void Use(size_t bytes) { used_ += bytes; }
  bool leftovers() const { return used_ < bytes_.size(); }

 private:
  std::string bytes_;
  size_t step_;
  size_t given_ = 0;
  size_t used_ = 0;
};

enum class BodyEnd { kDone, kMalformed, kCut };

// Passes one body on in normal form, and decodes what was passed with a second decoder: what we
// send must mean what we read.
BodyEnd ReadBody(BodyDecoder decoder, Input& input, std::string* body) {
  BodyDecoder receiver = decoder;
  std::string passed_on;
  for (;;) {
    const BodyDecoder::Passed passed = decoder.PassThrough(input.front());
    passed_on.append(input.front().data(), passed.produced);
    input.Use(passed.consumed);
    if (passed.status == ParseStatus::kReject) return BodyEnd::kMalformed;
    if (passed.status == ParseStatus::kDone) break;
    if (input.More()) continue;
    if (!decoder.EndOfInput()) return BodyEnd::kCut;
    break;
  }
  for (std::string_view rest = passed_on; !rest.empty();) {
    const BodyDecoder::Step step = receiver.Next(rest);
    if (step.kind == BodyDecoder::Kind::kPayload) body->append(rest.substr(0, step.bytes));
    if (step.bytes == 0) {
      ADD_FAILURE() << "the normal form is not understood: " << passed_on;
      break;
    }
    rest.remove_prefix(step.bytes);
  }
  EXPECT_TRUE(receiver.EndOfInput());
  return BodyEnd::kDone;
}

struct Outcome {
  std::string first_class;  // forward, reject_NNN, close
  std::string then;         // class of what follows the forwarded requests
  std::vector<std::string> heads;
  std::vector<std::string> bodies;
};

std::string WriteRequestHead(const RequestHead& head) {
  std::string buffer(70000, '\0');
  HeadWriter writer(std::span<char>(buffer.data(), buffer.size()));
  FieldSet drop = head.hop_by_hop;
  for (size_t i = 0; i < head.ids.size(); ++i) {
    if (head.ids[i] == FieldId::kHost) drop.Add(i);
  }
  writer.RequestLine(head.method, head.target);
  if (!head.host.empty()) writer.Field("host", head.host);
  writer.Fields(head.fields, drop);
  writer.End();
  EXPECT_TRUE(writer.ok());
  return std::string(writer.written());
}

HeadLimits LimitsOf(const json& vector) {
  HeadLimits limits;
  if (!vector.contains("cfg") || !vector["cfg"].is_object()) return limits;
  const json& cfg = vector["cfg"];
  limits.max_bytes =
      cfg.value("max_header_bytes", cfg.value("max_response_header_bytes", limits.max_bytes));
  limits.max_fields = cfg.value("max_headers", limits.max_fields);
  limits.connect_enabled = cfg.value("connect_enabled", false);
  return limits;
}

// A connection whose origin answers every request at once.
Outcome RunRequests(const json& vector, size_t step) {
  Outcome outcome;
  Input input(FromHex(vector["raw_hex"]), step);
  const HeadLimits limits = LimitsOf(vector);
  HeadStorage storage;
  HeadProgress progress;
  auto note = [&outcome](std::string what) {
    (outcome.first_class.empty() ? outcome.first_class : outcome.then) = std::move(what);
  };
  for (;;) {
    RequestHead head;
    const ParseResult result = ParseRequestHead(input.view(), limits, storage, &head, &progress);
    if (result.status == ParseStatus::kNeedMore) {
      if (input.More()) continue;
      if (outcome.first_class.empty() || !input.view().empty()) note("close");
      return outcome;
    }
    if (result.status == ParseStatus::kReject) {
      note("reject_" + std::to_string(result.http_status));
      return outcome;
    }
    const std::string written = WriteRequestHead(head);
    const BodyDecoder decoder(head.framing, head.content_length);
    const bool keep_alive = head.keep_alive;
    input.Use(head.head_bytes);
    std::string body;
    const BodyEnd end = ReadBody(decoder, input, &body);
    if (end != BodyEnd::kDone) {
      note(end == BodyEnd::kMalformed ? "reject_400" : "close");
      return outcome;
    }
    if (outcome.first_class.empty()) outcome.first_class = "forward";
    outcome.heads.push_back(NormalForm(written));
    outcome.bodies.push_back(body);
    if (!keep_alive) return outcome;
  }
}

std::vector<std::string> Strings(const json& out, const char* name) {
  if (!out.contains(name) || !out[name].is_array()) return {};
  return out[name].get<std::vector<std::string>>();
}

std::vector<std::string> Classes(const json& out) {
  std::vector<std::string> classes = Strings(out, "class_any");
  if (classes.empty()) classes = {out["class"].get<std::string>()};
  return classes;
}

// Removed or added by trust, not by parsing.
bool NeedsTrust(const std::string& text) {
  return text.find("{client_ip}") != std::string::npos ||
         text.find("x-envoy-") != std::string::npos ||
         text.find("timeout-ms") != std::string::npos ||
         text.find("x-forwarded-client-cert") != std::string::npos;
}

void CheckFieldCounts(const json& out, const std::string& head, const std::string& id) {
  if (!out.contains("field_counts") || !out["field_counts"].is_object()) return;
  for (const auto& [name, want] : out["field_counts"].items()) {
    EXPECT_EQ(CountFields(head, name), want.get<size_t>()) << id << ": " << name;
  }
}

void CheckRequest(const json& vector, const Outcome& got) {
  const std::string id = vector["id"];
  const json& out = vector["out"];
  ASSERT_THAT(Classes(out), testing::Contains(got.first_class)) << id;
  if (got.first_class != "forward") return;

  EXPECT_EQ(got.heads.size(), out["requests"].get<size_t>()) << id;
  std::string heads;
  for (const std::string& head : got.heads) heads += (heads.empty() ? "" : "\r\n") + head;
  heads = Lower(heads);
  for (const std::string& text : Strings(out, "forwarded_contains")) {
    if (NeedsTrust(text)) continue;
    // The vectors write bytes above 0x7f as the Unicode character of that number.
    std::string want = Lower(text);
    if (const size_t at = want.find("\xc3\xa9"); at != std::string::npos)
      want.replace(at, 2, "\xe9");
    EXPECT_THAT(heads, testing::HasSubstr(want)) << id;
  }
  for (const std::string& text : Strings(out, "forwarded_not_contains")) {
    if (NeedsTrust(text)) continue;
    EXPECT_THAT(heads, testing::Not(testing::HasSubstr(Lower(text)))) << id;
  }
  if (out.contains("body_hex") && out["body_hex"].is_string()) {
    EXPECT_EQ(ToHex(got.bodies[0]), out["body_hex"].get<std::string>()) << id;
  }
  const std::vector<std::string> bodies = Strings(out, "bodies_hex");
  for (size_t i = 0; i < bodies.size() && i < got.bodies.size(); ++i) {
    EXPECT_EQ(ToHex(got.bodies[i]), bodies[i]) << id;
  }
  if (out.contains("then") && out["then"].is_string()) {
    EXPECT_EQ(got.then, out["then"]) << id;
  }
  CheckFieldCounts(out, got.heads[0], id);
}

// Short vectors in every piece size up to 16, long ones whole and in pieces that fit no boundary.
std::vector<size_t> StepsFor(const json& vector) {
  const size_t size = vector["raw_hex"].get_ref<const std::string&>().size() / 2;
  std::vector<size_t> steps = {size + 1, 1447};
  for (size_t step = 1; size < 1000 && step <= 16; ++step) steps.push_back(step);
  return steps;
}

TEST(Http1VectorsTest, Requests) {
  const std::vector<json> vectors = Load("http1_requests.jsonl");
  ASSERT_GT(vectors.size(), 100u);
  for (const json& vector : vectors) {
    for (size_t step : StepsFor(vector)) {
      SCOPED_TRACE(step);
      CheckRequest(vector, RunRequests(vector, step));
      if (HasFailure()) break;
    }
  }
}

// Where we differ from the preferred class on purpose.
TEST(Http1VectorsTest, RequestsGetThePreferredClass) {
  for (const json& vector : Load("http1_requests.jsonl")) {
    const std::string id = vector["id"];
    const std::string got = RunRequests(vector, 1 << 20).first_class;
    if (id == "hop-cl-named" || id == "hop-xff-named") {
      EXPECT_EQ(got, "reject_400") << id << ": an attack by any reading";
    } else {
      EXPECT_EQ(got, vector["out"]["class"]) << id;
    }
  }
}

struct ResponseOutcome {
  std::string result_class;
  int status = 0;
  std::string head;
  std::string body;
  bool reusable = false;
};

std::string WriteResponseHead(const ResponseHead& head) {
  std::string buffer(70000, '\0');
  HeadWriter writer(std::span<char>(buffer.data(), buffer.size()));
  writer.StatusLine(head.status, head.reason);
  writer.Fields(head.fields, head.hop_by_hop);
  writer.End();
  EXPECT_TRUE(writer.ok());
  return std::string(writer.written());
}

ResponseOutcome RunResponse(const json& vector, size_t step) {
  ResponseOutcome outcome;
  Input input(FromHex(vector["raw_hex"]), step);
  const ResponseContext context{.head = vector["request"]["method"] == "HEAD"};
  const HeadLimits limits = LimitsOf(vector);
  HeadStorage storage;
  HeadProgress progress;
  for (;;) {
    ResponseHead head;
    const ParseResult result =
        ParseResponseHead(input.view(), limits, context, storage, &head, &progress);
    if (result.status == ParseStatus::kNeedMore && input.More()) continue;
    if (result.status != ParseStatus::kDone) {
      outcome.result_class = "reject_502";
      return outcome;
    }
    outcome.status = head.status;
    outcome.head = NormalForm(WriteResponseHead(head));
    const BodyDecoder decoder(head.framing, head.content_length);
    const bool interim = head.interim();
    const bool keep_alive = head.keep_alive;
    input.Use(head.head_bytes);
    if (interim) continue;
    const BodyEnd end = ReadBody(decoder, input, &outcome.body);
    outcome.result_class = end == BodyEnd::kDone ? "relay" : "truncated";
    while (input.More()) {
    }
    outcome.reusable = end == BodyEnd::kDone && keep_alive && !input.leftovers();
    return outcome;
  }
}

void CheckResponse(const json& vector, const ResponseOutcome& got) {
  const std::string id = vector["id"];
  const json& out = vector["out"];
  ASSERT_THAT(Classes(out), testing::Contains(got.result_class)) << id;
  if (out.contains("upstream_reusable") && out["upstream_reusable"].is_boolean()) {
    // What was refused is never reused.
    EXPECT_EQ(got.reusable, out["upstream_reusable"].get<bool>()) << id;
  }
  if (got.result_class != "relay") return;
  if (out.contains("status") && out["status"].is_number()) {
    EXPECT_EQ(got.status, out["status"]) << id;
  }
  const std::string head = Lower(got.head);
  for (const std::string& text : Strings(out, "client_contains")) {
    EXPECT_THAT(head, testing::HasSubstr(Lower(text))) << id;
  }
  for (const std::string& text : Strings(out, "client_not_contains")) {
    EXPECT_THAT(head + got.body, testing::Not(testing::HasSubstr(Lower(text)))) << id;
  }
  if (out.contains("body_hex") && out["body_hex"].is_string()) {
    EXPECT_EQ(ToHex(got.body), out["body_hex"].get<std::string>()) << id;
  }
  CheckFieldCounts(out, got.head, id);
}

TEST(Http1VectorsTest, Responses) {
  const std::vector<json> vectors = Load("http1_responses.jsonl");
  ASSERT_GT(vectors.size(), 30u);
  for (const json& vector : vectors) {
    for (size_t step : StepsFor(vector)) {
      SCOPED_TRACE(step);
      CheckResponse(vector, RunResponse(vector, step));
      if (HasFailure()) break;
    }
  }
}

}  // namespace
}  // namespace whence::http
