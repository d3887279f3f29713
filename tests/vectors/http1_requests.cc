// http1_requests.jsonl: bytes from a client, run through head, trust, forwarding and body as a
// gateway does, with an origin that answers everything at once. Timeouts and sockets are not part
// of it: where the bytes just end, the class is `close`.
#include <algorithm>
#include <optional>

#include "common/base/strings.h"
#include "common/http/head_writer.h"
#include "common/http/request_head.h"
#include "common/trust/forwarding.h"
#include "common/trust/resolver.h"
#include "tests/vectors/http1.h"
#include "tests/vectors/kind.h"

namespace whence::vectors {
namespace {

using nlohmann::json;

// Stands for the address of the test client.
constexpr std::string_view kClientIp = "198.51.100.77";

struct Forwarded {
  std::string head;
  std::string body;
  std::string client;
};

struct Run {
  std::string first_class;  // of the first request
  std::string then;         // of what comes after the forwarded ones
  std::vector<Forwarded> requests;

  void Note(const std::string& what) { (first_class.empty() ? first_class : then) = what; }
};

trust::Topology TopologyOf(const json& vector) {
  trust::Topology topology = trust::DefaultTopology(trust::Role::kGateway);
  if (vector.contains("cfg") && vector["cfg"].is_object()) {
    topology.num_trusted_proxies = vector["cfg"].value("num_trusted_hops", 0u);
  }
  return topology;
}

// The head as it goes upstream, and whom we take the client for. nullopt: it does not fit, which
// cannot be.
std::optional<Forwarded> Forward(const http::RequestHead& head, const trust::Topology& topology) {
  const trust::Evidence evidence{.fields = head.fields, .ids = head.ids};
  const auto peer = net::IpAddress::Parse(kClientIp);
  const trust::Resolution resolution =
      trust::Resolve(net::DirectPeer{{*peer, 4711}}, evidence, topology);
  std::vector<char> memory(trust::ForwardingMemory(head.head_bytes));
  const trust::ForwardingContext context{
      .own_address = *net::IpAddress::Parse("10.3.2.1"),
      .fresh_request_id = "00000000-0000-4000-8000-000000000000"};
  const auto plan = trust::PlanForwarding(evidence, resolution, topology, context, memory);
  if (!plan) return std::nullopt;

  http::FieldSet drop = head.hop_by_hop | plan->dropped;
  for (size_t i = 0; i < head.ids.size(); ++i) {
    if (head.ids[i] == http::FieldId::kHost) drop.Add(i);
  }
  std::string buffer(2 * head.head_bytes + 1024, '\0');
  http::HeadWriter writer(std::span<char>(buffer.data(), buffer.size()));
  writer.RequestLine(head.method, head.target);
  writer.Field("host", head.host.empty() ? "10.3.2.1" : head.host);
  writer.Fields(head.fields, drop);
  for (const http::HeaderField& field : plan->Added()) writer.Field(field.name, field.value);
  writer.End();
  if (!writer.ok()) return std::nullopt;
  return Forwarded{NormalForm(std::string(writer.written())), "",
                   resolution.client.ip().ToString()};
}

// One connection.
Run RunBytes(const json& vector, size_t step) {
  Run run;
  PiecewiseInput input(FromHex(vector.at("raw_hex")), step);
  const http::HeadLimits limits = LimitsOf(vector);
  const trust::Topology topology = TopologyOf(vector);
  http::HeadStorage storage;
  http::HeadProgress progress;
  for (;;) {
    http::RequestHead head;
    const auto result = http::ParseRequestHead(input.view(), limits, storage, &head, &progress);
    if (result.status == http::ParseStatus::kNeedMore) {
      if (input.More()) continue;
      if (run.first_class.empty() || !input.view().empty()) run.Note("close");
      return run;
    }
    if (result.status == http::ParseStatus::kReject) {
      run.Note("reject_" + std::to_string(result.http_status));
      return run;
    }
    std::optional<Forwarded> forwarded = Forward(head, topology);
    if (!forwarded) {
      run.Note("reject_431");
      return run;
    }
    const http::BodyDecoder decoder(head.framing, head.content_length);
    const bool keep_alive = head.keep_alive;
    input.Use(head.head_bytes);
    const BodyEnd end = PassBody(decoder, input, &forwarded->body);
    if (end != BodyEnd::kDone) {
      run.Note(end == BodyEnd::kMalformed ? "reject_400" : "close");
      return run;
    }
    if (run.first_class.empty()) run.first_class = "forward";
    run.requests.push_back(std::move(*forwarded));
    if (!keep_alive) return run;
  }
}

std::string WithClient(std::string text) {
  constexpr std::string_view kName = "{client_ip}";
  const size_t at = text.find(kName);
  if (at != std::string::npos) text.replace(at, kName.size(), kClientIp);
  return text;
}

std::optional<Difference> CompareHeads(const json& out, const Run& run) {
  std::string heads;
  for (const Forwarded& request : run.requests) {
    heads += (heads.empty() ? "" : "\r\n") + Lower(request.head);
  }
  for (const std::string& text : Texts(out, "forwarded_contains")) {
    const std::string wanted = WithClient(Lower(text));
    if (heads.find(wanted) == std::string::npos) {
      return Difference{"forwarded_contains", ToHex(wanted), ToHex(heads)};
    }
  }
  for (const std::string& text : Texts(out, "forwarded_not_contains")) {
    if (heads.find(WithClient(Lower(text))) != std::string::npos) {
      return Difference{"forwarded_not_contains", ToHex(text), ToHex(heads)};
    }
  }
  const json counts = out.value("field_counts", json());
  if (!counts.is_object()) return std::nullopt;
  for (const auto& [name, wanted] : counts.items()) {
    const size_t got = CountFields(run.requests[0].head, name);
    if (got != wanted.get<size_t>()) return Difference{"field_counts " + name, wanted, got};
  }
  return std::nullopt;
}

std::optional<Difference> CompareBodies(const json& out, const Run& run) {
  if (const json wanted = out.value("body_hex", json()); wanted.is_string()) {
    const std::string got = ToHex(run.requests[0].body);
    if (got != wanted) return Difference{"body_hex", wanted, got};
  }
  const std::vector<std::string> bodies = Texts(out, "bodies_hex");
  for (size_t i = 0; i < bodies.size(); ++i) {
    const std::string got = i < run.requests.size() ? ToHex(run.requests[i].body) : "none";
    if (got != bodies[i]) return Difference{"bodies_hex", bodies[i], got};
  }
  return std::nullopt;
}

std::optional<Difference> CompareClient(const json& out, const Run& run) {
  std::vector<std::string> wanted = Texts(out, "effective_client_any");
  if (wanted.empty() && out.value("effective_client", json()).is_string()) {
    wanted = {out["effective_client"].get<std::string>()};
  }
  if (wanted.empty()) return std::nullopt;
  for (const std::string& text : wanted) {
    if (WithClient(text) == run.requests[0].client) return std::nullopt;
  }
  return Difference{"effective_client", wanted, run.requests[0].client};
}

std::optional<Difference> Compare(const json& out, const Run& run) {
  const std::vector<std::string> classes = Classes(out);
  if (std::find(classes.begin(), classes.end(), run.first_class) == classes.end()) {
    return Difference{"class", classes, run.first_class};
  }
  if (run.first_class != "forward") return std::nullopt;
  if (run.requests.size() != out.at("requests").get<size_t>()) {
    return Difference{"requests", out.at("requests"), run.requests.size()};
  }
  if (const json then = out.value("then", json()); then.is_string() && then != run.then) {
    return Difference{"then", then, run.then};
  }
  if (auto difference = CompareHeads(out, run)) return difference;
  if (auto difference = CompareBodies(out, run)) return difference;
  return CompareClient(out, run);
}

}  // namespace

Outcome RunHttp1Request(const json& vector) {
  const json& out = vector.at("out");
  Outcome outcome{.passed = true};
  for (const size_t step : StepsFor(vector)) {
    const Run run = RunBytes(vector, step);
    outcome.strict = run.first_class != out.at("class");
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
