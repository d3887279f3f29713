#include "controlplane/admin/config_service.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <string>
#include <utility>

#include "common/base/utf8.h"
#include "controlplane/admin/config_state.h"
#include "controlplane/admin/difference.h"
#include "controlplane/admin/explain_access.h"
#include "controlplane/admin/rpc_status.h"
#include "controlplane/security/guard.h"

namespace whence::admin {
namespace {

// Who a revision is recorded for. A certificate is proof; a name in the request is only a claim,
// taken where there is nothing better.
Author AuthorOf(const grpc::CallbackServerContext& context, const std::string& claimed) {
  security::Peer peer = security::PeerOf(context.auth_context().get());
  if (peer.identity) return {peer.identity->name, /*verified=*/true};
  constexpr size_t kMaxAuthor = 128;
  return {claimed.empty() ? "anonymous" : std::string(CutUtf8(claimed, kMaxAuthor)), false};
}

constexpr uint32_t kDefaultHistory = 20;
constexpr uint32_t kMaxHistory = 1000;

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
  Author author = AuthorOf(*context, request->author());
  return Later<v1::ApplyResponse>(
      context, response, [this, request, author] { return writer_.Apply(*request, author); });
}

grpc::ServerUnaryReactor* ConfigService::Delete(grpc::CallbackServerContext* context,
                                                const v1::DeleteRequest* request,
                                                v1::ApplyResponse* response) {
  Author author = AuthorOf(*context, request->author());
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

grpc::ServerUnaryReactor* ConfigService::History(grpc::CallbackServerContext* context,
                                                 const v1::HistoryRequest* request,
                                                 v1::HistoryResponse* response) {
  return Later<v1::HistoryResponse>(context, response,
                                    [this, request] { return ReadHistory(*request); });
}

absl::StatusOr<v1::HistoryResponse> ConfigService::ReadHistory(const v1::HistoryRequest& request) {
  const uint32_t limit = request.limit() == 0 ? kDefaultHistory : request.limit();
  auto history = store_.History(static_cast<int>(std::min(limit, kMaxHistory)), request.before());
  if (!history.ok()) return history.status();
  v1::HistoryResponse response;
  if (std::shared_ptr<const model::ConfigState> state = current_.Get()) {
    response.set_revision(state->revision);
  }
  for (store::Revision& revision : *history) {
    v1::RevisionInfo* info = response.add_revisions();
    info->set_revision(revision.revision);
    info->set_time_us(revision.time.time_since_epoch().count());
    info->set_author(std::move(revision.author));
    info->set_author_verified(revision.author_verified);
    info->set_message(std::move(revision.message));
    info->mutable_changes()->Assign(revision.changes.begin(), revision.changes.end());
  }
  return response;
}

grpc::ServerUnaryReactor* ConfigService::Diff(grpc::CallbackServerContext* context,
                                              const v1::DiffRequest* request,
                                              v1::DiffResponse* response) {
  return Later<v1::DiffResponse>(context, response, [this, request] { return Compare(*request); });
}

absl::StatusOr<v1::DiffResponse> ConfigService::Compare(const v1::DiffRequest& request) {
  std::shared_ptr<const model::ConfigState> state = current_.Get();
  if (!state) return absl::UnavailableError("the configuration is not loaded yet: retry");
  if (!request.has_from_revision()) return DiffFiles(*state, request, writer_.LookAround());
  if (!request.files().empty()) {
    return absl::InvalidArgumentError("files are compared with what is in force: give no revision");
  }
  auto from = store_.LoadAt(request.from_revision());
  if (!from.ok()) return from.status();
  auto to = store_.LoadAt(request.has_to_revision() ? request.to_revision() : state->revision);
  if (!to.ok()) return to.status();
  return DiffRevisions(*from, *to);
}

grpc::ServerUnaryReactor* ConfigService::Rollback(grpc::CallbackServerContext* context,
                                                  const v1::RollbackRequest* request,
                                                  v1::ApplyResponse* response) {
  Author author = AuthorOf(*context, request->author());
  return Later<v1::ApplyResponse>(
      context, response, [this, request, author] { return writer_.Rollback(*request, author); });
}

grpc::ServerUnaryReactor* ConfigService::DescribeIpSet(grpc::CallbackServerContext* context,
                                                       const v1::DescribeIpSetRequest* request,
                                                       v1::IpSetDescription* response) {
  auto describe = [this, request]() -> absl::StatusOr<v1::IpSetDescription> {
    std::shared_ptr<const model::ConfigState> state = current_.Get();
    if (!state) return absl::UnavailableError("the configuration is not loaded yet: retry");
    return Describe(*state, *request);
  };
  return Later<v1::IpSetDescription>(context, response, describe);
}

grpc::ServerUnaryReactor* ConfigService::Explain(grpc::CallbackServerContext* context,
                                                 const v1::ExplainRequest* request,
                                                 v1::ExplainResponse* response) {
  auto explain = [this, request]() -> absl::StatusOr<v1::ExplainResponse> {
    std::shared_ptr<const model::ConfigState> state = current_.Get();
    if (!state) return absl::UnavailableError("the configuration is not loaded yet: retry");
    if (request->has_revision()) {
      absl::StatusOr<store::Contents> contents = store_.LoadAt(request->revision());
      if (!contents.ok()) return contents.status();
      state = MakeState(*std::move(contents));
    }
    return ExplainAccess(*state, inventory_.View()->workloads, *request, clock_.Now());
  };
  return Later<v1::ExplainResponse>(context, response, explain);
}

}  // namespace whence::admin
