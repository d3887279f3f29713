#include "dataplane/rpc/channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <utility>

#include "common/base/strings.h"
#include "common/net/ip_address.h"
#include "dataplane/storage/file.h"

// gRPC starts threads by the number of the machine's cores, not of the container's: on a 64-core
// node 38 threads for one idle stream. Its archive is linked with -Wl,--wrap=…, which makes every
// such question ask here. Both, for it also has arrays of as many elements as there are cores and
// takes the current one as index.
extern "C" unsigned __wrap_gpr_cpu_num_cores() { return 1; }
extern "C" unsigned __wrap_gpr_cpu_current_cpu() { return 0; }

namespace whence::rpc {
namespace {

constexpr size_t kMaxPemBytes = 1 << 20;
// A set of a million IPv6 ranges is 17 MB in one message; gRPC's default of 4 MiB would end the
// stream over and over.
constexpr int kMaxMessageBytes = 64 << 20;

absl::StatusOr<std::string> ReadPem(const std::string& path) {
  if (path.empty()) return std::string();
  return storage::ReadFile(path, kMaxPemBytes);
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeCredentials(
    const ChannelOptions& options) {
  if (options.ca.empty() && options.cert.empty()) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions ssl;
  for (auto [path, pem] :
       {std::pair{&options.ca, &ssl.pem_root_certs}, std::pair{&options.cert, &ssl.pem_cert_chain},
        std::pair{&options.key, &ssl.pem_private_key}}) {
    absl::StatusOr<std::string> content = ReadPem(*path);
    if (!content.ok()) return content.status();
    *pem = *std::move(content);
  }
  return grpc::SslCredentials(ssl);
}

}  // namespace

bool IsLocal(const std::string& target) {
  if (target.rfind("unix:", 0) == 0 || target.rfind("unix-abstract:", 0) == 0) return true;
  std::string host = target.substr(0, target.find_last_of(':'));
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  if (EqualsIgnoreCase(host, "localhost")) return true;
  const std::optional<net::IpAddress> address = net::IpAddress::Parse(host);
  return address.has_value() && address->is_loopback();
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const ChannelOptions& options) {
  absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> credentials = MakeCredentials(options);
  if (!credentials.ok()) return credentials.status();
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  // A control plane that vanished without a word (power, partition) is noticed within 40 s.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // Ours is the back-off that counts (discovery_client); the channel's own must not outlast it.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(options.target, *std::move(credentials), arguments);
}

}  // namespace whence::rpc
