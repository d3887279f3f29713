#include "dataplane/discovery/client_state.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "common/base/utf8.h"

namespace whence::discovery {
namespace {

bool Contains(const std::set<std::string>& names, const std::string& name) {
  return names.find(name) != names.end();
}

}  // namespace

std::string_view ShortTypeName(std::string_view type) {
  const size_t dot = type.find_last_of("./");
  return dot == std::string_view::npos ? type : type.substr(dot + 1);
}

void ClientState::Restore(const std::string& type, const std::string& name,
                          const std::string& version) {
  types_[type].resources[name].version = version;
}

std::optional<Request> ClientState::Subscribe(const std::string& type,
                                              const std::set<std::string>& names) {
  Type& state = types_[type];
  state.wanted = names;
  for (auto it = state.resources.begin(); it != state.resources.end();) {
    it = Contains(names, it->first) ? std::next(it) : state.resources.erase(it);
  }
  return TellDifference(type);
}

std::optional<Request> ClientState::TellDifference(const std::string& type) {
  if (!is_open_) return std::nullopt;
  Type& state = types_[type];
  Request request;
  request.set_type_url(type);
  for (const std::string& name : state.wanted) {
    if (!Contains(state.told, name)) request.add_resource_names_subscribe(name);
  }
  for (const std::string& name : state.told) {
    if (!Contains(state.wanted, name)) request.add_resource_names_unsubscribe(name);
  }
  // A first request without names would be a wildcard subscription: everything, to an agent that
  // wants nothing.
  if (request.resource_names_subscribe().empty() && request.resource_names_unsubscribe().empty())
    return std::nullopt;
  if (!state.begun) {
    for (const auto& [name, resource] : state.resources) {
      if (!resource.version.empty())
        (*request.mutable_initial_resource_versions())[name] = resource.version;
    }
    state.begun = true;
  }
  state.told = state.wanted;
  return request;
}

std::optional<Request> ClientState::AskAgain(const std::string& type, const std::string& name) {
  Type& state = types_[type];
  if (!is_open_ || !Contains(state.told, name)) return std::nullopt;
  Request request;
  request.set_type_url(type);
  request.add_resource_names_subscribe(name);
  return request;
}

std::vector<Request> ClientState::OpenStream(const Node& node) {
  CloseStream();
  is_open_ = true;
  std::vector<Request> requests;
  // The bundle first: a map sorts IpSetResource before WorkloadBundle, but the server learns from
  // the bundle what concerns us.
  std::vector<std::string> order = {kBundleType};
  for (const auto& [type, state] : types_) {
    if (type != kBundleType) order.push_back(type);
  }
  for (const std::string& type : order) {
    std::optional<Request> request = TellDifference(type);
    if (!request.has_value()) continue;
    if (requests.empty()) *request->mutable_node() = node;
    requests.push_back(*std::move(request));
  }
  return requests;
}

void ClientState::CloseStream() {
  is_open_ = false;
  ++stream_;
  for (auto& [type, state] : types_) {
    state.told.clear();
    state.begun = false;
  }
}

Received ClientState::Receive(const Response& response) const {
  Received received;
  received.type = response.type_url();
  received.nonce = response.nonce();
  received.stream = stream_;
  const auto type = types_.find(response.type_url());
  if (type == types_.end() || !type->second.begun) {
    received.fault = absl::StrCat("type \"", response.type_url(), "\" was never asked for");
    return received;
  }
  std::map<std::string, int> times;
  for (const auto& resource : response.resources()) ++times[resource.name()];
  for (const auto& [name, count] : times) {
    // Which of them is meant? Guessing would make the order of a list decide over access.
    if (count > 1) received.refused.push_back({name, "is named more than once in one response"});
  }
  for (const auto& resource : response.resources()) {
    // What is not wanted crossed our unsubscribing on the way: neither wanted nor wrong.
    if (times[resource.name()] > 1 || !Contains(type->second.wanted, resource.name())) continue;
    if (!resource.has_resource()) {
      const auto known = type->second.resources.find(resource.name());
      const bool heartbeat =
          known != type->second.resources.end() && known->second.version == resource.version();
      if (!heartbeat) received.refused.push_back({resource.name(), "has no content"});
    } else if (resource.resource().type_url() != response.type_url()) {
      received.refused.push_back(
          {resource.name(), absl::StrCat("is a \"", resource.resource().type_url(),
                                         "\", not what the response says")});
    } else {
      received.resources.push_back(
          {resource.name(), resource.version(), resource.resource().value()});
    }
  }
  for (const std::string& name : response.removed_resources()) {
    if (Contains(type->second.wanted, name)) received.removed.push_back(name);
  }
  return received;
}

std::optional<Request> ClientState::Answer(const Received& received,
                                           const std::vector<Refusal>& refusals) {
  Type& state = types_[received.type];
  std::map<std::string, std::string> faults;
  for (const Refusal& refusal : received.refused) faults[refusal.name] = refusal.message;
  for (const Refusal& refusal : refusals) faults[refusal.name] = refusal.message;
  for (const ReceivedResource& resource : received.resources) {
    if (!Contains(state.wanted, resource.name)) continue;  // unsubscribed while it was tried
    Resource& known = state.resources[resource.name];
    if (faults.find(resource.name) != faults.end()) {
      known.refused_version = resource.version;
    } else {
      known = Resource{resource.version, "", ""};
    }
  }
  std::string message = received.fault;
  for (const auto& [name, fault] : faults) {
    if (Contains(state.wanted, name)) state.resources[name].error = fault;
    absl::StrAppend(&message, message.empty() ? "" : "; ", ToAbsl(ShortTypeName(received.type)),
                    " \"", name, "\": ", fault);
  }
  for (const std::string& name : received.removed) state.resources.erase(name);

  if (!is_open_ || received.stream != stream_) return std::nullopt;
  Request request;
  request.set_type_url(received.type);
  request.set_response_nonce(received.nonce);
  if (!message.empty()) {
    request.mutable_error_detail()->set_code(static_cast<int>(absl::StatusCode::kInvalidArgument));
    request.mutable_error_detail()->set_message(ValidUtf8(message));
  }
  return request;
}

std::vector<ResourceStatus> ClientState::Resources() const {
  std::vector<ResourceStatus> all;
  for (const auto& [type, state] : types_) {
    for (const std::string& name : state.wanted) {
      const auto known = state.resources.find(name);
      const Resource resource = known == state.resources.end() ? Resource{} : known->second;
      all.push_back({type, name, resource.version, resource.refused_version, resource.error});
    }
  }
  return all;
}

}  // namespace whence::discovery
