// The certificate of an HTTPS server, from files that may be replaced while it runs.
#ifndef WHENCE_CONTROLPLANE_WEBHOOK_SERVER_CERTIFICATE_H_
#define WHENCE_CONTROLPLANE_WEBHOOK_SERVER_CERTIFICATE_H_

#include <openssl/ssl.h>

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/log/logger.h"
#include "controlplane/security/openssl.h"

namespace whence::webhook {

using TlsContext = std::unique_ptr<SSL_CTX, security::Free<SSL_CTX_free>>;
using TlsSession = std::unique_ptr<SSL, security::Free<SSL_free>>;

// Thread-compatible.
class ServerCertificate {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // Reads both; errors name the flag and the file. `logger` must outlive *this.
  static absl::StatusOr<ServerCertificate> Load(std::string certificate_path, std::string key_path,
                                                const log::Logger& logger);

  // The server's side of a new connection. At most every other second this looks whether the files
  // are others, and takes them if they belong together; else the old ones stay, and the log says so.
  TlsSession NewSession(Time now);

 private:
  // What tells one version of the files from another: kubelets replace a Secret by turning a link.
  struct Stamp {
    std::string text;
    friend bool operator==(const Stamp&, const Stamp&) = default;
  };

  ServerCertificate(std::string certificate_path, std::string key_path, const log::Logger& logger)
      : certificate_path_(std::move(certificate_path)),
        key_path_(std::move(key_path)),
        logger_(&logger) {}
  Stamp Look() const;
  absl::StatusOr<TlsContext> Read() const;

  std::string certificate_path_, key_path_;
  const log::Logger* logger_;
  TlsContext context_;
  Stamp stamp_, refused_;
  Time looked_{};
};

}  // namespace whence::webhook

#endif  // WHENCE_CONTROLPLANE_WEBHOOK_SERVER_CERTIFICATE_H_
