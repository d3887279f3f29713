#include "controlplane/discovery/protocol.h"

#include "absl/status/status.h"
#include "controlplane/rpc/message.h"

namespace whence::discovery {
namespace {

template <typename Request>
std::optional<std::string> ErrorOf(const Request& request) {
  if (!request.has_error_detail()) return std::nullopt;
  return request.error_detail().message();
}

constexpr int kVersion = 1, kResource = 2, kName = 3;  // fields of Resource
constexpr int kTypeUrl = 1, kValue = 2;                // fields of Any
constexpr int kResources = 2;                          // field of both responses

// "Any.type_url" up to the last byte before the shared ones.
std::string AnyStart(const char* type_url, const std::string& head, size_t shared) {
  std::string any;
  rpc::AddField(kTypeUrl, type_url, &any);
  rpc::AddFieldStart(kValue, head.size() + shared, &any);
  return any + head;
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

grpc::ByteBuffer DeltaProtocol::Write(const DeltaPush& push, const char* type_url,
                                      uint64_t revision,
                                      const std::vector<std::string>& forbidden) {
  Response response;
  response.set_type_url(type_url);
  response.set_nonce(push.nonce);
  response.set_system_version_info(std::to_string(revision));
  for (const std::string& name : push.removed) response.add_removed_resources(name);
  AddErrors(forbidden, &response);
  rpc::MessageWriter writer;
  writer.Add(response.SerializeAsString());
  for (const auto& [name, resource] : push.resources) {
    const std::string any = AnyStart(type_url, resource.head, resource.bytes->size());
    std::string fields;
    rpc::AddField(kName, name, &fields);
    rpc::AddField(kVersion, resource.version, &fields);
    rpc::AddFieldStart(kResource, any.size() + resource.bytes->size(), &fields);
    fields += any;
    std::string start;
    rpc::AddFieldStart(kResources, fields.size() + resource.bytes->size(), &start);
    writer.Add(start + fields);
    writer.Add(resource.bytes);
  }
  return writer.Take();
}

StateRequest StateProtocol::Read(const Request& request) {
  return {
      .names = {request.resource_names().begin(), request.resource_names().end()},
      .version_info = request.version_info(),
      .nonce = request.response_nonce(),
      .error = ErrorOf(request),
  };
}

grpc::ByteBuffer StateProtocol::Write(const StatePush& push, const char* type_url, uint64_t,
                                      const std::vector<std::string>& forbidden) {
  Response response;
  response.set_type_url(type_url);
  response.set_nonce(push.nonce);
  response.set_version_info(push.version_info);
  AddErrors(forbidden, &response);
  rpc::MessageWriter writer;
  writer.Add(response.SerializeAsString());
  for (const auto& [name, resource] : push.resources) {
    const std::shared_ptr<const std::string> bytes =
        resource.steps ? resource.steps->Whole() : resource.bytes;
    const std::string any = AnyStart(type_url, resource.head, bytes->size());
    std::string start;
    rpc::AddFieldStart(kResources, any.size() + bytes->size(), &start);
    writer.Add(start + any);
    writer.Add(bytes);
  }
  return writer.Take();
}

}  // namespace whence::discovery
