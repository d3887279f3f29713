#include "controlplane/security/tls.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <utility>
#include <vector>

#include "controlplane/security/certificate.h"

// The file watcher of this gRPC comes with no way to say which TLS versions may be spoken, and its
// own choice begins at 1.2. Both of its credentials translate their choice with this function, whose
// callers the linker turns here (-Wl,--wrap, see CMakeLists.txt). 1 is tsi's TLS 1.3.
extern "C" int __wrap__Z24grpc_get_tsi_tls_version16grpc_tls_version(int) { return 1; }

namespace whence::security {
namespace {

constexpr unsigned kRefreshSeconds = 2;

absl::Status CheckFiles(const TlsFiles& files) {
  auto certificate = ReadCertificates("--cert", files.certificate);
  if (!certificate.ok()) return certificate.status();
  if (absl::Status match = CheckKeyPair(files.certificate, files.key); !match.ok()) return match;
  if (files.client_ca.empty()) return absl::OkStatus();
  return ReadCertificates("--ca", files.client_ca).status();
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerTls(const TlsFiles& files,
                                                                   std::shared_ptr<Guard> guard) {
  using grpc::experimental::FileWatcherCertificateProvider;
  if (absl::Status status = CheckFiles(files); !status.ok()) return status;
  grpc::experimental::TlsServerCredentialsOptions options(
      std::make_shared<FileWatcherCertificateProvider>(files.key, files.certificate,
                                                       files.client_ca, kRefreshSeconds));
  options.watch_identity_key_cert_pairs();
  bool mutual = !files.client_ca.empty();
  if (mutual) options.watch_root_certs();
  options.set_cert_request_type(mutual ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                       : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  std::shared_ptr<grpc::ServerCredentials> credentials =
      grpc::experimental::TlsServerCredentials(options);
  if (mutual && guard) credentials->SetAuthMetadataProcessor(std::move(guard));
  return credentials;
}

}  // namespace whence::security
