#include "controlplane/discovery/client_status.h"

#include <google/protobuf/timestamp.pb.h>

#include <string_view>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"

namespace whence::discovery {
namespace {

using envoy::service::status::v3::ClientConfig;
using envoy::service::status::v3::ClientStatusRequest;
using envoy::service::status::v3::ClientStatusResponse;
using envoy::type::matcher::v3::NodeMatcher;
using envoy::type::matcher::v3::StringMatcher;
using Shown = ClientConfig::GenericXdsConfig;
using google::protobuf::Timestamp;

// A matcher with parts that we do not know means fewer nodes than we would show.
absl::Status CheckMatcher(const NodeMatcher& matcher) {
  const auto& reflection = *NodeMatcher::GetReflection();
  const StringMatcher& id = matcher.node_id();
  const bool has_unknown = matcher.node_metadatas_size() > 0 ||
                           !reflection.GetUnknownFields(matcher).empty() ||
                           !StringMatcher::GetReflection()->GetUnknownFields(id).empty() ||
                           id.match_pattern_case() == StringMatcher::MATCH_PATTERN_NOT_SET;
  if (!has_unknown) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "node_matchers: node_id with exact, prefix, suffix or contains is what is understood here");
}

std::string Lowered(std::string text) {
  for (char& c : text) c = ToLowerAscii(c);
  return text;
}

bool Matches(const StringMatcher& matcher, const std::string& id) {
  const auto fold = [&matcher](const std::string& text) {
    return matcher.ignore_case() ? Lowered(text) : text;
  };
  const std::string text = fold(id);
  switch (matcher.match_pattern_case()) {
    case StringMatcher::kExact:
      return text == fold(matcher.exact());
    case StringMatcher::kPrefix:
      return text.starts_with(fold(matcher.prefix()));
    case StringMatcher::kSuffix:
      return text.ends_with(fold(matcher.suffix()));
    case StringMatcher::kContains:
      return text.find(fold(matcher.contains())) != text.npos;
    case StringMatcher::MATCH_PATTERN_NOT_SET:
      break;
  }
  return false;
}

bool IsMeant(const ClientStatusRequest& request, const std::string& id) {
  if (request.node_matchers().empty()) return true;
  for (const NodeMatcher& matcher : request.node_matchers()) {
    if (Matches(matcher.node_id(), id)) return true;
  }
  return false;
}

void SetTime(WallTime time, Timestamp* out) {
  const int64_t micros = time.time_since_epoch().count();
  out->set_seconds(micros / 1'000'000);
  out->set_nanos(static_cast<int32_t>(micros % 1'000'000 * 1000));
}

void DescribeSent(const ResourceProgress& progress, const Resource* current, Shown* shown) {
  using namespace envoy::service::status::v3;
  shown->set_version_info(progress.acked_version);
  const bool was_answered = progress.answered != WallTime{};
  if (!progress.refused_version.empty()) {
    shown->set_config_status(ERROR);
    shown->set_client_status(envoy::admin::v3::NACKED);
    auto* failure = shown->mutable_error_state();
    failure->set_version_info(progress.refused_version);
    failure->set_details(progress.error);
    if (was_answered) SetTime(progress.answered, failure->mutable_last_update_attempt());
    return;
  }
  const bool is_current = current != nullptr && progress.acked_version == current->version;
  shown->set_config_status(is_current ? SYNCED : STALE);
  shown->set_client_status(progress.acked_version.empty() ? envoy::admin::v3::REQUESTED
                                                          : envoy::admin::v3::ACKED);
  if (was_answered) SetTime(progress.answered, shown->mutable_last_updated());
}

void DescribeType(const TypeProgress& type, ClientConfig* config) {
  using namespace envoy::service::status::v3;
  auto add = [&](const std::string& name) {
    Shown* shown = config->add_generic_xds_configs();
    shown->set_type_url(type.type_url);
    shown->set_name(name);
    return shown;
  };
  for (const auto& [name, progress] : type.resources) {
    Shown* shown = add(name);
    const auto found = type.current.find(name);
    const Resource* current = found == type.current.end() ? nullptr : &found->second;
    DescribeSent(progress, current, shown);
  }
  for (const auto& [name, resource] : type.current) {
    if (type.resources.count(name) > 0) continue;
    Shown* shown = add(name);
    shown->set_config_status(NOT_SENT);
    shown->set_client_status(envoy::admin::v3::REQUESTED);
  }
  for (const std::string& name : type.absent) {
    if (type.resources.count(name) > 0) continue;  // sent, and on its way out
    Shown* shown = add(name);
    shown->set_config_status(NOT_SENT);
    shown->set_client_status(envoy::admin::v3::DOES_NOT_EXIST);
  }
}

}  // namespace

absl::StatusOr<ClientStatusResponse> DescribeClients(
    const ClientStatusRequest& request, const std::vector<Inventory::Connected>& connected) {
  for (const NodeMatcher& matcher : request.node_matchers()) {
    if (absl::Status status = CheckMatcher(matcher); !status.ok()) return status;
  }
  ClientStatusResponse response;
  for (const Inventory::Connected& client : connected) {
    if (!IsMeant(request, client.agent.id)) continue;
    ClientConfig* config = response.add_config();
    // Came as a Node, and was read as one before.
    if (!config->mutable_node()->ParseFromString(client.agent.node_bytes)) {
      config->mutable_node()->set_id(client.agent.id);
    }
    for (const TypeProgress& type : client.progress.types) {
      DescribeType(type, config);
    }
  }
  return response;
}

}  // namespace whence::discovery
