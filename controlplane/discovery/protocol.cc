#include "controlplane/discovery/protocol.h"

#include "absl/status/status.h"

namespace whence::discovery {
namespace {

template <typename Request>
std::optional<std::string> ErrorOf(const Request& request) {
  if (!request.has_error_detail()) return std::nullopt;
  return request.error_detail().message();
}

template <typename Response>
void AddErrors(const std::vector<std::string>& forbidden, Response* response) {
  for (const std::string& name : forbidden) {
    auto* error = response->add_resource_errors();
    error->mutable_resource_name()->set_name(name);
    error->mutable_error_detail()->set_code(static_cast<int>(absl::StatusCode::kPermissionDenied));
    error->mutable_error_detail()->set_message("this resource does not concern you");
  }
}

}  // namespace

DeltaRequest DeltaProtocol::Read(const Request& request) {
  return {
      .subscribe = {request.resource_names_subscribe().begin(),
                    request.resource_names_subscribe().end()},
      .unsubscribe = {request.resource_names_unsubscribe().begin(),
                      request.resource_names_unsubscribe().end()},
      .initial_versions = {request.initial_resource_versions().begin(),
                           request.initial_resource_versions().end()},
      .nonce = request.response_nonce(),
      .error = ErrorOf(request),
  };
}

void DeltaProtocol::Write(const DeltaPush& push, const char* type_url, uint64_t revision,
                          const std::vector<std::string>& forbidden, Response* response) {
  response->Clear();
  response->set_type_url(type_url);
  response->set_nonce(push.nonce);
  response->set_system_version_info(std::to_string(revision));
  for (const auto& [name, resource] : push.resources) {
    auto* out = response->add_resources();
    out->set_name(name);
    out->set_version(resource.version);
    out->mutable_resource()->set_type_url(type_url);
    out->mutable_resource()->set_value(*resource.bytes);
  }
  for (const std::string& name : push.removed) response->add_removed_resources(name);
  AddErrors(forbidden, response);
}

StateRequest StateProtocol::Read(const Request& request) {
  return {
      .names = {request.resource_names().begin(), request.resource_names().end()},
      .version_info = request.version_info(),
      .nonce = request.response_nonce(),
      .error = ErrorOf(request),
  };
}

void StateProtocol::Write(const StatePush& push, const char* type_url, uint64_t,
                          const std::vector<std::string>& forbidden, Response* response) {
  response->Clear();
  response->set_type_url(type_url);
  response->set_nonce(push.nonce);
  response->set_version_info(push.version_info);
  for (const auto& [name, resource] : push.resources) {
    auto* out = response->add_resources();
    out->set_type_url(type_url);
    out->set_value(resource.steps ? resource.steps->Whole() : *resource.bytes);
  }
  AddErrors(forbidden, response);
}

}  // namespace whence::discovery
