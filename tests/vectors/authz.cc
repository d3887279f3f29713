// authz.jsonl: may this request reach this workload, and which policy says so?
//
// The policies are read here, straight from JSON, so that these vectors test the decision alone;
// how documents are decoded has tests of its own.
#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/policy/policy_set.h"
#include "common/trust/resolver.h"
#include "tests/vectors/kind.h"

namespace whence::vectors {
namespace {

using nlohmann::json;
using policy::PathNormalization;
using policy::PolicySpec;

constexpr std::string_view kRootNamespace = "istio-system";
using Labels = std::map<std::string, std::string>;
using Values = std::vector<std::string>;

// Reads the fields of one object and complains of those that nobody asked for: a vector that uses
// what we do not know must not pass by being ignored.
class Reader {
 public:
  Reader(const json& object, std::string where) : object_(object), where_(std::move(where)) {}

  template <typename T>
  void Read(const char* name, T* value) {
    seen_.push_back(name);
    if (object_.contains(name)) *value = object_.at(name).get<T>();
  }
  void ReadNegatable(const std::string& name, Values* values, Values* negated) {
    Read(name, values);
    std::string negated_name = "not" + name;
    negated_name[3] = static_cast<char>(negated_name[3] - 'a' + 'A');
    Read(negated_name, negated);
  }
  void Read(const std::string& name, Values* values) {
    seen_.push_back(name);
    if (object_.contains(name)) *values = object_.at(name).get<Values>();
  }
  std::optional<std::string> UnknownField() const {
    for (const auto& [name, value] : object_.items()) {
      if (std::find(seen_.begin(), seen_.end(), name) == seen_.end()) return where_ + "." + name;
    }
    return std::nullopt;
  }

 private:
  const json& object_;
  std::string where_;
  std::vector<std::string> seen_;
};

class PolicyReader {
 public:
  PolicySpec Read(const json& document);
  const std::vector<std::string>& unknown() const { return unknown_; }

 private:
  policy::Rule ReadRule(const json& object);
  policy::Source ReadSource(const json& object);
  policy::Operation ReadOperation(const json& object);
  policy::Condition ReadCondition(const json& object);
  void Done(const Reader& reader) {
    if (const auto field = reader.UnknownField()) unknown_.push_back(*field);
  }

  std::vector<std::string> unknown_;
};

PolicySpec PolicyReader::Read(const json& document) {
  PolicySpec spec;
  const json& metadata = document.at("metadata");
  spec.name = metadata.at("name");
  spec.namespace_ = metadata.at("namespace");
  const Labels annotations = metadata.value("annotations", Labels());
  const auto dry_run = annotations.find("istio.io/dry-run");
  spec.dry_run = dry_run != annotations.end() && dry_run->second == "true";

  const json body = document.value("spec", json::object());
  Reader reader(body, "spec");
  std::string action = "ALLOW";
  std::string mode;
  json rules = json::array();
  json ignored;
  reader.Read("action", &action);
  reader.Read("mode", &mode);
  reader.Read("expires", &spec.expires);
  reader.Read("rules", &rules);
  reader.Read("selector", &ignored);
  if (action == "CUSTOM") reader.Read("provider", &ignored);
  Done(reader);
  if (mode == "DRY_RUN") spec.dry_run = true;
  spec.action = action == "DENY"     ? policy::Action::kDeny
                : action == "AUDIT"  ? policy::Action::kAudit
                : action == "CUSTOM" ? policy::Action::kCustom
                                     : policy::Action::kAllow;
  for (const json& rule : rules) spec.rules.push_back(ReadRule(rule));
  return spec;
}

policy::Rule PolicyReader::ReadRule(const json& object) {
  policy::Rule rule;
  Reader reader(object, "rule");
  json from = json::array();
  json to = json::array();
  json when = json::array();
  reader.Read("from", &from);
  reader.Read("to", &to);
  reader.Read("when", &when);
  Done(reader);
  for (const json& part : from) rule.from.push_back(ReadSource(part.at("source")));
  for (const json& part : to) rule.to.push_back(ReadOperation(part.at("operation")));
  for (const json& part : when) rule.when.push_back(ReadCondition(part));
  return rule;
}

policy::Source PolicyReader::ReadSource(const json& object) {
  policy::Source source;
  Reader reader(object, "source");
  reader.ReadNegatable("ipBlocks", &source.ip_blocks, &source.not_ip_blocks);
  reader.ReadNegatable("remoteIpBlocks", &source.remote_ip_blocks, &source.not_remote_ip_blocks);
  reader.ReadNegatable("principals", &source.principals, &source.not_principals);
  reader.ReadNegatable("requestPrincipals", &source.request_principals,
                       &source.not_request_principals);
  reader.ReadNegatable("namespaces", &source.namespaces, &source.not_namespaces);
  reader.ReadNegatable("serviceAccounts", &source.service_accounts, &source.not_service_accounts);
  Done(reader);
  return source;
}

policy::Operation PolicyReader::ReadOperation(const json& object) {
  policy::Operation operation;
  Reader reader(object, "operation");
  reader.ReadNegatable("hosts", &operation.hosts, &operation.not_hosts);
  reader.ReadNegatable("ports", &operation.ports, &operation.not_ports);
  reader.ReadNegatable("methods", &operation.methods, &operation.not_methods);
  reader.ReadNegatable("paths", &operation.paths, &operation.not_paths);
  Done(reader);
  return operation;
}

policy::Condition PolicyReader::ReadCondition(const json& object) {
  policy::Condition condition;
  Reader reader(object, "condition");
  reader.Read("key", &condition.key);
  reader.ReadNegatable("values", &condition.values, &condition.not_values);
  Done(reader);
  return condition;
}

// Rule 1: the workload's namespace or the root, and every label of the selector.
bool Applies(const json& document, const json& workload) {
  const std::string space = document.at("metadata").at("namespace");
  if (space != kRootNamespace && space != workload.at("namespace")) return false;
  const json spec = document.value("spec", json::object());
  const json selector = spec.value("selector", json::object());
  const Labels labels = workload.at("labels").get<Labels>();
  for (const auto& [name, value] : selector.value("matchLabels", Labels())) {
    const auto found = labels.find(name);
    if (found == labels.end() || found->second != value) return false;
  }
  return true;
}

PathNormalization ToNormalization(const json& vector) {
  const std::string name = vector.value("mesh", json::object()).value("path_normalization", "BASE");
  if (name == "NONE") return PathNormalization::kNone;
  if (name == "MERGE_SLASHES") return PathNormalization::kMergeSlashes;
  if (name == "DECODE_AND_MERGE_SLASHES") return PathNormalization::kDecodeAndMergeSlashes;
  return PathNormalization::kBase;
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
  PolicyReader reader;
  std::vector<PolicySpec> specs;
  for (const json& document : vector.at("policies")) {
    PolicySpec spec = reader.Read(document);
    if (Applies(document, vector.at("workload"))) specs.push_back(std::move(spec));
  }
  const json& out = vector.at("out");
  if (!reader.unknown().empty()) return Outcome{.wanted = out, .got = reader.unknown()};
  const auto policies = policy::PolicySet::Compile(specs, nullptr, ToNormalization(vector));
  if (!policies.ok()) {
    return Outcome{.wanted = out, .got = std::string(policies.status().message())};
  }

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
  const policy::Verdict verdict = (*policies)->Evaluate(facts);
  json got = {{"decision", verdict.allowed ? "allow" : "deny"}};
  got["policy"] = verdict.policy == nullptr ? json() : json(*verdict.policy);
  return CompareKeys(out, json(), got);
}

}  // namespace whence::vectors
