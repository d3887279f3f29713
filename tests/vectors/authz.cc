// authz.jsonl: may this request reach this workload, and which policy says so?
//
// The policies go the whole way that an operator's go: decoded as documents, selected into the
// workload's bundle, decoded into the agent's snapshot, and asked there.
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/bundle/bundle_builder.h"
#include "common/bundle/config_view.h"
#include "common/document/document.h"
#include "common/policy/policy_set.h"
#include "common/snapshot/snapshot.h"
#include "common/trust/resolver.h"
#include "common/wire/snapshot_decoder.h"
#include "tests/vectors/kind.h"

namespace whence::vectors {
namespace {

using nlohmann::json;

// The mesh's settings as the operator would write them. The vectors' default is BASE, ours is not.
json MeshDocument(const json& vector) {
  const json mesh = vector.value("mesh", json::object());
  return {{"apiVersion", "whence.dev/v1"},
          {"kind", "Mesh"},
          {"metadata", {{"name", "default"}, {"namespace", "istio-system"}}},
          {"spec", {{"pathNormalization", mesh.value("path_normalization", "BASE")}}}};
}

// What an agent beside `workload` runs under these documents.
absl::StatusOr<std::shared_ptr<const snapshot::Snapshot>> Apply(const json& vector) {
  std::vector<json> documents = vector.at("policies").get<std::vector<json>>();
  documents.push_back(MeshDocument(vector));
  // CUSTOM and AUDIT are Istio's; an operator has to say that he knows they are not acted on.
  const document::ParseOptions options{.ignore_unsupported = true};
  std::vector<v1::Document> parsed;
  std::string faults;
  for (const json& text : documents) {
    const document::ParseResult result = document::Parse("vector", text.dump(), options);
    for (const v1::Fault& fault : result.faults) faults += document::FaultText(fault) + "\n";
    for (const document::ParsedDocument& one : result.documents) parsed.push_back(one.document);
  }
  if (!faults.empty()) return absl::InvalidArgumentError(faults);

  const json& workload = vector.at("workload");
  const bundle::Workload self{
      .namespace_ = workload.at("namespace"),
      .name = "workload",
      .labels = workload.at("labels").get<std::map<std::string, std::string>>()};
  const bundle::ConfigView view(std::move(parsed));
  return wire::Decode(bundle::Build(view, {}, self), "1", {});
}

net::IpAddress ToIp(const json& text) {
  return net::IpAddress::Parse(text.get<std::string>()).value_or(net::IpAddress());
}

// Only trust::Resolve makes a trusted client. Of a connection without evidence it is the peer.
net::TrustedClient ToClient(const json& text) {
  const trust::Topology topology = trust::DefaultTopology(trust::Role::kGateway);
  return trust::Resolve(net::DirectPeer{{ToIp(text), 0}}, {}, topology).client;
}

// The text that RequestFacts borrows.
struct Request {
  explicit Request(const json& in)
      : is_http(in.at("protocol") == "http"),
        method(Text(in, "method")),
        host(Text(in, "host")),
        path(Text(in, "path")) {
    for (const auto& [name, value] : in.at("headers").items()) {
      const json lines = value.is_array() ? value : json::array({value});
      for (const json& line : lines) headers.emplace_back(name, line.get<std::string>());
    }
    for (const auto& [name, value] : headers) fields.push_back({name, value});
  }
  static std::string Text(const json& in, const char* name) {
    return in.at(name).is_null() ? "" : in.at(name).get<std::string>();
  }

  bool is_http;
  std::string method, host, path;
  std::vector<std::pair<std::string, std::string>> headers;
  std::vector<http::HeaderField> fields;
};

}  // namespace

Outcome RunAuthz(const json& vector) {
  const json& out = vector.at("out");
  const auto applied = Apply(vector);
  if (!applied.ok()) return Outcome{.wanted = out, .got = std::string(applied.status().message())};

  const json& in = vector.at("request");
  const Request request(in);
  const policy::RequestFacts facts{
      .peer = net::DirectPeer{{ToIp(in.at("direct_remote")), 4711}},
      .client = ToClient(in.at("trusted_client")),
      .destination =
          net::OriginalDestination{{ToIp(in.at("dest_ip")), in.at("dest_port").get<uint16_t>()}},
      .is_http = request.is_http,
      .method = request.method,
      .host = request.host,
      .target = request.path,
      .headers = request.fields};
  const policy::Verdict verdict = (*applied)->policies->Evaluate(facts);
  json got = {{"decision", verdict.allowed ? "allow" : "deny"}};
  got["policy"] = verdict.policy == nullptr ? json() : json(*verdict.policy);
  return CompareKeys(out, json(), got);
}

}  // namespace whence::vectors
