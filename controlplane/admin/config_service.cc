#include "controlplane/admin/config_service.h"

#include <grpcpp/grpcpp.h>

#include <string>
#include <utility>

#include "common/base/utf8.h"
#include "controlplane/admin/explain_access.h"
#include "controlplane/admin/rpc_status.h"

namespace whence::admin {
namespace {

// Who a revision is recorded for. A certificate is proof; a name in the request is only a claim,
// taken where there is nothing better.
std::string AuthorOf(const grpc::CallbackServerContext& context, const std::string& claimed) {
  std::shared_ptr<const grpc::AuthContext> peer = context.auth_context();
  if (peer && peer->IsPeerAuthenticated()) {
    std::vector<grpc::string_ref> identity = peer->GetPeerIdentity();
    if (!identity.empty()) return ValidUtf8({identity[0].data(), identity[0].size()});
  }
  constexpr size_t kMaxAuthor = 128;
  return claimed.empty() ? "anonymous" : std::string(CutUtf8(claimed, kMaxAuthor));
}

}  // namespace

template <typename Response>
grpc::ServerUnaryReactor* ConfigService::Later(grpc::CallbackServerContext* context,
                                               Response* response,
                                               std::function<absl::StatusOr<Response>()> work) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  bool taken = worker_.Post([reactor, response, work = std::move(work)] {
    absl::StatusOr<Response> result = work();
    if (result.ok()) *response = std::move(*result);
    // Last: the request, the response and the context are gone after it.
    reactor->Finish(ToRpc(result.status()));
  });
  if (!taken) {
    reactor->Finish(
        {grpc::StatusCode::RESOURCE_EXHAUSTED, "too many requests are waiting: retry in a moment"});
  }
  return reactor;
}

grpc::ServerUnaryReactor* ConfigService::Apply(grpc::CallbackServerContext* context,
                                               const v1::ApplyRequest* request,
                                               v1::ApplyResponse* response) {
  std::string author = AuthorOf(*context, request->author());
  return Later<v1::ApplyResponse>(
      context, response, [this, request, author] { return writer_.Apply(*request, author); });
}

grpc::ServerUnaryReactor* ConfigService::Delete(grpc::CallbackServerContext* context,
                                                const v1::DeleteRequest* request,
                                                v1::ApplyResponse* response) {
  std::string author = AuthorOf(*context, request->author());
  return Later<v1::ApplyResponse>(
      context, response, [this, request, author] { return writer_.Delete(*request, author); });
}

grpc::ServerUnaryReactor* ConfigService::Get(grpc::CallbackServerContext* context,
                                             const v1::GetRequest* request,
                                             v1::GetResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  std::shared_ptr<const model::ConfigState> state = current_.Get();
  absl::StatusOr<v1::GetResponse> result =
      state ? Select(*state, *request)
            : absl::UnavailableError("the configuration is not loaded yet: retry");
  if (result.ok()) *response = std::move(*result);
  reactor->Finish(ToRpc(result.status()));
  return reactor;
}

grpc::ServerUnaryReactor* ConfigService::Explain(grpc::CallbackServerContext* context,
                                                 const v1::ExplainRequest* request,
                                                 v1::ExplainResponse* response) {
  auto explain = [this, request]() -> absl::StatusOr<v1::ExplainResponse> {
    std::shared_ptr<const model::ConfigState> state = current_.Get();
    if (!state) return absl::UnavailableError("the configuration is not loaded yet: retry");
    return ExplainAccess(*state, inventory_.View()->workloads, *request, clock_.Now());
  };
  return Later<v1::ExplainResponse>(context, response, explain);
}

}  // namespace whence::admin
