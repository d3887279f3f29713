// The server's side of TLS: 1.3 only, from files that may be replaced while it runs.
#ifndef WHENCE_CONTROLPLANE_SECURITY_TLS_H_
#define WHENCE_CONTROLPLANE_SECURITY_TLS_H_

#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "controlplane/security/guard.h"

namespace whence::security {

struct TlsFiles {
  std::string certificate;
  std::string key;
  std::string client_ca;  // empty: clients need no certificate
};

// Checks the files, so that a wrong one is a message and not a handshake that fails for everybody.
// From then on gRPC looks at them every other second. Connections that are there stay, whatever
// becomes of the files; new ones are judged by what is there then. A CA file may hold several
// certificates: old and new, while the one takes the place of the other.
//
// With `client_ca`, `guard` judges every call; without, it is not asked (nobody has a name).
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerTls(const TlsFiles& files,
                                                                   std::shared_ptr<Guard> guard);

}  // namespace whence::security

#endif  // WHENCE_CONTROLPLANE_SECURITY_TLS_H_
