// xff.jsonl: which address is the trusted client, and what goes upstream.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "common/base/strings.h"
#include "common/http/field_id.h"
#include "common/trust/forwarding.h"
#include "common/trust/resolver.h"
#include "tests/vectors/kind.h"

namespace whence::vectors {
namespace {

using nlohmann::json;

constexpr std::string_view kUnixPrefix = "unix:";
constexpr std::string_view kFreshRequestId = "00000000-0000-4000-8000-000000000000";

std::vector<net::Cidr> ToCidrs(const json& texts) {
  std::vector<net::Cidr> cidrs;
  for (const std::string& text : texts.get<std::vector<std::string>>()) {
    const auto cidr = net::Cidr::Parse(text);
    if (cidr.ok()) cidrs.push_back(*cidr);
  }
  return cidrs;
}

// nullopt: the configuration is to be refused. A vector's inner proxy that counts is a sidecar
// whose direct peer is a trusted hop, so the peer is its mesh gateway.
std::optional<trust::Topology> ToTopology(const json& config, const net::IpAddress& peer) {
  const bool is_edge = config.at("use_remote_address").get<bool>();
  const auto hops = config.at("num_trusted_hops").get<uint32_t>();
  std::vector<net::Cidr> trusted = ToCidrs(config.at("trusted_cidrs"));
  if (trusted.size() != config.at("trusted_cidrs").size()) return std::nullopt;
  if (!trusted.empty() && hops > 0) return std::nullopt;
  trust::Topology topology =
      trust::DefaultTopology(is_edge ? trust::Role::kGateway : trust::Role::kSidecar);
  if (!trusted.empty()) {
    topology.trusted_proxies = trust::AddressRanges{net::CidrSet(std::move(trusted)), {}};
  } else {
    topology.num_trusted_proxies = hops;
    if (!is_edge) topology.mesh_gateways = net::CidrSet({net::Cidr(peer)});
  }
  topology.forwarded_for = config.at("append").get<bool>() ? trust::ForwardedForMode::kAppend
                                                           : trust::ForwardedForMode::kKeep;
  topology.internal = net::CidrSet(ToCidrs(config.at("internal_cidrs")));
  topology.internal_only_headers =
      config.value("internal_only_headers", std::vector<std::string>());
  topology.preserve_request_id = config.value("preserve_request_id", false);
  return topology;
}

// The request of a vector, with the blanks around values gone as after any header parser.
struct Request {
  explicit Request(const json& in) {
    for (const auto& line : in.at("xff")) Add("x-forwarded-for", line.get<std::string>());
    for (const auto& [name, value] : in.at("headers").items()) Add(name, value.get<std::string>());
    for (const auto& [name, value] : text) {
      fields.push_back({name, value});
      ids.push_back(http::IdentifyField(name));
    }
  }
  void Add(const std::string& name, const std::string& value) {
    const size_t first = value.find_first_not_of(" \t");
    const size_t last = value.find_last_not_of(" \t");
    text.emplace_back(name,
                      first == std::string::npos ? "" : value.substr(first, last - first + 1));
  }

  std::vector<std::pair<std::string, std::string>> text;
  std::vector<http::HeaderField> fields;
  std::vector<http::FieldId> ids;
};

// All lines of one name as one value; null if there is none. Lines without text add nothing.
json Fold(const std::vector<http::HeaderField>& lines, std::string_view name) {
  json folded;
  for (const http::HeaderField& line : lines) {
    if (!EqualsIgnoreCase(line.name, name)) continue;
    std::string value = folded.is_null() ? "" : folded.get<std::string>();
    if (!value.empty() && !line.value.empty()) value += ",";
    folded = value + std::string(line.value);
  }
  return folded;
}

std::string_view FateText(trust::RequestIdFate fate) {
  switch (fate) {
    case trust::RequestIdFate::kKept:
      return "kept";
    case trust::RequestIdFate::kReplaced:
      return "replaced";
    case trust::RequestIdFate::kGenerated:
      return "generated";
  }
  return "";
}

// Which of the received control headers are still there.
void Sort(const json& in, const trust::Topology& topology,
          const std::vector<http::HeaderField>& upstream, json* got) {
  std::vector<std::string> removed, kept;
  for (const auto& [name, value] : in.at("headers").items()) {
    const auto& own = topology.internal_only_headers;
    const bool is_control =
        name.starts_with("x-envoy-") || std::find(own.begin(), own.end(), name) != own.end();
    if (is_control) (Fold(upstream, name).is_null() ? removed : kept).push_back(name);
  }
  std::sort(removed.begin(), removed.end());
  std::sort(kept.begin(), kept.end());
  (*got)["removed"] = removed;
  (*got)["kept"] = kept;
}

// Vectors may spell an address differently (::ffff:1.2.3.4): what counts is which address it is.
json Canonical(const json& text) {
  const auto address = text.is_string() ? net::IpAddress::Parse(text.get<std::string>())
                                        : std::optional<net::IpAddress>();
  return address ? json(address->ToString()) : text;
}

}  // namespace

Outcome RunXff(const json& vector) {
  const json& in = vector.at("in");
  json out = vector.at("out");
  const std::string remote = in.at("direct_remote");
  // A peer without an address is "::" to the resolver.
  const bool is_unix = remote.starts_with(kUnixPrefix);
  const auto peer_ip = is_unix ? net::IpAddress() : net::IpAddress::Parse(remote);
  const auto own = net::IpAddress::Parse(in.value("local_address", "10.3.2.1"));
  if (!peer_ip || !own) return Outcome{.wanted = "addresses", .got = in};

  const std::optional<trust::Topology> topology = ToTopology(vector.at("config"), *peer_ip);
  if (out.contains("config_error")) {
    return Outcome{.passed = !topology, .wanted = out, .got = "configuration accepted"};
  }
  if (!topology) return Outcome{.wanted = out, .got = "configuration refused"};
  const Request request(in);
  const trust::Evidence evidence{
      .fields = request.fields, .ids = request.ids, .agent_word = trust::AgentWord::kOwn};
  const trust::Resolution resolution =
      trust::Resolve(net::DirectPeer{{*peer_ip, 4711}}, evidence, *topology);
  std::vector<char> memory(trust::ForwardingMemory(vector.dump().size()));
  const trust::ForwardingContext context{.downstream_tls = in.value("tls", false),
                                         .own_address = *own,
                                         .fresh_request_id = kFreshRequestId};
  const auto plan = trust::PlanForwarding(evidence, resolution, *topology, context, memory);
  if (!plan) return Outcome{.wanted = out, .got = "no plan"};

  std::vector<http::HeaderField> upstream;
  for (size_t i = 0; i < request.fields.size(); ++i) {
    if (!plan->dropped.Contains(i)) upstream.push_back(request.fields[i]);
  }
  for (const http::HeaderField& line : plan->Added()) upstream.push_back(line);
  const bool is_peer = is_unix && resolution.client.ip() == *peer_ip;
  json got = {{"trusted_client", is_peer ? remote : resolution.client.ip().ToString()},
              {"xff", Fold(upstream, "x-forwarded-for")},
              {"external_address", Fold(upstream, "x-envoy-external-address")},
              {"internal", Fold(upstream, "x-envoy-internal") == json("true")},
              {"forwarded_proto", Fold(upstream, "x-forwarded-proto")},
              {"request_id", FateText(plan->request_id_fate)}};
  Sort(in, *topology, upstream, &got);

  json strict_out = vector.value("strict_out", json());
  for (json* expected : {&out, &strict_out}) {
    if (expected->is_object() && expected->contains("trusted_client")) {
      (*expected)["trusted_client"] = Canonical((*expected)["trusted_client"]);
    }
  }
  return CompareKeys(out, strict_out, got);
}

}  // namespace whence::vectors
