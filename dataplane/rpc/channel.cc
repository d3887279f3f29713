#include "dataplane/rpc/channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <grpcpp/support/channel_arguments.h>

#include <utility>

#include "absl/strings/str_cat.h"
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

// A set of a million IPv6 ranges is 17 MB in one message; gRPC's default of 4 MiB would end the
// stream over and over.
constexpr int kMaxMessageBytes = 64 << 20;

constexpr size_t kMaxPemBytes = 1 << 20;
// gRPC looks at the files again this often, so that a certificate may be replaced while the agent
// runs. The connection that is there stays; the next one is made with what is there then.
constexpr unsigned kRefreshSeconds = 10;

absl::Status CheckPem(const std::string& path) {
  absl::StatusOr<std::string> content = storage::ReadFile(path, kMaxPemBytes);
  if (!content.ok()) return content.status();
  if (content->find("-----BEGIN ") != std::string::npos) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(path, ": is no PEM file"));
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeCredentials(
    const ChannelOptions& options) {
  if (options.ca.empty() && options.cert.empty()) return grpc::InsecureChannelCredentials();
  for (const std::string* path : {&options.ca, &options.cert, &options.key}) {
    if (path->empty()) continue;
    if (absl::Status status = CheckPem(*path); !status.ok()) return status;
  }
  if (options.ca.empty()) {
    return absl::InvalidArgumentError("--cert without --ca: give the CA of the control plane too");
  }
  grpc::experimental::TlsChannelCredentialsOptions tls;
  tls.set_certificate_provider(std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      options.key, options.cert, options.ca, kRefreshSeconds));
  tls.watch_root_certs();
  if (!options.cert.empty()) tls.watch_identity_key_cert_pairs();
  return grpc::experimental::TlsCredentials(tls);
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
