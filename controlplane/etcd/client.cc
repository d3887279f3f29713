#include "controlplane/etcd/client.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/strings.h"

namespace whence::etcd {
namespace {

constexpr std::chrono::milliseconds kPause(100);  // between rounds over members that refuse at once

absl::StatusOr<std::string> ReadPem(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  if (!file) return absl::NotFoundError(absl::StrCat(path, " cannot be read"));
  if (text.str().find("-----BEGIN ") == std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is no PEM file"));
  }
  return text.str();
}

absl::StatusOr<grpc::SslCredentialsOptions> TlsOf(const Options& options) {
  grpc::SslCredentialsOptions tls;
  for (const auto& [path, text] : {std::pair(&options.ca, &tls.pem_root_certs),
                                   {&options.certificate, &tls.pem_cert_chain},
                                   {&options.key, &tls.pem_private_key}}) {
    if (path->empty()) continue;
    absl::StatusOr<std::string> read = ReadPem(*path);
    if (!read.ok()) return read.status();
    *text = *std::move(read);
  }
  return tls;
}

// Connections are made by whoever waits for them: a thread that only slept would find its channel
// as unconnected as before.
void Pause(grpc::Channel& channel) {
  if (!channel.WaitForConnected(std::chrono::system_clock::now() + kPause)) return;
  std::this_thread::sleep_for(kPause / 4);  // connected, and yet of no use: it may have no leader
}

// Another member may do better.
bool IsPassing(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::UNKNOWN:   // what etcd says of its own cancelled work
    case grpc::StatusCode::INTERNAL:  // a connection that broke in the middle of an answer
      return true;
    default:
      return false;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Client>> Client::Make(const Options& options, Patience patience) {
  absl::StatusOr<grpc::SslCredentialsOptions> tls = TlsOf(options);
  if (!tls.ok()) return tls.status();
  grpc::ChannelArguments arguments;
  // Many pieces come in one answer.
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  // A member that is back should be used again soon.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (const Endpoint& endpoint : options.endpoints) {
    channels.push_back(grpc::CreateCustomChannel(
        endpoint.target,
        endpoint.is_tls ? grpc::SslCredentials(*tls) : grpc::InsecureChannelCredentials(),
        arguments));
  }
  return std::unique_ptr<Client>(new Client(options, patience, std::move(channels)));
}

absl::Status Client::Try(const std::function<grpc::Status(const std::shared_ptr<grpc::Channel>&,
                                                          grpc::ClientContext*)>& attempt) {
  const auto end = std::chrono::system_clock::now() + patience_.whole;
  grpc::Status status;
  std::string endpoint;
  const auto may_go_on = [&] {
    return !is_hurrying_.load(std::memory_order_relaxed) && std::chrono::system_clock::now() < end;
  };
  for (size_t tries = 1; tries == 1 || may_go_on(); ++tries) {
    const size_t current = current_.load(std::memory_order_relaxed);
    endpoint = options_.endpoints[current % channels_.size()].ToString();
    grpc::ClientContext context;
    context.set_deadline(std::min(end, std::chrono::system_clock::now() + patience_.attempt));
    status = attempt(channels_[current % channels_.size()], &context);
    if (status.ok()) return absl::OkStatus();
    if (!IsPassing(status)) {
      // Its code would be read as ours: "permission denied" is not the operator's.
      return absl::Status(status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED
                              ? absl::StatusCode::kResourceExhausted
                              : absl::StatusCode::kFailedPrecondition,
                          absl::StrCat("etcd at ", endpoint, ": ", status.error_message()));
    }
    // Of several threads that find it out at the same time, one moves on for all.
    size_t expected = current;
    current_.compare_exchange_strong(expected, current + 1, std::memory_order_relaxed);
    if (tries % channels_.size() == 0) Pause(*channels_[(current + 1) % channels_.size()]);
  }
  return absl::UnavailableError(absl::StrCat("etcd does not answer, asked at ", EndpointsText(),
                                             "; the last, ", endpoint,
                                             ", said: ", status.error_message()));
}

absl::StatusOr<etcdserverpb::RangeResponse> Client::Range(
    const etcdserverpb::RangeRequest& request) {
  etcdserverpb::RangeResponse response;
  absl::Status status = Try([&](const auto& channel, grpc::ClientContext* context) {
    response.Clear();
    return etcdserverpb::KV::NewStub(channel)->Range(context, request, &response);
  });
  if (!status.ok()) return status;
  return response;
}

absl::StatusOr<etcdserverpb::TxnResponse> Client::Txn(const etcdserverpb::TxnRequest& request) {
  etcdserverpb::TxnResponse response;
  absl::Status status = Try([&](const auto& channel, grpc::ClientContext* context) {
    response.Clear();
    return etcdserverpb::KV::NewStub(channel)->Txn(context, request, &response);
  });
  if (!status.ok()) return status;
  return response;
}

absl::StatusOr<int64_t> Client::Grant(int64_t seconds) {
  etcdserverpb::LeaseGrantRequest request;
  request.set_ttl(seconds);
  etcdserverpb::LeaseGrantResponse response;
  absl::Status status = Try([&](const auto& channel, grpc::ClientContext* context) {
    return etcdserverpb::Lease::NewStub(channel)->LeaseGrant(context, request, &response);
  });
  if (!status.ok()) return status;
  return response.id();
}

absl::Status Client::KeepAlive(int64_t lease) {
  etcdserverpb::LeaseKeepAliveResponse response;
  absl::Status status = Try([&](const auto& channel, grpc::ClientContext* context) {
    // The call is a stream; one question and one answer of it are enough.
    auto stream = etcdserverpb::Lease::NewStub(channel)->LeaseKeepAlive(context);
    etcdserverpb::LeaseKeepAliveRequest request;
    request.set_id(lease);
    if (stream->Write(request) && stream->WritesDone() && stream->Read(&response)) {
      context->TryCancel();
      stream->Finish();
      return grpc::Status::OK;
    }
    grpc::Status ended = stream->Finish();
    return ended.ok() ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "no answer") : ended;
  });
  if (!status.ok()) return status;
  return response.ttl() > 0 ? absl::OkStatus() : absl::NotFoundError("the lease is over");
}

absl::Status Client::Revoke(int64_t lease) {
  etcdserverpb::LeaseRevokeRequest request;
  request.set_id(lease);
  etcdserverpb::LeaseRevokeResponse response;
  return Try([&](const auto& channel, grpc::ClientContext* context) {
    return etcdserverpb::Lease::NewStub(channel)->LeaseRevoke(context, request, &response);
  });
}

std::unique_ptr<etcdserverpb::Watch::Stub> Client::WatchStub() {
  return etcdserverpb::Watch::NewStub(
      channels_[current_.load(std::memory_order_relaxed) % channels_.size()]);
}

std::string Client::EndpointsText() const {
  return absl::StrJoin(options_.endpoints, ",", [](std::string* out, const Endpoint& endpoint) {
    out->append(endpoint.ToString());
  });
}

absl::StatusOr<std::string> ReadOrWrite(Client& client, const std::string& name,
                                        const std::string& own) {
  etcdserverpb::TxnRequest txn;
  RequireUnchanged(client.Key(name), 0, &txn);
  Put(client.Key(name), own, &txn);
  txn.add_failure()->mutable_request_range()->set_key(client.Key(name));
  absl::StatusOr<etcdserverpb::TxnResponse> response = client.Txn(txn);
  if (!response.ok()) return response.status();
  if (response->succeeded()) return own;
  const etcdserverpb::RangeResponse& found = response->responses(0).response_range();
  if (found.kvs_size() == 1) return found.kvs(0).value();
  return absl::DataLossError(absl::StrCat("etcd's ", client.Key(name), " is missing or damaged"));
}

std::string EndOf(const std::string& prefix) {
  std::string end = prefix;
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (end.empty()) return std::string(1, '\0');  // etcd's word for: all that there are
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

void RequireUnchanged(const std::string& key, int64_t mod_revision, etcdserverpb::TxnRequest* txn) {
  etcdserverpb::Compare* compare = txn->add_compare();
  compare->set_key(key);
  compare->set_target(etcdserverpb::Compare::MOD);
  compare->set_mod_revision(mod_revision);  // 0: it is not there
}

void RequireThere(const std::string& key, etcdserverpb::TxnRequest* txn) {
  etcdserverpb::Compare* compare = txn->add_compare();
  compare->set_key(key);
  compare->set_target(etcdserverpb::Compare::VERSION);
  compare->set_result(etcdserverpb::Compare::GREATER);
  compare->set_version(0);
}

void Put(const std::string& key, const std::string& value, etcdserverpb::TxnRequest* txn,
         int64_t lease) {
  etcdserverpb::PutRequest* put = txn->add_success()->mutable_request_put();
  put->set_key(key);
  put->set_value(value);
  put->set_lease(lease);
}

void Delete(const std::string& key, etcdserverpb::TxnRequest* txn) {
  txn->add_success()->mutable_request_delete_range()->set_key(key);
}

void DeleteAllBelow(const std::string& prefix, etcdserverpb::TxnRequest* txn) {
  etcdserverpb::DeleteRangeRequest* range = txn->add_success()->mutable_request_delete_range();
  range->set_key(prefix);
  range->set_range_end(EndOf(prefix));
}

}  // namespace whence::etcd
