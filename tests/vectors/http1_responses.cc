// http1_responses.jsonl: bytes from an origin, and what the client sees of them.
#include <algorithm>
#include <optional>

#include "common/http/head_writer.h"
#include "common/http/response_head.h"
#include "tests/vectors/http1.h"
#include "tests/vectors/kind.h"

namespace whence::vectors {
namespace {

using nlohmann::json;

struct Run {
  std::string got_class;
  int status = 0;
  std::string head;
  std::string body;
  bool is_reusable = false;  // the upstream connection
};

std::string Write(const http::ResponseHead& head) {
  std::string buffer(2 * head.head_bytes + 1024, '\0');
  http::HeadWriter writer(std::span<char>(buffer.data(), buffer.size()));
  writer.StatusLine(head.status, head.reason);
  writer.Fields(head.fields, head.hop_by_hop);
  writer.End();
  return writer.ok() ? NormalForm(std::string(writer.written())) : "does not fit";
}

Run RunBytes(const json& vector, size_t step) {
  Run run;
  PiecewiseInput input(FromHex(vector.at("raw_hex")), step);
  const http::ResponseContext context{.head = vector.at("request").at("method") == "HEAD"};
  const http::HeadLimits limits = LimitsOf(vector);
  http::HeadStorage storage;
  http::HeadProgress progress;
  for (;;) {
    http::ResponseHead head;
    const auto result =
        http::ParseResponseHead(input.view(), limits, context, storage, &head, &progress);
    if (result.status == http::ParseStatus::kNeedMore && input.More()) continue;
    if (!result.done()) {  // malformed, or the origin ended or stopped in the middle of a head
      run.got_class = "reject_502";
      return run;
    }
    const bool interim = head.interim();
    const bool keep_alive = head.keep_alive;
    run.status = head.status;
    run.head = Write(head);
    const http::BodyDecoder decoder(head.framing, head.content_length);
    input.Use(head.head_bytes);
    if (interim) continue;
    const BodyEnd end = PassBody(decoder, input, &run.body);
    run.got_class = end == BodyEnd::kDone ? "relay" : "truncated";
    while (input.More()) continue;
    run.is_reusable = end == BodyEnd::kDone && keep_alive && !input.has_leftovers();
    return run;
  }
}

std::optional<Difference> CompareRelayed(const json& out, const Run& run) {
  if (const json status = out.value("status", json()); status.is_number() && status != run.status) {
    return Difference{"status", status, run.status};
  }
  const std::string head = Lower(run.head);
  for (const std::string& text : Texts(out, "client_contains")) {
    if (head.find(Lower(text)) == std::string::npos) {
      return Difference{"client_contains", text, ToHex(head)};
    }
  }
  for (const std::string& text : Texts(out, "client_not_contains")) {
    if ((head + run.body).find(Lower(text)) != std::string::npos) {
      return Difference{"client_not_contains", ToHex(text), ToHex(head + run.body)};
    }
  }
  if (const json body = out.value("body_hex", json());
      body.is_string() && body != ToHex(run.body)) {
    return Difference{"body_hex", body, ToHex(run.body)};
  }
  const json counts = out.value("field_counts", json());
  if (!counts.is_object()) return std::nullopt;
  for (const auto& [name, wanted] : counts.items()) {
    const size_t got = CountFields(run.head, name);
    if (got != wanted.get<size_t>()) return Difference{"field_counts " + name, wanted, got};
  }
  return std::nullopt;
}

std::optional<Difference> Compare(const json& out, const Run& run) {
  const std::vector<std::string> classes = Classes(out);
  if (std::find(classes.begin(), classes.end(), run.got_class) == classes.end()) {
    return Difference{"class", classes, run.got_class};
  }
  const json reusable = out.value("upstream_reusable", json());
  if (reusable.is_boolean() && reusable != run.is_reusable) {
    return Difference{"upstream_reusable", reusable, run.is_reusable};
  }
  if (run.got_class != "relay") return std::nullopt;
  return CompareRelayed(out, run);
}

}  // namespace

Outcome RunHttp1Response(const json& vector) {
  const json& out = vector.at("out");
  Outcome outcome{.passed = true};
  for (const size_t step : StepsFor(vector)) {
    const Run run = RunBytes(vector, step);
    outcome.strict = run.got_class != out.at("class");
    const auto difference = Compare(out, run);
    if (!difference) continue;
    outcome.passed = false;
    outcome.wanted[difference->what] = difference->wanted;
    outcome.got[difference->what] = difference->got;
    outcome.got["bytes at a time"] = step;
    break;
  }
  return outcome;
}

}  // namespace whence::vectors
