#include "controlplane/grpc_server.h"

#include <arpa/inet.h>
#include <grpcpp/ext/channelz_service_plugin.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace whence::control {
namespace {

// An apply may carry an IpSet of a million ranges as text.
constexpr int kMaxMessageBytes = 64 << 20;
// Of all connections together: beyond it gRPC reads slower and in the end closes connections, whose
// agents come back, instead of many large messages at once ending the process.
constexpr size_t kMaxBufferedBytes = size_t{512} << 20;

void SetLimits(grpc::ServerBuilder& builder) {
  grpc::ResourceQuota quota("whence-control");
  quota.Resize(kMaxBufferedBytes);
  builder.SetResourceQuota(quota);
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetMaxSendMessageSize(kMaxMessageBytes);
  // With SO_REUSEPORT a second control plane would silently take half of the agents.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // A dead peer is found by keepalive, not by a timeout on sending: slow is not dead.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  // Agents ping as often as we do; more often than this is abuse and is disconnected.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 9'000);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 128);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 16 << 10);
}

// gRPC tells only that binding failed; asking the kernel again gives the reason.
std::string BindFailure(const ListenAddress& address) {
  sockaddr_storage storage{};
  socklen_t size = 0;
  if (!address.unix_path.empty()) {
    auto* local = reinterpret_cast<sockaddr_un*>(&storage);
    local->sun_family = AF_UNIX;
    std::memcpy(local->sun_path, address.unix_path.c_str(), address.unix_path.size() + 1);
    size = sizeof(sockaddr_un);
  } else if (address.host.find(':') == std::string::npos) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(address.port);
    inet_pton(AF_INET, address.host.c_str(), &v4->sin_addr);
    size = sizeof(sockaddr_in);
  } else {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(address.port);
    inet_pton(AF_INET6, address.host.c_str(), &v6->sin6_addr);
    size = sizeof(sockaddr_in6);
  }
  int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::strerror(errno);
  int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  bool bound =
      bind(fd, reinterpret_cast<const sockaddr*>(&storage), size) == 0 && listen(fd, 1) == 0;
  int error = errno;
  close(fd);
  return bound ? "gRPC could not bind it" : std::strerror(error);
}

}  // namespace

GrpcServer::GrpcServer(std::unique_ptr<grpc::Server> server, std::vector<std::string> addresses)
    : server_(std::move(server)), addresses_(std::move(addresses)) {}

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(
    const std::optional<ListenAddress>& plaintext, const std::optional<ListenAddress>& tls,
    const security::TlsFiles& files, std::shared_ptr<security::Guard> guard,
    const std::vector<grpc::Service*>& services) {
  // Plugins are process-wide lists in gRPC: they must be there before a builder is.
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::channelz::experimental::InitChannelzService();
  grpc::ServerBuilder builder;
  SetLimits(builder);
  int plaintext_port = 0, tls_port = 0;
  if (plaintext) {
    builder.AddListeningPort(plaintext->ToString(), grpc::InsecureServerCredentials(),
                             &plaintext_port);
  }
  if (tls) {
    absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> credentials =
        security::ServerTls(files, std::move(guard));
    if (!credentials.ok()) return credentials.status();
    builder.AddListeningPort(tls->ToString(), *credentials, &tls_port);
  }
  for (grpc::Service* service : services) builder.RegisterService(service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!server) {
    bool is_tls = !plaintext || plaintext_port > 0;
    const ListenAddress& failed = is_tls ? *tls : *plaintext;
    return absl::UnavailableError(absl::StrCat("cannot listen on ", failed.ToString(), ": ",
                                               BindFailure(failed), ": choose another with ",
                                               is_tls ? "--listen-tls" : "--listen"));
  }
  std::vector<std::string> addresses;
  if (plaintext) addresses.push_back(plaintext->ToString(plaintext_port));
  if (tls) addresses.push_back(tls->ToString(tls_port));
  server->GetHealthCheckService()->SetServingStatus(true);
  return std::unique_ptr<GrpcServer>(new GrpcServer(std::move(server), std::move(addresses)));
}

void GrpcServer::Shutdown(std::chrono::milliseconds grace) {
  if (is_down_) return;
  is_down_ = true;
  server_->GetHealthCheckService()->SetServingStatus(false);
  server_->Shutdown(std::chrono::system_clock::now() + grace);
  server_->Wait();
}

GrpcServer::~GrpcServer() { Shutdown(std::chrono::milliseconds(0)); }

}  // namespace whence::control
